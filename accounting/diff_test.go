package accounting

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// reportOf makes a report of lines such as "film Playouts=2 PlayoutBytes=1000 title=A": an
// object and what it has. A line with title= or storage= is in the catalog.
func reportOf(t testing.TB, lines ...string) *UsageReport {
	t.Helper()
	bounds := NewBounds(october, october.End(), DefaultIdle)
	s := NewSums(bounds, DefaultRules())
	c := new(schemas.Catalog)
	for _, line := range lines {
		words := strings.Fields(line)
		o := s.find([]byte(words[0]))
		fact := schemas.CatalogObject{ID: schemas.Object(words[0]), StorageBytes: schemas.None, MasterDuration: schemas.None, MezzanineDuration: schemas.None}
		held := false
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, "=")
			n := int64(0)
			fmt.Sscan(value, &n)
			switch name {
			case "times":
				o.Playouts = n
			case "bytes":
				o.PlayoutBytes = schemas.SumOf(n)
			case "md":
				o.Video[TierMd][0] = schemas.SumOf(n)
			case "aac", "ac3":
				o.ingestAudio(name)
				o.IngestAudio[name], o.Ingests = schemas.SumOf(n), 1
			case "title":
				fact.Title, held = value, true
			case "length":
				fact.MasterDuration, held = n, true
			case "storage":
				fact.StorageBytes, held = n, true
			default:
				t.Fatalf("%q in %q", word, line)
			}
		}
		if held {
			c.Objects = append(c.Objects, fact)
		}
	}
	h := NewHoldings(bounds)
	h.Add(c, october.Start(), time.Time{})
	return &UsageReport{TenantID: "acme", Name: "Acme", Statement: s.statement, Holdings: h, Guard: true}
}

func show(changes func(func(UsageChange) bool)) string {
	var b strings.Builder
	for c := range changes {
		row := c.Object
		if c.Tenancy {
			row = "ALL"
		}
		fmt.Fprintf(&b, "%s %s %q>%q", row, c.Column, c.Before, c.After)
		if c.Delta != "" {
			b.WriteString(" " + c.Delta)
		}
		for _, cause := range c.Causes {
			b.WriteString(" " + string(cause))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestDiffUsage(t *testing.T) {
	tests := []struct {
		name          string
		before, after []string
		want          string
	}{
		{"nothing and nothing", nil, nil, ""},
		{"the same twice", []string{"film times=2 title=A"}, []string{"film times=2 title=A"}, ""},
		{"a number moves in its object and in the tenancy's row, which comes first",
			[]string{"film times=1 bytes=10"}, []string{"film times=1 bytes=7"},
			`ALL usage.playout.bytes "10">"7" -3
film usage.playout.bytes "10">"7" -3
`},
		{"seconds and hours are subtracted as the report shows them",
			[]string{"film times=1 md=2000000"}, []string{"film times=1 md=3600500000"},
			`ALL usage.playout.video_md_clear_sec "2">"3600.5" 3598.5
ALL usage.playout.video_total_hrs "0.000556">"1.000139" 0.999583
film usage.playout.video_md_clear_sec "2">"3600.5" 3598.5
film usage.playout.video_total_hrs "0.000556">"1.000139" 0.999583
`},
		{"of a new object what is neither empty nor 0 is listed, and always info.active",
			[]string{"a times=1"}, []string{"a times=1", "b times=0 title=T storage=0"},
			`b info.title "">"T"
b info.active "">"inactive"
`},
		{"an object that is no longer there goes to nothing",
			[]string{"a times=1", "b times=2"}, []string{"a times=1"},
			`ALL usage.playout.occurrences "3">"1" -2
b info.active "active">""
b usage.playout.occurrences "2">"" -2
`},
		{"a column that one side lacks is 0 there, and stands in its place",
			[]string{"a aac=1000000"}, []string{"a aac=1000000 ac3=500000", "b times=1"},
			`ALL usage.ingest.audio_ac3 "0">"0.5" 0.5
ALL usage.playout.occurrences "0">"1" 1
a usage.ingest.audio_ac3 "0">"0.5" 0.5
b info.active "">"active"
b usage.playout.occurrences "">"1" 1
`},
		{"a text has no delta, and a duration only where both know it",
			[]string{"a title=A length=1", "b title=B", "c length=1000000"}, []string{"a title=Z length=3", "b title=B length=5", "c title=C"},
			`a info.title "A">"Z"
a info.master.duration "0.000001">"0.000003" 0.000002
b info.master.duration "">"0.000005"
c info.title "">"C"
c info.master.duration "1">""
`},
		{"objects are in byte order, whichever side has them",
			[]string{"b times=1", "Z times=1"}, []string{"a times=1", "é times=1"},
			`Z info.active "active">""
Z usage.playout.occurrences "1">"" -1
a info.active "">"active"
a usage.playout.occurrences "">"1" 1
b info.active "active">""
b usage.playout.occurrences "1">"" -1
é info.active "">"active"
é usage.playout.occurrences "">"1" 1
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := reportOf(t, tt.before...), reportOf(t, tt.after...)
			if got := show(DiffUsage(before, after)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestDiffChain(t *testing.T) {
	tests := []struct {
		name  string
		steps []string // "cause: line; line"
		want  string
	}{
		{"only the steps that moved a cell are its causes, in their order and once each",
			[]string{": a bytes=1 times=1", "late: a bytes=2 times=1", "software: a bytes=3 times=1", "late: a bytes=5 times=2", "rules: a bytes=5 times=2"},
			`ALL usage.playout.bytes "1">"5" 4 software late
ALL usage.playout.occurrences "1">"2" 1 late
a usage.playout.bytes "1">"5" 4 software late
a usage.playout.occurrences "1">"2" 1 late
`},
		{"a cell that was moved and moved back is listed with the delta 0",
			[]string{": a title=A bytes=1", "withdrawn: a title=B bytes=0", "late: a title=A bytes=1"},
			`ALL usage.playout.bytes "1">"1" 0 withdrawn late
a info.title "A">"A" withdrawn late
a usage.playout.bytes "1">"1" 0 withdrawn late
`},
		{"an object that comes and goes",
			[]string{": a bytes=1", "late: a bytes=1; b bytes=2", "withdrawn: a bytes=1"},
			`ALL usage.playout.bytes "1">"1" 0 withdrawn late
b info.active "">"" withdrawn late
b usage.playout.bytes "">"" 0 withdrawn late
`},
		{"nothing to compare", []string{": a bytes=1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var steps []DiffStep
			for _, step := range tt.steps {
				cause, lines, _ := strings.Cut(step, ":")
				steps = append(steps, DiffStep{Cause(cause), reportOf(t, strings.Split(lines, ";")...)})
			}
			if got := show(DiffChain(steps)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// randomReport is a report of a few objects with a little of everything.
func randomReport(t testing.TB, r *rand.Rand) *UsageReport {
	var lines []string
	for _, id := range []string{"a", "b", "=c", "-d", "e,\"f", "\tg"} {
		if r.IntN(3) == 0 {
			continue
		}
		line := id
		for _, word := range []string{"times", "bytes", "md", "aac", "ac3", "storage", "length"} {
			if r.IntN(2) == 0 {
				line += fmt.Sprintf(" %s=%d", word, r.IntN(4)*r.IntN(3_000_000))
			}
		}
		if r.IntN(2) == 0 {
			line += " title=" + pick(r, "T", "=T", "+1", "'x")
		}
		lines = append(lines, strings.Replace(line, "\tg", "g", 1))
	}
	return reportOf(t, lines...)
}

// cellsOf reads a report that was written, without its guard.
func cellsOf(t testing.TB, u *UsageReport) map[string]map[string]string {
	t.Helper()
	plain := *u
	plain.Guard = false
	var file bytes.Buffer
	if _, _, err := plain.Write(&file); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]map[string]string)
	for _, row := range rows[1:] {
		cells := make(map[string]string)
		for i, name := range rows[0] {
			cells[name] = row[i]
		}
		out[row[len(row)-1]+" "+row[0]] = cells
	}
	return out
}

// TestADiffAppliedToTheOneReportGivesTheOther adds deltas, and puts texts in place.
func TestADiffAppliedToTheOneReportGivesTheOther(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		before, after := randomReport(t, r), randomReport(t, r)
		cells, want := cellsOf(t, before), cellsOf(t, after)
		for c := range DiffUsage(before, after) {
			key := kindOfRow(c.Tenancy) + " " + c.Object
			if cells[key] == nil {
				cells[key] = make(map[string]string)
			}
			was := cells[key][c.Column]
			if was != c.Before && !(was == "" && c.Before == "0") {
				t.Errorf("seed %d: %s of %s was %q, the diff says %q", seed, c.Column, key, was, c.Before)
			}
			if UnitOf(c.Column).IsNumber() {
				cells[key][c.Column] = plus(t, was, c.Delta)
			} else {
				cells[key][c.Column] = c.After
			}
		}
		for key, row := range cells {
			if want[key] == nil && row["info.active"] != "" {
				t.Errorf("seed %d: %s is still there", seed, key)
			}
			for column, cell := range row {
				if column == "object_id" || column == "row" {
					continue
				}
				if w := want[key][column]; cell != w && !(none(cell) && none(w)) {
					t.Errorf("seed %d: %s of %s comes to %q, want %q", seed, column, key, cell, w)
				}
			}
		}
		for key, row := range want {
			for column, w := range row {
				if cell := cells[key][column]; column != "object_id" && column != "row" && cell != w && !(none(cell) && none(w)) {
					t.Errorf("seed %d: %s of %s is %q, want %q", seed, column, key, cell, w)
				}
			}
		}
	}
}

func none(cell string) bool { return cell == "" || cell == "0" }

func plus(t testing.TB, cell, delta string) string {
	t.Helper()
	if cell == "" {
		cell = "0"
	}
	a, ok := new(big.Rat).SetString(cell)
	b, ok2 := new(big.Rat).SetString(delta)
	if !ok || !ok2 {
		t.Fatalf("%q + %q", cell, delta)
	}
	text := a.Add(a, b).FloatString(6)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func TestTheDiffFileIsReadAsItWasWritten(t *testing.T) {
	changes := []UsageChange{
		{Object: "acme", Column: "usage.playout.bytes", Before: "1", After: "0", Delta: "-1", Causes: []Cause{CauseLate, CauseRules}, Tenancy: true},
		{Object: "iq__\r\n\",x", Column: "info.title", Before: "a,b", After: "say \"hi\"\n", Causes: []Cause{}},
		{Object: "", Column: "", Causes: []Cause{CauseSoftware}},
		{Object: "\x00\xff\x1b[31m", Column: "info.active", Before: "active", Causes: []Cause{}},
	}
	var file bytes.Buffer
	n, err := WriteUsageDiff(&file, slices.Values(changes), false)
	if err != nil || n != 4 {
		t.Fatalf("wrote %d: %v", n, err)
	}
	var got []UsageChange
	for c, err := range ReadUsageDiff(&file) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	if !reflect.DeepEqual(got, changes) {
		t.Errorf("read\n%#v\nwant\n%#v", got, changes)
	}
}

func TestTheDiffFileIsGuardedAsItsReportIs(t *testing.T) {
	var file strings.Builder
	WriteUsageDiff(&file, slices.Values([]UsageChange{
		{Object: "=1", Column: "info.title", Before: "-1", After: "@x"},
		{Object: "-1", Column: "info.library_id", Before: "-1", After: "@x"},
		{Object: "+1", Column: "usage.updated", Before: "1", After: "0", Delta: "-1"},
	}), true)
	want := `object_id,column,before,after,delta,causes,row
'=1,info.title,'-1,'@x,,,object
-1,info.library_id,-1,'@x,,,object
+1,usage.updated,1,0,-1,,object
`
	if file.String() != want {
		t.Errorf("got\n%s\nwant\n%s", file.String(), want)
	}
}

func TestWhatIsNoDiffIsAnError(t *testing.T) {
	head := strings.Join(UsageDiffColumns, ",") + "\n"
	for _, text := range []string{"", "a,b\n", head + "a\n", head + "a,b,c,d,e,f,g\n", head + "a,b,c,d,e,f,object", head + "\"a\"b,,,,,,object\n", head + "a\"b,,,,,,object\n", head + "\"a"} {
		failed := false
		for _, err := range ReadUsageDiff(strings.NewReader(text)) {
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("%q was read", text)
		}
	}
}

func FuzzReadUsageDiff(f *testing.F) {
	head := strings.Join(UsageDiffColumns, ",") + "\n"
	f.Add(head + "a,info.title,x,y,,late;rules,object\n")
	f.Add(head + "\"a\r\n\"\"\",b,1,2,1,,tenancy\n")
	f.Fuzz(func(t *testing.T, text string) {
		var all []UsageChange
		for c, err := range ReadUsageDiff(strings.NewReader(text)) {
			if err != nil {
				return
			}
			all = append(all, c)
		}
		var file bytes.Buffer
		if _, err := WriteUsageDiff(&file, slices.Values(all), false); err != nil {
			t.Fatal(err)
		}
		i := 0
		for c, err := range ReadUsageDiff(&file) {
			if err != nil || !reflect.DeepEqual(c, all[i]) {
				t.Fatalf("%#v came back as %#v, %v", all[i], c, err)
			}
			i++
		}
	})
}

// BenchmarkDiff compares two reports in which one object in a thousand moved.
func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("objects=%d", n), func(b *testing.B) {
			before, after := wideReport(n), wideReport(n)
			i := 0
			for _, o := range after.Statement.Objects {
				if i++; i%1000 == 0 {
					o.Playouts++
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := WriteUsageDiff(io.Discard, DiffUsage(before, after), true); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
		})
	}
}
