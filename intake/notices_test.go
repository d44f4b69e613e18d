package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/intake/flussonic"
)

// told are notices and what they have warned of.
type told struct {
	*Notices
	now time.Time
	out bytes.Buffer
}

func newTold() *told {
	n := &told{now: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}
	n.Notices = NewNotices(slog.New(slog.NewTextHandler(&n.out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, slog.MessageKey, slog.LevelKey, "do":
			return slog.Attr{}
		}
		return a
	}})), func() time.Time { return n.now })
	return n
}

// lines takes what was warned of.
func (n *told) lines() string {
	defer n.out.Reset()
	return n.out.String()
}

func TestALossIsToldOnceAndThenHourly(t *testing.T) {
	n := newTold()
	news := Loss{Reason: "no_rule", Stream: "news"}
	for _, step := range []struct {
		after time.Duration
		loss  Loss
		want  string
	}{
		{0, news, "reason=no_rule rows=3 stream=news\n"},
		{time.Second, news, ""},
		{0, Loss{Reason: "other_tenant", Stream: "news"}, "reason=other_tenant rows=3 stream=news\n"},
		{0, Loss{Reason: "bad_time", Server: "edge 1"}, "reason=bad_time rows=3 server=\"edge 1\"\n"},
		{time.Hour - time.Second - 1, news, ""},
		{1, news, "reason=no_rule rows=9 stream=news\n"},
		{1, news, ""},
	} {
		n.now = n.now.Add(step.after)
		n.tell(map[Loss]int{step.loss: 3})
		if got := n.lines(); got != step.want {
			t.Errorf("%s, %v: warned %q, want %q", n.now, step.loss, got, step.want)
		}
	}
	var none *Notices
	none.tell(map[Loss]int{news: 1})
}

// TestOnlySoManyLossesAreRemembered, whatever streams are made up: the others are told together.
func TestOnlySoManyLossesAreRemembered(t *testing.T) {
	n := newTold()
	some := func(from, count int) {
		for i := from; i < from+count; i++ {
			n.tell(map[Loss]int{{Reason: "no_rule", Stream: fmt.Sprint(i)}: 1})
		}
	}
	some(0, maxNotices)
	if got := strings.Count(n.lines(), "\n"); got != maxNotices {
		t.Errorf("%d warnings", got)
	}
	some(maxNotices, 5000)
	if got := n.lines(); got != "reason=no_rule rows=1 of=\"streams or servers that are not named here\"\n" || len(n.told) > maxNotices+1 {
		t.Errorf("of the others: %s, %d remembered", got, len(n.told))
	}
	n.now = n.now.Add(2 * time.Hour)
	some(20_000, 1)
	if got := n.lines(); got != "reason=no_rule rows=1 stream=20000\n" || len(n.told) != 1 {
		t.Errorf("later: %s, %d remembered", got, len(n.told))
	}
}

func flussonicPost(body string) *Post {
	return &Post{Header: http.Header{}, Body: strings.NewReader(body), Peer: netip.MustParseAddr("192.0.2.7"), Trusted: true, SpeaksFor: func(node string) bool { return node != "foreign" }}
}

// TestWhatServersLoseIsToldByReason: in the log, in the receipt, and in the counts, beyond the refusals that a receipt names.
func TestWhatServersLoseIsToldByReason(t *testing.T) {
	record := func(members string) string {
		return `{"event":"play_opened","user_id":"ann","ip":"203.0.113.9","token":"sesame",` + members + `}`
	}
	whole := `"id":"s","server":"edge","opened_at":1792390080000`
	var records []string
	for range maxRefusals + 50 {
		records = append(records, record(`"media":"unmapped",`+whole))
	}
	records = append(records, record(`"media":"news",`+whole), record(`"media":"news","server":"foreign","id":"s","opened_at":1792390080000`), record(`"media":"mine",`+whole),
		record(`"media":"news","server":"edge","id":"s"`), record(whole), record(`"media":"news","server":"edge","closed_at":1792390080000`),
		record(`"media":"news","bytes":-1,`+whole), `{"a":}`, "")
	n, in := newTold(), New(new(kept))
	in.Notices = n.Notices
	in.SetRules(&Rules{Streams: flussonic.Rules{{Match: "news", Tenant: "t1"}, {Match: "mine", Tenant: "mine"}}})
	r, err := in.Flussonic(t.Context(), flussonicPost("["+strings.Join(records, ",")+"]"))
	if err != nil || r.Accepted != 1 || r.Refused != len(records)-1 || len(r.Refusals) != maxRefusals {
		t.Fatalf("%+v, %v", r, err)
	}
	want := map[string]int64{"no_rule": maxRefusals + 50, "other_node": 1, "stream_is_tenant": 1, "bad_time": 1, "no_stream": 1, "no_session": 1, "implausible": 1, "bad_record": 2}
	if got := in.Counts.Now().Refused; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	lines := n.lines()
	for _, line := range []string{"reason=no_rule rows=150 stream=unmapped", "reason=other_node rows=1 server=foreign", "reason=stream_is_tenant rows=1 stream=mine",
		"reason=bad_time rows=1 server=edge", "reason=no_stream rows=1 server=edge", "reason=no_session rows=1 server=edge", "reason=implausible rows=1 server=edge",
		"reason=bad_record rows=2 server=192.0.2.7"} {
		if !strings.Contains(lines, line+"\n") {
			t.Errorf("%q is not in\n%s", line, lines)
		}
	}
	if strings.Count(lines, "\n") != len(want) {
		t.Errorf("warned\n%s", lines)
	}
	for _, secret := range []string{"ann", "203.0.113.9", "sesame"} {
		if strings.Contains(lines, secret) {
			t.Errorf("%s is a viewer's:\n%s", secret, lines)
		}
	}
}

func TestAPostHasOnlySoManyLosses(t *testing.T) {
	var records []string
	for i := range 3 * maxLosses {
		records = append(records, fmt.Sprintf(`{"event":"play_opened","media":"m%d","id":"s","server":"e","opened_at":1792390080000}`, i))
	}
	n, in := newTold(), New(new(kept))
	in.Notices = n.Notices
	if r, err := in.Flussonic(t.Context(), flussonicPost(strings.Join(records, "\n"))); err != nil || len(r.lost) != maxLosses+1 || r.Refused != len(records) {
		t.Errorf("%d losses, %d refused, %v", len(r.lost), r.Refused, err)
	}
	if got := n.lines(); strings.Count(got, "\n") != maxLosses+1 || !strings.Contains(got, "rows=200 of=") {
		t.Errorf("warned\n%s", got)
	}
}

// fullDisk keeps nothing.
type fullDisk struct{}

func (fullDisk) Append(context.Context, []Chunk) error { return ErrDisk }

// TestWhatIsSentAgainIsNotLostYet: a post that is not stored warns of nothing.
func TestWhatIsSentAgainIsNotLostYet(t *testing.T) {
	n, in := newTold(), New(fullDisk{})
	in.Notices = n.Notices
	_, err := in.Flussonic(t.Context(), flussonicPost(`{"event":"play_opened","media":"m","id":"s","server":"e","opened_at":1792390080000}`))
	if got := n.lines(); !errors.Is(err, ErrDisk) || got != "" || len(in.Counts.Now().Refused) > 0 {
		t.Errorf("%v, warned %s", err, got)
	}
}

// TestBodiesOfServersThatNobodyCanRead are answered for good, or they would be sent for ever; those that end early are not.
func TestBodiesOfServersThatNobodyCanRead(t *testing.T) {
	utf16 := func(text string) string {
		var b strings.Builder
		for _, c := range []byte(text) {
			b.Write([]byte{c, 0})
		}
		return b.String()
	}
	for _, tt := range []struct {
		name, body, want string
		err              error
	}{
		{"nothing", "", "", nil},
		{"white space and a byte order mark", "\uFEFF \r\n", "", nil},
		{"20,000 levels", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "bad_record", nil},
		{"UTF-16", utf16(`[{"event":"play_opened"}]`), "bad_record", nil},
		{"UTF-16 with its mark", "\xFF\xFE" + utf16(`[{"event":"play_opened"}]`), "bad_record", nil},
		{"UTF-16 the other way around", "\x00" + utf16(`[{"event":"play_opened"}]`), "bad_record", nil},
		{"a number", "17", "bad_record", nil},
		{"a form", "event=play_opened", reasonBody, nil},
		{"no JSON in a list", "[play_opened]", "bad_record", nil},
		{"a list that ends early", `[{"event":"play_opened"}`, "", ErrBody},
		{"an object that ends early", `{"event":"play_opened"`, "", ErrBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := New(new(kept)).Flussonic(t.Context(), flussonicPost(tt.body))
			if !errors.Is(err, tt.err) {
				t.Fatalf("%+v, %v", r, err)
			}
			for _, x := range r.Refusals {
				if x.Reason != tt.want {
					t.Errorf("refused for %+v", x)
				}
			}
			if (tt.want != "") != (r.Refused > 0) {
				t.Errorf("%+v", r)
			}
		})
	}
}
