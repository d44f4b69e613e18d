package web

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// How long clients may take, and how much they may hold.
const (
	headerPatience     = 10 * time.Second // for a handshake and the header of a request
	answerPatience     = time.Minute      // for a request with its body, and for an answer; reports have writePatience for each write instead
	silencePatience    = 10 * time.Second // for the next bytes of what somebody posts, and for all of it where they have not signed in
	strangerPatience   = 5 * time.Second  // for an answer to somebody who has not signed in
	idlePatience       = 2 * time.Minute
	idlePatienceOfMany = 10 * time.Second // where there are many connections; at most twice as long
	maxHeader          = 16 << 10         // bytes; net/http allows 4 KiB more

	streamsOfOne = 32               // requests at once on one HTTP/2 connection
	pingEvery    = 30 * time.Second // on one on which nothing came for so long; who does not answer in pingPatience is let go
	pingPatience = 15 * time.Second
	maxBodies    = 64 << 10 // bytes that wait to be read on one; posts come in such pieces
	maxFrame     = 16 << 10 // bytes
)

// Server serves a site, by TLS where there is a configuration for it. What takes longer than a minute, to read a
// body or to send an answer, gives itself the time with http.ResponseController.
func (s *Site) Server(config *tls.Config) *http.Server {
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{Handler: s.Handler(), TLSConfig: config, ReadHeaderTimeout: headerPatience, ReadTimeout: answerPatience, WriteTimeout: answerPatience,
		IdleTimeout: idlePatience, MaxHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streamsOfOne, SendPingTimeout: pingEvery, PingTimeout: pingPatience, WriteByteTimeout: writePatience,
			MaxReceiveBufferPerConnection: maxBodies, MaxReceiveBufferPerStream: maxBodies, MaxReadFrameSize: maxFrame},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)} // mostly strangers' broken handshakes
}

// Serve answers with a server of the site on a listener until the server is shut down; then it returns
// http.ErrServerClosed.
func (s *Site) Serve(server *http.Server, l net.Listener) error {
	e := newEntrance(l, s.Proxies, s.Metrics.refusedConnection)
	server.ConnState = e.state
	if server.TLSConfig != nil {
		return server.ServeTLS(e, "", "")
	}
	return server.Serve(e)
}
