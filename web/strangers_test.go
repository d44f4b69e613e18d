package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/playmeter/playmeter/crypto"
)

// unread is an HTTP/2 connection that asks for a path so many times, and takes no byte of any answer. What it is told in
// frames without a body, by their types, goes to told; the connection's end closes it.
func unread(t *testing.T, c net.Conn, path, token string, n int) (told chan http2.FrameType) {
	t.Helper()
	conn := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, conn)
	told = make(chan http2.FrameType, 1000)
	go func() { // what is written waits for its reader
		defer close(told)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			told <- frame.Header().Type
		}
	}()
	io.WriteString(conn, http2.ClientPreface)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	f.WriteSettingsAck()
	for i := range n {
		var head bytes.Buffer
		e := hpack.NewEncoder(&head)
		e.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
		e.WriteField(hpack.HeaderField{Name: ":scheme", Value: "https"})
		e.WriteField(hpack.HeaderField{Name: ":authority", Value: "localhost"})
		e.WriteField(hpack.HeaderField{Name: ":path", Value: path})
		if token != "" {
			e.WriteField(hpack.HeaderField{Name: "authorization", Value: "Bearer " + token})
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
	}
	return told
}

// overTLS is a server on pipes that speaks TLS, and how to ask it.
func overTLS(t *testing.T) (l *pipes, ask func(address, path, token string) string) {
	t.Helper()
	files := newPair(t, "ours")
	config, err := Certificate(files.cert, files.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, _ = piped(t, config)
	return l, func(address, path, token string) string {
		t.Helper()
		c := tls.Client(l.dialFrom(address), &tls.Config{InsecureSkipVerify: true})
		defer c.Close()
		if token != "" {
			token = "Authorization: Bearer " + token + "\r\n"
		}
		go fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, token)
		answer, _ := io.ReadAll(c)
		status, _, _ := strings.Cut(strings.TrimPrefix(string(answer), "HTTP/1.1 "), " ")
		return status
	}
}

const openapiPath = "/api/v1/openapi.json"

// TestStrangersWhoReadNothingStopNobody: not themselves from being told that the daemon lives, and others from nothing.
func TestStrangersWhoReadNothingStopNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ask := overTLS(t)
		const stranger = "192.0.2.1:1"
		for range 9 {
			c := l.dialFrom(stranger)
			defer c.Close()
			unread(t, c, openapiPath, "", streamsOfOne)
		}
		synctest.Wait()
		for _, tt := range []struct{ name, address, path, token, want string }{
			{"the stranger asks whether it lives", stranger, "/healthz", "", "200"},
			{"and whether it is ready", stranger, "/readyz", "", "200"},
			{"and for more", stranger, openapiPath, "", "429"},
			{"and for nothing that there is", stranger, "/nothing", "", "404"},
			{"and with a wrong token", stranger, "/", wrongToken, "401"},
			{"and with a good one", stranger, "/file", filmsToken, "200"},
			{"others ask whether it lives", "192.0.2.2:1", "/healthz", "", "200"},
			{"and for what is for everybody", "192.0.2.2:1", openapiPath, "", "200"},
			{"and for what is not", "192.0.2.2:1", "/file", filmsToken, "200"},
		} {
			if got := ask(tt.address, tt.path, tt.token); got != tt.want {
				t.Errorf("%s: %q, want %s", tt.name, got, tt.want)
			}
		}
		time.Sleep(strangerPatience)
		synctest.Wait()
		if got := ask(stranger, openapiPath, ""); got != "200" {
			t.Errorf("after %s: %q", strangerPatience, got)
		}
	})
}

func TestManyStrangersStopStrangersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ask := overTLS(t)
		for i := range strangersAtOnce / strangersOfClient {
			c := l.dialFrom(fmt.Sprintf("192.0.2.%d:1", i+1))
			defer c.Close()
			unread(t, c, openapiPath, "", strangersOfClient)
		}
		synctest.Wait()
		for path, want := range map[string]string{"/healthz": "200", "/readyz": "200", openapiPath: "503", "/nothing": "404", "/file": "200"} {
			token := ""
			if path == "/file" {
				token = filmsToken
			}
			if got := ask("198.51.100.1:1", path, token); got != want {
				t.Errorf("%s: %q, want %s", path, got, want)
			}
		}
	})
}

// TestAStrangerIsNotAnsweredForLong: neither by what is for everybody, nor by being refused.
func TestAStrangerIsNotAnsweredForLong(t *testing.T) {
	for _, path := range []string{openapiPath, "/healthz", "/nothing", "/metrics"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := overTLS(t)
				c := l.dialFrom("192.0.2.1:1")
				defer c.Close()
				start := time.Now()
				for frame := range unread(t, c, path, "", 1) {
					if frame == http2.FrameRSTStream {
						if after := time.Since(start); after != strangerPatience {
							t.Errorf("after %s", after)
						}
						return
					}
				}
				t.Errorf("the connection ended after %s", time.Since(start))
			})
		})
	}
}

// TestOneTokenDoesNotTakeAllPlaces: whoever holds it may read nothing, too.
func TestOneTokenDoesNotTakeAllPlaces(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	v := &service{Site: s.Site, limits: newLimits(), secret: newSecret()}
	s.handler = headers(v.mux())
	var done []func()
	for range requestsOfToken {
		give, _ := v.limits.places.take("id-of-" + filmsToken)
		done = append(done, give)
	}
	if got := s.get(tenantsPath, filmsToken, 429); got.Header().Get("Retry-After") == "" {
		t.Errorf("headers %v", got.Header())
	}
	s.get(tenantsPath, usageToken, 200)
	done[0]()
	s.get(tenantsPath, filmsToken, 200)
	s.get(tenantsPath, filmsToken, 200) // it was given back
	s.get(w.folder(w.films, november)+"/nothing", filmsToken, 404)
	for i := range requestsAtOnce - (requestsOfToken - 1) {
		give, _ := v.limits.places.take(fmt.Sprint(i))
		done = append(done, give)
	}
	s.get(tenantsPath, usageToken, 503)
	s.get("/healthz", "", 200)
	s.get("/readyz", "", 200)
	s.get("/readyz", adminToken, 200)
	s.get(openapiPath, "", 200)
	s.get(tenantsPath, wrongToken, 401)
	for _, give := range done[1:] {
		give()
	}
	s.get(tenantsPath, usageToken, 200)
	if all, _ := v.limits.places.taken(""); all != 0 {
		t.Errorf("%d places are left", all)
	}
}

// TestStrangersBehindAProxyAreToldApart by what it says of them.
func TestStrangersBehindAProxyAreToldApart(t *testing.T) {
	s := serveWorld(t)
	s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	v := &service{Site: s.Site, limits: newLimits(), secret: newSecret()}
	s.handler = headers(v.mux())
	for range strangersOfClient {
		v.limits.strangers.take(netip.MustParsePrefix("198.51.100.7/32"))
	}
	s.get(openapiPath, "", 429, "X-Forwarded-For", "198.51.100.7")
	s.get(openapiPath, "", 200, "X-Forwarded-For", "198.51.100.8")
	s.get("/healthz", "", 200, "X-Forwarded-For", "198.51.100.7")
}

// TestABodyThatNobodyReadsIsNotKept: nothing takes one, so little of it is let come.
func TestABodyThatNobodyReadsIsNotKept(t *testing.T) {
	config := (&Site{Metrics: NewMetrics("v1"), Now: time.Now}).Server(nil).HTTP2
	if config.MaxReceiveBufferPerConnection != maxBodies || config.MaxReceiveBufferPerStream != maxBodies || config.MaxReadFrameSize != maxFrame || config.MaxConcurrentStreams != streamsOfOne {
		t.Errorf("%+v", config)
	}
}

// TestAnHTTP2ClientThatIsGoneIsLetGo: it answers no ping.
func TestAnHTTP2ClientThatIsGoneIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := overTLS(t)
		c := l.dialFrom("192.0.2.1:1")
		defer c.Close()
		start := time.Now()
		pinged := time.Duration(0)
		for frame := range unread(t, c, "/healthz", "", 0) {
			if frame == http2.FramePing {
				pinged = time.Since(start)
			}
		}
		if after := time.Since(start); pinged != pingEvery || after != pingEvery+pingPatience {
			t.Errorf("asked after %s, let go after %s", pinged, after)
		}
	})
}

// TestThoseWhoWaitForALookShareIt: strangers must not have the object store asked once for each of them.
func TestThoseWhoWaitForALookShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		looks, answer := 0, make(chan struct{})
		s.Now = time.Now
		s.Ready = func(context.Context) error {
			looks++
			<-answer
			return nil
		}
		s.Tokens = &fakeTokens{tokens: map[string]crypto.Token{}}
		handler := s.Handler()
		served := &served{t: t, Site: s, handler: handler}
		codes := make(chan int, 100)
		for range 100 {
			go func() { codes <- served.ask(http.MethodGet, "/readyz", "").Code }()
		}
		synctest.Wait()
		time.Sleep(2 * lookEvery)
		close(answer)
		for range 100 {
			if code := <-codes; code != 200 {
				t.Errorf("answered %d", code)
			}
		}
		if looks != 1 {
			t.Errorf("the daemon was looked at %d times", looks)
		}
	})
}
