package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/intake/flussonic"
)

// slowChest takes its time to keep anything.
type slowChest struct {
	chest
	takes time.Duration
}

func (c *slowChest) Append(ctx context.Context, chunks []intake.Chunk) error {
	select {
	case <-time.After(c.takes):
		return c.chest.Append(ctx, chunks)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pipedIntake is a server on pipes that takes posts.
func pipedIntake(t *testing.T, kept intake.Appender) *pipes {
	in, log, m := intake.New(kept), slog.New(slog.DiscardHandler), NewMetrics("v1")
	in.SetRules(&intake.Rules{Streams: flussonic.Rules{{Match: "cam", Tenant: "iten1"}}, Signers: []intake.Signer{{Key: signKey, Tenant: "iten1"}}})
	site := &Site{Version: "v1", Started: time.Now(), Metrics: m, Now: time.Now, Log: log, Intake: in, Audit: NewAudit(new(memory), log, m),
		Tokens: &fakeTokens{tokens: map[string]crypto.Token{nodeToken: {ID: "node", Role: crypto.RoleNode}}}}
	server, l, ended := site.Server(nil), newPipes(), make(chan error, 1)
	go func() { ended <- site.Serve(server, l) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
		site.Audit.Close()
	})
	return l
}

// TestABodyIsWaitedForAsLongAsItComes, and of strangers not for long.
func TestABodyIsWaitedForAsLongAsItComes(t *testing.T) {
	const token, signature = "Authorization: Bearer " + nodeToken, "X-Signature: aa"
	for _, tt := range []struct {
		name, header string
		every        time.Duration // between its bytes
		bytes        int           // that come; there are 30
		stores       time.Duration
		status       int
		after        time.Duration
	}{
		{"all at once", token, 0, 30, 0, 200, 0},
		{"nothing comes", token, 0, 0, 0, 408, silencePatience},
		{"it stops", token, time.Second, 5, 0, 408, 4*time.Second + silencePatience},
		{"it comes slowly", token, time.Second, 30, 0, 200, 29 * time.Second},
		{"it comes too slowly", token, silencePatience - time.Second, 30, 0, 408, answerPatience},
		{"it is stored slowly", token, 0, 30, answerPatience / 2, 200, answerPatience / 2},
		{"a stranger's, all at once", signature, 0, 30, 0, 401, 0},
		{"a stranger's, of which nothing comes", signature, 0, 0, 0, 408, silencePatience},
		{"a stranger's that comes slowly", signature, time.Second, 30, 0, 408, silencePatience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipedIntake(t, &slowChest{takes: tt.stores}).dial()
				wrote := make(chan struct{})
				defer func() {
					c.Close()
					<-wrote
				}()
				go func() {
					defer close(wrote)
					fmt.Fprintf(c, "POST /intake/flussonic HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 30\r\n\r\n", tt.header)
					for i, b := range strings.Repeat(" ", tt.bytes) {
						if i > 0 && tt.every > 0 {
							time.Sleep(tt.every)
						}
						if _, err := io.WriteString(c, string(b)); err != nil {
							return
						}
					}
				}()
				start := time.Now()
				r, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				if after := time.Since(start); r.StatusCode != tt.status || after != tt.after {
					t.Errorf("%d after %s, want %d after %s", r.StatusCode, after, tt.status, tt.after)
				}
			})
		})
	}
}

// TestMemoryIsSharedOutBySender: by token, and by address as long as there is no more to go by.
func TestMemoryIsSharedOutBySender(t *testing.T) {
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		name    string
		caller  caller
		sender  string
		trusted bool
	}{
		{"a token", caller{signed: true, token: crypto.Token{ID: "abc"}, address: here}, "abc", true},
		{"a stranger", caller{address: here}, "192.0.2.1/32", false},
		{"a stranger's network", caller{address: there}, "2001:db8::/64", false},
		{"one whose token was revoked is a stranger", caller{token: crypto.Token{ID: "abc"}, address: here}, "192.0.2.1/32", false},
		{"anybody on this machine, without tokens", caller{local: true, address: here}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := &request{Request: httptest.NewRequest(http.MethodPost, "/", nil), caller: tt.caller}
			if p := q.toPost("", nil); p.Sender != tt.sender || p.Trusted != tt.trusted || (p.SpeaksFor != nil) != tt.caller.signed {
				t.Errorf("%+v", p)
			}
		})
	}
}
