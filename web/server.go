package web

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// How long clients may take, and how much they may hold.
const (
	headerPatience = 10 * time.Second // for a handshake and the header of a request
	answerPatience = time.Minute      // for a request with its body, and for an answer; reports have writePatience for each write instead
	idlePatience   = 2 * time.Minute
	maxHeader      = 16 << 10 // bytes; net/http allows 4 KiB more
	connections    = 2048     // at once; the next ones wait to be accepted
	streamsOfOne   = 32       // requests at once on one HTTP/2 connection
)

// Server serves a site, by TLS where there is a configuration for it. What takes longer than a minute, to read a
// body or to send an answer, gives itself the time with http.ResponseController.
func (s *Site) Server(config *tls.Config) *http.Server {
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{Handler: s.Handler(), TLSConfig: config, ReadHeaderTimeout: headerPatience, ReadTimeout: answerPatience, WriteTimeout: answerPatience,
		IdleTimeout: idlePatience, MaxHeaderBytes: maxHeader, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streamsOfOne},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)} // mostly strangers' broken handshakes
}

// Serve answers on a listener until the server is shut down; then it returns http.ErrServerClosed.
func Serve(server *http.Server, l net.Listener) error {
	l = netutil.LimitListener(l, connections)
	if server.TLSConfig != nil {
		return server.ServeTLS(l, "", "")
	}
	return server.Serve(l)
}
