package accounting

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// tallyLines tallies NDJSON lines.
func tallyLines(t *testing.T, lines string) (schemas.Member, *packBytes, error) {
	t.Helper()
	src, err := schemas.OpenUsage("f.ndjson", strings.NewReader(lines), int64(len(lines)))
	if err != nil {
		t.Fatal(err)
	}
	out := &packBytes{}
	b := NewPackBuilder(&out.data)
	member, err := Tally(src, TallyOptions{Idle: DefaultIdle}, b)
	if err != nil {
		return member, nil, err
	}
	b.Finish(member)
	out.index, err = b.Close()
	return member, out, err
}

func line(tenant, object string, second int, more string) string {
	return fmt.Sprintf(`{"node_id":"n","time":"2026-10-05T10:%02d:%02dZ","tenant_id":%q,"kind":"playout","object_id":%q,"session_id":"s"%s}`+"\n",
		second/60%60, second%60, tenant, object, more)
}

func TestAColumnOfTenThousandTenantsSetsTheFileAside(t *testing.T) {
	var lines strings.Builder
	for i := range MaxTenants + 1 {
		lines.WriteString(line(fmt.Sprintf("t%d", i), "o", i, ""))
	}
	if _, _, err := tallyLines(t, lines.String()); !errors.Is(err, schemas.ErrUnreadable) {
		t.Errorf("got %v, want ErrUnreadable", err)
	}
}

func TestManySizesAndNodesStayFastAndAddUp(t *testing.T) {
	var lines strings.Builder
	const n = 30_000
	for i := range n {
		lines.WriteString(strings.Replace(line("acme", "o", i%3600, fmt.Sprintf(`,"bytes":10,"width":%d,"height":9,"duration_us":2`, i+1)), `"n"`, fmt.Sprintf(`"n%d"`, i%2000), 1))
	}
	_, pack, err := tallyLines(t, lines.String())
	if err != nil {
		t.Fatal(err)
	}
	var count, micros int64
	pack.rows(t, schemas.BlockSums, func(encoded []byte) {
		var row schemas.SumRow
		if err := schemas.DecodeSumRow(encoded, &row); err != nil {
			t.Fatal(err)
		}
		if row.Measure == schemas.MeasureVideo {
			count += row.Count
			micros += row.Micros
		}
	})
	if count != n || micros != 2*n {
		t.Errorf("%d requests and %d µs, want %d and %d", count, micros, n, 2*n)
	}
}

func TestLongTextsAreHandedOnInPieces(t *testing.T) {
	agent := strings.Repeat("a", 900_000)
	var lines strings.Builder
	for i := range 120 {
		lines.WriteString(strings.Replace(line("acme", "o", i, fmt.Sprintf(`,"user_agent":%q`, agent)), `"s"`, fmt.Sprintf(`"s%d"`, i), 1))
	}
	_, pack, err := tallyLines(t, lines.String())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(sessionsOf(t, NewBounds(october, october.End(), DefaultIdle), pack)); got != 120 {
		t.Errorf("%d sessions, want 120", got)
	}
}

// TestAFragmentEndsBeforeItsSumsWrap reaches into the part: the rows that it takes to get there
// by counting are millions.
func TestAFragmentEndsBeforeItsSumsWrap(t *testing.T) {
	lines := line("acme", "o", 1, `,"duration_us":5`) + line("acme", "o", 2, `,"duration_us":5`)
	src, err := schemas.OpenUsage("f.ndjson", strings.NewReader(lines), int64(len(lines)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := src.Part(0).Next()
	if err != nil {
		t.Fatal(err)
	}
	p := newPart(&TallyOptions{Idle: DefaultIdle}, 0, func(*rows) error { return nil })
	if err := p.add(b); err != nil {
		t.Fatal(err)
	}
	f := p.fragments.all[0]
	f.micros = overflow + 1
	var c columns
	p.absent.fill(&c, b)
	p.row(&c, 1, 1)
	if len(p.fragments.all) != 2 || f.micros != overflow+1 {
		t.Errorf("%d fragments, the full one has %d µs", len(p.fragments.all), f.micros)
	}
}

func TestPercentOfAbsurdDurations(t *testing.T) {
	for _, tt := range []struct{ duration, segments, long, want int64 }{
		{1<<63 - 1, 400, MaxDuration, 1}, {100, 3, 10, 30_00}, {101, 11, 10, 100_00}, {100, 1, 0, schemas.None}, {100, 0, 10, schemas.None}, {7, 1, 3, 33_33},
	} {
		s := &schemas.Session{HasVideo: true}
		if got := percent(s, Facts{Duration: tt.duration, VideoSegments: schemas.None}, tt.segments, tt.long); got != tt.want {
			t.Errorf("%+v gives %d", tt, got)
		}
	}
}

func TestADamagedFileInTheMiddleLeavesAMemberThatCountsForNothing(t *testing.T) {
	var file bytes.Buffer
	w := schemas.NewUsageWriter(&file)
	at := october.Start().Add(time.Hour).UnixNano()
	var events []schemas.Event
	for i := range 50_000 {
		events = append(events, schemas.Event{NodeID: "n", Time: at + int64(i), TenantID: "acme", Kind: "playout", ObjectID: "o", EventID: fmt.Sprint(i)})
	}
	if err := errors.Join(w.Write(events), w.Close()); err != nil {
		t.Fatal(err)
	}
	data := bytes.Clone(file.Bytes())
	for i := len(data) / 2; i < len(data)/2+64; i++ {
		data[i] ^= 0xff
	}
	src, err := schemas.OpenUsage("f.parquet", bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	b := NewPackBuilder(io.Discard)
	if _, err := Tally(src, TallyOptions{Idle: DefaultIdle}, b); !errors.Is(err, schemas.ErrUnreadable) {
		t.Fatalf("got %v, want ErrUnreadable", err)
	}
	b.Finish(schemas.Member{Key: "f.parquet", Tally: "t", Unreadable: "damaged"})
	index, err := b.Close()
	if err != nil {
		t.Fatal(err)
	}
	if len(index.Members) != 2 || index.Members[0].Tally != "" || index.Members[1].Unreadable == "" {
		t.Errorf("members are %+v", index.Members)
	}
}
