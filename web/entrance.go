package web

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

// The bounds of connections. One client's are those from an IPv4 address or a /64 network of IPv6.
const (
	connections         = 2048 // at once; the next ones wait to be accepted
	connectionsOfClient = 64   // the next ones are closed; trusted proxies have no such bound
	// From so many on, of all or of one client, those on which nothing is asked are closed sooner.
	manyConnections         = connections / 4 * 3
	manyConnectionsOfClient = connectionsOfClient / 4 * 3
)

// An entrance accepts connections, so that no client holds them all.
type entrance struct {
	net.Listener
	proxies []netip.Prefix
	refused func() // is told of each that is closed at once

	open    atomic.Int64
	clients *shares[netip.Prefix]
}

func newEntrance(l net.Listener, proxies []netip.Prefix, refused func()) *entrance {
	return &entrance{Listener: netutil.LimitListener(l, connections), proxies: proxies, refused: refused,
		clients: newShares[netip.Prefix](connections, connectionsOfClient)}
}

// Accept is net.Listener's.
func (e *entrance) Accept() (net.Conn, error) {
	for {
		c, err := e.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if in := e.admit(c); in != nil {
			return in, nil
		}
		e.refused()
		c.Close()
	}
}

// admit counts a connection; nil: its client has too many.
func (e *entrance) admit(c net.Conn) *conn {
	in := &conn{Conn: c, entrance: e, leave: func() {}}
	if peer := parseAddress(c.RemoteAddr().String()); !trusted(peer, e.proxies) {
		in.client = neighbourhood(peer)
		if in.leave, _ = e.clients.take(in.client); in.leave == nil {
			return nil
		}
	}
	e.open.Add(1)
	return in
}

// state is http.Server's ConnState.
func (e *entrance) state(c net.Conn, state http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if c, ok := c.(*conn); ok {
		c.rest(state == http.StateIdle)
	}
}

// conn is a connection that was counted.
type conn struct {
	net.Conn
	entrance *entrance
	client   netip.Prefix // of a trusted proxy: none
	leave    func()
	left     sync.Once

	mu    sync.Mutex
	timer *time.Timer // nil: something is asked on it, or it has ended
	rests int         // how often it has changed
}

// Close is net.Conn's.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.left.Do(func() {
		c.entrance.open.Add(-1)
		c.leave()
	})
	return err
}

// rest is told when nothing is asked on the connection any more, and when something is again, or it has ended.
func (c *conn) rest(idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.rests++
	if rest := c.rests; idle {
		c.timer = time.AfterFunc(idlePatienceOfMany, func() { c.tire(rest) })
	}
}

// tire closes the connection where there are many, and else looks again later; the server itself has its own patience.
func (c *conn) tire(rest int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rests != rest {
		return // a request has come
	}
	if _, own := c.entrance.clients.taken(c.client); own < manyConnectionsOfClient && c.entrance.open.Load() < manyConnections {
		c.timer.Reset(idlePatienceOfMany)
		return
	}
	c.timer = nil
	c.Close()
}
