package schemas

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// oddTexts are what a text may hold.
var oddTexts = []string{"", "a", "iq__2", `quo"te`, `back\slash`, "line\nbreak\ttab\r\x00\x1f", "größe 日本語 \U0001F4FA", "\u2028\u2029\u007f", "</script>", "-1", "null", strings.Repeat("x", 100)}

func randomEvent(r *rand.Rand) Event {
	text := func() string { return oddTexts[r.IntN(len(oddTexts))] }
	e := Event{EventID: text(), Time: Earliest + r.Int64N(Latest-Earliest)}
	if r.IntN(2) == 0 {
		e.Time -= e.Time % 1e6
	}
	for c := range NumStringColumns {
		*e.text(c) = text()
	}
	for _, p := range []**int64{&e.Seq, &e.Bytes, &e.DurationMicros} {
		if r.IntN(3) > 0 {
			*p = new([]int64{0, 1, -1, math.MaxInt64, -1e18, r.Int64()}[r.IntN(6)])
		}
	}
	for _, p := range []**int32{&e.Status, &e.Width, &e.Height, &e.Segment, &e.SourceWidth, &e.SourceHeight} {
		if r.IntN(3) > 0 {
			*p = new([]int32{0, 1, -1, math.MaxInt32, math.MinInt32, r.Int32()}[r.IntN(6)])
		}
	}
	for _, p := range []**int64{&e.OpenedAt, &e.ClosedAt} {
		if r.IntN(3) > 0 {
			*p = new(Earliest + r.Int64N(Latest-Earliest))
		}
	}
	for _, p := range []**bool{&e.DRM, &e.Live} {
		if r.IntN(3) > 0 {
			*p = new(r.IntN(2) == 0)
		}
	}
	return e
}

func TestAnEventThatIsWrittenIsReadAsItWas(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var wrote []Event
	var text []byte
	for range 3 * linesPerBatch / 2 {
		e := randomEvent(r)
		wrote = append(wrote, e)
		text = AppendEvent(text, &e)
	}
	if n := bytes.Count(text, []byte{'\n'}); n != len(wrote) {
		t.Fatalf("%d events make %d lines", len(wrote), n)
	}
	lines := NewEventLines()
	for round := range 2 { // used again, it begins anew
		lines.Reset(bytes.NewReader(text))
		n := 0
		for {
			b, err := lines.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if b.FirstRow != int64(n) {
				t.Fatalf("round %d: the batch after %d rows says that it begins at %d", round, n, b.FirstRow)
			}
			for i := range b.Len {
				var e Event
				if b.Event(i, &e); !reflect.DeepEqual(e, wrote[n]) {
					t.Fatalf("event %d\nread  %s\nwrote %s", n, AppendEvent(nil, &e), AppendEvent(nil, &wrote[n]))
				}
				if b.Bad != nil && b.Bad[i] != ReasonNone {
					t.Fatalf("event %d is %s\n%s", n, b.Bad[i], AppendEvent(nil, &wrote[n]))
				}
				n++
			}
		}
		if n != len(wrote) {
			t.Fatalf("round %d: read %d of %d events", round, n, len(wrote))
		}
	}
}

func TestEventLines(t *testing.T) {
	read := func(text string) string {
		l := NewEventLines()
		l.Reset(strings.NewReader(text))
		var out []string
		for {
			b, err := l.Next()
			if err == io.EOF {
				return strings.Join(out, " ")
			} else if err != nil {
				return err.Error()
			}
			for i := range b.Len {
				var e Event
				b.Event(i, &e)
				if b.Bad != nil && b.Bad[i] != ReasonNone {
					out = append(out, b.Bad[i].String())
					continue
				}
				at := "-"
				if e.Time != None {
					at = time.Unix(0, e.Time).UTC().Format("15:04")
				}
				out = append(out, e.NodeID+"@"+at)
			}
		}
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"blank lines are none", "\n \r\n\n", ""},
		{"a line without an end", `{"node_id":"n","time":"2026-10-01T09:30:00Z"}`, "n@09:30"},
		{"a mark at the beginning is passed over", "\uFEFF" + `{"node_id":"n"}`, "n@-"},
		{"no object", `["n"]` + "\n" + `{"node_id":"m"}`, "bad_line m@-"},
		{"a value that does not convert", `{"node_id":"n","bytes":"many"}`, "bad_value"},
		{"a number past 32 bits", `{"node_id":"n","width":99999999999}`, "bad_value"},
		{"texts that are not UTF-8 are mended", "{\"node_id\":\"a\xffb\"}", "a\uFFFDb@-"},
		{"a line that is too long", `{"node_id":"` + strings.Repeat("x", maxText) + `"}` + "\n" + `{"node_id":"m"}`, "bad_line m@-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read(tt.text); got != tt.want {
				t.Errorf("read %q\ngot  %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestTextsThatAreNotUTF8AreWrittenMended(t *testing.T) {
	e := Event{NodeID: "a\xff\xc3b"}
	if got, want := string(AppendEvent(nil, &e)), `{"time":0,"node_id":"a`+"\uFFFD\uFFFD"+`b"}`+"\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func BenchmarkEventLines(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	e := randomEvent(r)
	e.UserAgent, e.Referrer = "Mozilla/5.0", "https://a.example/"
	var text []byte
	for range 1000 {
		text = AppendEvent(text, &e)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			text = text[:0]
			for range 1000 {
				text = AppendEvent(text, &e)
			}
		}
		b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("read", func(b *testing.B) {
		l := NewEventLines()
		b.ReportAllocs()
		for b.Loop() {
			l.Reset(bytes.NewReader(text))
			for {
				batch, err := l.Next()
				if err != nil {
					break
				}
				var e Event
				for i := range batch.Len {
					batch.Event(i, &e)
				}
			}
		}
		b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
