package flussonic

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

var update = flag.Bool("update", false, "write testdata anew")

var sender = Options{Peer: netip.MustParseAddr("192.0.2.10"), Tenant: "films"}

// show is what a body came to, a line for each event and each refusal.
func show(r Result, err error) string {
	var b []byte
	for i := range r.Events {
		b = schemas.AppendEvent(b, &r.Events[i])
	}
	for _, x := range r.Refused {
		b = fmt.Appendf(b, "refused %d %s: %s\n", x.Index, x.Reason, x.Detail)
	}
	if r.Ignored > 0 {
		b = fmt.Appendf(b, "ignored %d\n", r.Ignored)
	}
	if err != nil {
		b = fmt.Appendf(b, "error: %v\n", err)
	}
	return string(b)
}

// bodies are the cases of testdata/decode.txtar.
func bodies(t testing.TB) *txtar.Archive {
	t.Helper()
	a, err := txtar.ParseFile("testdata/decode.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDecode(t *testing.T) {
	all := bodies(t)
	want := map[string]string{}
	for _, f := range all.Files {
		want[f.Name] = string(f.Data)
	}
	written := &txtar.Archive{Comment: all.Comment}
	for _, f := range all.Files {
		name, isBody := strings.CutPrefix(f.Name, "in: ")
		if !isBody {
			continue
		}
		got := show(DecodeAll(f.Data, sender))
		written.Files = append(written.Files, f, txtar.File{Name: "out: " + name, Data: []byte(got)})
		t.Run(name, func(t *testing.T) {
			if !*update && got != want["out: "+name] {
				t.Errorf("got\n%s\nwant\n%s", got, want["out: "+name])
			}
		})
	}
	if *update {
		if err := os.WriteFile("testdata/decode.txtar", txtar.Format(written), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrorsCanBeAskedFor(t *testing.T) {
	event := `{"event":"play_opened","id":"s","media":"news","server":"e","opened_at":1792390080000}`
	three := "[" + event + "," + event + "," + event + "]"
	o := sender
	o.MaxElements = 3
	if r, err := DecodeAll([]byte(three), o); err != nil || len(r.Events) != 3 {
		t.Errorf("three of at most three: %d events, %v", len(r.Events), err)
	}
	o.MaxElements = 2
	for name, body := range map[string]string{"a list": three, "an object": `{"events":` + three + `}`, "lines": event + "\n" + event + "\n" + event} {
		if r, err := DecodeAll([]byte(body), o); !errors.Is(err, ErrTooMany) || !errors.Is(err, ErrBody) || len(r.Events) != 0 {
			t.Errorf("three of at most two, as %s: %d events, %v", name, len(r.Events), err)
		}
	}
	if _, err := DecodeAll([]byte("nonsense"), sender); !errors.Is(err, ErrBody) || errors.Is(err, ErrTooMany) {
		t.Errorf("nonsense: %v", err)
	}
}

// TestOneEventIsHeldAtATime, however many a body has; and a visit that fails is the last.
func TestOneEventIsHeldAtATime(t *testing.T) {
	event := `{"event":"play_opened","id":"s","media":"news","server":"e","opened_at":1792390080000}`
	body := []byte("[" + strings.Repeat(event+",", 99) + event + "]")
	var held *schemas.Event
	visits, enough := 0, errors.New("enough")
	err := Decode(body, sender, func(x Element) error {
		if held == nil {
			held = x.Event
		}
		if x.Event != held || x.Index != visits {
			t.Fatalf("visit %d: element %d, another event", visits, x.Index)
		}
		if visits++; visits == 50 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || visits != 50 {
		t.Errorf("%d visits, %v", visits, err)
	}
}

func TestABodyThatEndsEarlyCanBeToldFromOneThatIsNone(t *testing.T) {
	for body, early := range map[string]bool{"[": true, `[{"event":`: true, `{"event":"play`: true, "{}\n{": true, "nonsense": false, "": false, "[]": false, "[x]": false} {
		if _, err := DecodeAll([]byte(body), sender); errors.Is(err, ErrEnd) != early || early && !errors.Is(err, ErrBody) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestRefusalsNameStreamAndServer, and no more of them than is shown.
func TestRefusalsNameStreamAndServer(t *testing.T) {
	long := strings.Repeat("é", 200)
	for _, tt := range []struct{ element, stream, server string }{
		{`{"event":"play_opened","media":"news","server":"edge","server_id":"5"}`, "news", "edge"},
		{`{"event":"play_opened","media":"news","server_id":"5"}`, "news", "5"},
		{`{"event":"play_opened","token":"sesame"}`, "", "192.0.2.10"},
		{`{"event":}`, "", "192.0.2.10"},
		{`{"event":"play_opened","media":"` + long + `","server":"` + long + `"}`, long[:maxShown], long[:maxShown]},
	} {
		r, err := DecodeAll([]byte("["+tt.element+"]"), sender)
		if err != nil || len(r.Refused) != 1 || r.Refused[0].Stream != tt.stream || r.Refused[0].Server != tt.server {
			t.Errorf("%s: %+v, %v", tt.element, r.Refused, err)
		}
	}
}

func TestDefaultLimitOfElements(t *testing.T) {
	body := []byte("[" + strings.Repeat("0,", MaxElements-1) + "0]")
	if r, err := DecodeAll(body, sender); err != nil || len(r.Refused) != MaxElements {
		t.Errorf("as many as allowed: %d refused, %v", len(r.Refused), err)
	}
	if _, err := DecodeAll(append(body[:len(body)-1], ",0]"...), sender); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
}

func TestLimitsAreThoseOfTheAccounting(t *testing.T) {
	if maxBytes != accounting.MaxBytes || maxMicros != accounting.MaxDuration {
		t.Errorf("%d bytes and %d µs, want %d and %d", maxBytes, maxMicros, accounting.MaxBytes, accounting.MaxDuration)
	}
}

func TestLongTextsAndDeepNests(t *testing.T) {
	long := strings.Repeat("a", 1023) + "é" // 1,025 bytes
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	element := func(members string) string {
		return `{"event":"play_opened","id":"s","media":"news","server":"e","opened_at":1792390080000,` + members + `}`
	}
	tests := []struct {
		name, element, refused string
	}{
		{"an object id of 1,024 bytes", element(`"media":"` + long[:1023] + `x"`), ""},
		{"an object id of 1,025 bytes", element(`"media":"` + long + `"`), "media is longer than 1024 bytes"},
		{"a session id of 1,025 bytes", element(`"id":"` + long + `"`), "id is longer than 1024 bytes"},
		{"an old session id of 1,025 bytes", element(`"session_id":"` + long + `"`), "session_id is longer than 1024 bytes"},
		{"a server id of 1,025 bytes", element(`"server_id":"` + long + `"`), "server_id is longer than 1024 bytes"},
		{"a host name of 1,025 bytes", element(`"server":"` + long + `"`), "server is longer than 1024 bytes"},
		{"32 levels", element(`"reason":` + deep(31)), ""},
		{"33 levels", element(`"reason":` + deep(32)), "is nested deeper than 32 levels"},
		{"5,000 levels", element(`"reason":` + deep(5000)), "is nested deeper than 32 levels"},
		{"a number of 400 digits", element(`"bytes":` + "1" + strings.Repeat("0", 399)), `bytes: "1000000000000000000000000000000000000000" is too large`},
		{"a number of 401 digits", element(`"bytes":1` + strings.Repeat("0", 400)), `bytes: "1000000000000000000000000000000000000000" is no number`},
		{"a number with a huge exponent", element(`"bytes":1e999999999999999999999`), `bytes: "1e999999999999999999999" is no number`},
		{"a number that is hardly any", element(`"duration":1e-999999`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := DecodeAll([]byte("["+tt.element+"]"), sender)
			got := ""
			if len(r.Refused) > 0 {
				got = r.Refused[0].Detail
			}
			if err != nil || got != tt.refused || len(r.Events)+len(r.Refused) != 1 {
				t.Errorf("refused %q (%v), want %q", got, err, tt.refused)
			}
		})
	}
	t.Run("a user agent of a megabyte is cut between characters", func(t *testing.T) {
		r, err := DecodeAll([]byte(element(`"user_agent":"a`+strings.Repeat("é", 500_000)+`"`)), sender)
		if err != nil || len(r.Events) != 1 || r.Events[0].UserAgent != "a"+strings.Repeat("é", (maxText-1)/2) {
			t.Errorf("%d events, %v", len(r.Events), err)
		}
	})
	t.Run("an id of an event that is too long gives way to the digest", func(t *testing.T) {
		r, err := DecodeAll([]byte(element(`"event_id":"`+strings.Repeat("x", 128)+`"`)+"\n"+element(`"event_id":"`+strings.Repeat("x", 129)+`"`)), sender)
		if err != nil || len(r.Events[0].EventID) != 128 || len(r.Events[1].EventID) != 64 {
			t.Errorf("%+v, %v", r.Events, err)
		}
	})
}

// TestAMillionLevels must not take the stack with it.
func TestAMillionLevels(t *testing.T) {
	good := `{"event":"play_opened","id":"s","media":"news","server":"e","opened_at":1792390080000}`
	for _, nest := range []string{strings.Repeat("[", 1_000_000), strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000), strings.Repeat(`{"events":`, 1_000_000)} {
		if r, err := DecodeAll([]byte(nest), sender); err == nil && len(r.Events)+len(r.Refused) > 1 {
			t.Errorf("%d events, %d refused", len(r.Events), len(r.Refused))
		}
	}
	r, err := DecodeAll([]byte("["+good+","+strings.Repeat("[", 1_000_000)+strings.Repeat("]", 1_000_000)+"]"), sender)
	if err != nil || len(r.Events) != 1 || len(r.Refused) != 1 {
		t.Errorf("beside a good one: %d events, %d refused, %v", len(r.Events), len(r.Refused), err)
	}
}

func TestBytesThatAreNotUTF8(t *testing.T) {
	r, err := DecodeAll([]byte("{\"event\":\"play_opened\",\"id\":\"s\",\"media\":\"a\xff\xfeb\",\"server\":\"e\",\"opened_at\":1792390080000}"), sender)
	if err != nil || len(r.Events) != 1 || r.Events[0].ObjectID != "a\uFFFD\uFFFDb" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWithoutASender(t *testing.T) {
	r, err := DecodeAll([]byte(`{"event":"play_opened","id":"s","media":"news","opened_at":1792390080000}`), Options{Tenant: "films"})
	if err != nil || len(r.Refused) != 1 || r.Refused[0].Detail != "server_id and server are missing: nobody knows which server it speaks of" {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = DecodeAll([]byte(`{"event":"play_opened","id":"s","media":"news","server":"e","opened_at":1792390080000}`), Options{Tenant: "films", Peer: netip.MustParseAddr("::ffff:192.0.2.1")})
	if err != nil || len(r.Events) != 1 || r.Events[0].NodeIP != "192.0.2.1" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestEveryPrefix cuts every body at every byte: what comes out is an error, or what the elements came to that are
// whole.
func TestEveryPrefix(t *testing.T) {
	for _, f := range bodies(t).Files {
		name, isBody := strings.CutPrefix(f.Name, "in: ")
		whole, err := DecodeAll(f.Data, sender)
		if !isBody || err != nil || len(whole.Events) == 0 {
			continue
		}
		var want []string
		for i := range whole.Events {
			want = append(want, string(schemas.AppendEvent(nil, &whole.Events[i])))
		}
		for n := range f.Data {
			r, err := DecodeAll(f.Data[:n], sender)
			if err != nil {
				continue
			}
			for i := range r.Events {
				if i >= len(want) || string(schemas.AppendEvent(nil, &r.Events[i])) != want[i] {
					t.Fatalf("%s, cut after %d bytes: event %d is %s", name, n, i, schemas.AppendEvent(nil, &r.Events[i]))
				}
			}
		}
	}
}

// TestLinesThatEndEarly are refused whole, so that they are sent again: a line that ends with the text inside of its
// object was cut off, one that is followed by a newline is merely bad.
func TestLinesThatEndEarly(t *testing.T) {
	line := `{"event":"play_opened","id":"s","media":"news","server":"e","opened_at":1792390080000}`
	for n := 1; n < len(line); n++ {
		if r, err := DecodeAll([]byte(line+"\n"+line[:n]), sender); !errors.Is(err, ErrBody) || len(r.Events) > 0 {
			t.Fatalf("cut after %d bytes: %d events, %v", n, len(r.Events), err)
		}
		if r, err := DecodeAll([]byte(line+"\n"+line[:n]+"\n"), sender); err != nil || len(r.Events) != 1 || len(r.Refused) != 1 {
			t.Fatalf("ended after %d bytes: %+v, %v", n, r, err)
		}
	}
}

// TestSameElementIsTheSameEvent posts an element in every shape.
func TestSameElementIsTheSameEvent(t *testing.T) {
	element := `{"event":"play_closed","id":"s1","media":"news","server":"e","bytes":5,"closed_at":1792390080000}`
	other := `{"event":"play_closed","id":"s2","media":"news","server":"e","bytes":6,"closed_at":1792390080000}`
	var first schemas.Event
	for i, body := range []string{element, "[" + element + "]", "[ " + other + " ,\n" + element + "\n]", `{"events":[` + element + `]}`, element + "\n" + other + "\n", "\xEF\xBB\xBF" + element} {
		r, err := DecodeAll([]byte(body), sender)
		if err != nil || len(r.Refused) > 0 {
			t.Fatalf("%s: %+v, %v", body, r.Refused, err)
		}
		found := false
		for _, e := range r.Events {
			if e.SessionID != "s1" {
				continue
			}
			if found = true; i == 0 {
				first = e
			}
			if a, b := schemas.AppendEvent(nil, &e), schemas.AppendEvent(nil, &first); !bytes.Equal(a, b) {
				t.Errorf("%s gives\n%s, not\n%s", body, a, b)
			}
		}
		if !found {
			t.Errorf("%s: the event is not there", body)
		}
	}
}

// TestSecretsOfTheViewerStayOut looks for what a query string holds.
func TestSecretsOfTheViewerStayOut(t *testing.T) {
	r, err := DecodeAll([]byte(`{"event":"play_opened","id":"s","media":"news","server":"e","opened_at":1792390080000,"query_string":"token=hunter2"}`), sender)
	if got := show(r, err); strings.Contains(got, "hunter2") || len(r.Events) != 1 {
		t.Errorf("got %s", got)
	}
}
