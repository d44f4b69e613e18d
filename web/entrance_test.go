package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestConnectionsAreBounded: connections beyond the bound wait until another ends.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := piped(t, nil)
		var all []net.Conn
		for range connections {
			all = append(all, l.dial())
		}
		synctest.Wait()
		dialled := make(chan net.Conn)
		go func() { dialled <- l.dial() }()
		synctest.Wait()
		select {
		case <-dialled:
			t.Error("one more was accepted")
		default:
		}
		all[0].Close()
		c := <-dialled
		for _, c := range append(all, c) {
			c.Close()
		}
	})
}

// health asks for /healthz on a connection, and tells what is answered; empty: the connection ended.
func health(c net.Conn) string {
	go io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	body, _ := io.ReadAll(resp.Body)
	return resp.Status + " " + string(body)
}

const healthy = "200 OK ok\n"

func TestConnectionsOfOneClientAreBounded(t *testing.T) {
	tests := []struct {
		name    string
		address func(i int) string
		more    bool   // than the bound are let in
		other   string // is another client
	}{
		{"one address", func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i+1) }, false, "192.0.2.2:1"},
		{"a network of IPv6", func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) }, false, "[2001:db8:0:1::1]:1"},
		{"an address written in two ways", func(i int) string { return []string{"192.0.2.1:1", "[::ffff:192.0.2.1]:1"}[i%2] }, false, "192.0.2.2:1"},
		{"this machine", func(int) string { return "127.0.0.1:1" }, false, "127.0.0.2:1"},
		{"several addresses", func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i+1) }, true, "192.0.2.200:1"},
		{"a proxy that is trusted", func(int) string { return "10.255.0.1:1" }, true, "192.0.2.1:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := piped(t, nil)
				var all []net.Conn
				for i := range connectionsOfClient {
					c := l.dialFrom(tt.address(i))
					defer c.Close()
					if got := health(c); got != healthy {
						t.Fatalf("connection %d: %q", i, got)
					}
					all = append(all, c)
				}
				if got := health(l.dialFrom(tt.address(connectionsOfClient))); (got == healthy) != tt.more {
					t.Errorf("one more: %q", got)
				}
				other := l.dialFrom(tt.other)
				defer other.Close()
				if got := health(other); got != healthy {
					t.Errorf("another client: %q", got)
				}
				all[0].Close()
				synctest.Wait()
				again := l.dialFrom(tt.address(0))
				defer again.Close()
				if got := health(again); got != healthy {
					t.Errorf("after one has ended: %q", got)
				}
			})
		})
	}
}

// TestWhoHoldsManyConnectionsHoldsThemForLess: on none of them anything is asked.
func TestWhoHoldsManyConnectionsHoldsThemForLess(t *testing.T) {
	own := func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i+1) }
	another := func(i int) string { return fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255) }
	tests := []struct {
		name    string
		n       int
		address func(int) string
		less    bool
	}{
		{"one fewer than many of one client", manyConnectionsOfClient - 1, own, false},
		{"many of one client", manyConnectionsOfClient, own, true},
		{"one fewer than many of all", manyConnections - 1, another, false},
		{"many of all", manyConnections, another, true},
		{"many of a trusted proxy count among all alone", manyConnectionsOfClient, func(int) string { return "10.255.0.1:1" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := piped(t, nil)
				var drips sync.WaitGroup
				defer drips.Wait()
				start := time.Now()
				first := l.dialFrom(tt.address(0))
				for i := range tt.n - 1 {
					c := l.dialFrom(tt.address(i + 1))
					defer c.Close()
					drips.Go(func() { drip(c) })
				}
				if got := health(first); got != healthy {
					t.Fatal(got)
				}
				after, _ := closedAfter(first, start)
				if want := map[bool]time.Duration{true: idlePatienceOfMany, false: idlePatience}[tt.less]; after != want {
					t.Errorf("after %s, want %s", after, want)
				}
			})
		})
	}
}

// drip asks something every few seconds, so that the connection stays.
func drip(c net.Conn) {
	answers := bufio.NewReader(c)
	for {
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return
		}
		io.Copy(io.Discard, resp.Body)
		time.Sleep(idlePatienceOfMany - time.Second)
	}
}

// TestAConnectionThatWasIdleWhileThereWereFewIsLookedAtAgain: also after its first rest.
func TestAConnectionThatWasIdleWhileThereWereFewIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := piped(t, nil)
		var drips sync.WaitGroup
		defer drips.Wait()
		start := time.Now()
		first := l.dialFrom("192.0.2.1:1")
		if got := health(first); got != healthy {
			t.Fatal(got)
		}
		time.Sleep(3*idlePatienceOfMany + time.Second)
		for range manyConnectionsOfClient {
			c := l.dialFrom("192.0.2.1:2")
			defer c.Close()
			drips.Go(func() { drip(c) })
		}
		if after, _ := closedAfter(first, start); after != 4*idlePatienceOfMany {
			t.Errorf("after %s", after)
		}
	})
}

func TestConnectionsThatAreRefusedAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		m := NewMetrics("v1")
		e := newEntrance(newPipes(), nil, m.refusedConnection)
		for range connectionsOfClient {
			if e.admit(from{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1"))}) == nil {
				t.Fatal("it was refused")
			}
		}
		l := e.Listener
		e.Listener = one{Listener: l, c: from{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1"))}, given: new(bool)}
		if c, err := e.Accept(); err == nil {
			t.Errorf("accepted: %v", c.RemoteAddr())
		}
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "playmeter_connections_refused_total" && f.GetMetric()[0].GetCounter().GetValue() == 1 {
				return
			}
		}
		t.Error("it was not counted")
	})
}

// one is a listener of one connection.
type one struct {
	net.Listener
	c     net.Conn
	given *bool
}

func (o one) Accept() (net.Conn, error) {
	if *o.given {
		return nil, net.ErrClosed
	}
	*o.given = true
	return o.c, nil
}

func TestTheAddressesOfClientsAreThoseOfTheirConnections(t *testing.T) {
	// X-Forwarded-For comes later: what holds of a connection goes by its other end alone.
	e := newEntrance(newPipes(), []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, func() {})
	for address, want := range map[string]string{"192.0.2.1:1": "invalid Prefix", "198.51.100.1:1": "198.51.100.1/32", "[2001:db8:1:2:3::4]:1": "2001:db8:1:2::/64"} {
		client, server := net.Pipe()
		c := e.admit(from{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))})
		if c == nil || !strings.EqualFold(c.client.String(), want) {
			t.Errorf("%s: %v", address, c.client)
		}
		c.Close()
		c.Close() // twice, as net/http does
		client.Close()
	}
	if all, _ := e.clients.taken(netip.Prefix{}); all != 0 || e.open.Load() != 0 {
		t.Errorf("%d, %d are left", all, e.open.Load())
	}
}
