package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-10-14": "2026-10-14T00:00:00Z", "2026-10-14T09:30": "2026-10-14T09:30:00Z", "2026-10-14 09:30:05": "2026-10-14T09:30:05Z",
		"2026-10-14T09:30:05Z": "2026-10-14T09:30:05Z", "2026-10-14T01:00:00+02:00": "2026-10-13T23:00:00Z", "2024-02-29": "2024-02-29T00:00:00Z",
		"2026-02-29": "", "14.10.2026": "", "": "", "2026-10-14T09": "", "2026-10-14T24:00": "",
	} {
		got, err := parseTime(text)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q is %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestShellWordsComeBackAsTheyWere(t *testing.T) {
	for in, want := range map[string]string{
		"plain-1.txt": "plain-1.txt", "": "''", "with space": "'with space'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a;b": "'a;b'",
	} {
		if got := shellWord(in); got != want {
			t.Errorf("%q is written %s, want %s", in, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	tbl := &table{head: []string{"NAME", "N"}, right: []string{"N"}, most: 10}
	tbl.add("夜の灯台", 1)
	tbl.add("a\x1b[31mred\n", 22)
	tbl.add("much too long for a cell", 333)
	var b strings.Builder
	if err := tbl.write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME          N\n夜の灯台      1\na\uFFFD[31mred    22\nmuch too …  333\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestDrawBar(t *testing.T) {
	tests := []struct {
		name        string
		done, total int64
		took        time.Duration
		want        string
	}{
		{"nothing yet", 0, 100, 0, "work  ░░░░░░░░░░░░░░░░░░░░░░░░   0%  0 files of 100 files"},
		{"half, and long enough to guess", 50, 100, 10 * time.Second, "work  ████████████░░░░░░░░░░░░  50%  50 files of 100 files  10s left"},
		{"all", 100, 100, time.Minute, "work  ████████████████████████ 100%  100 files of 100 files"},
		{"more than all", 150, 100, 0, "work  ████████████████████████ 100%  150 files of 100 files"},
		{"nobody knows of how many", 7, 0, 0, "work  7 files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := drawBar("work", tt.done, tt.total, "files", tt.took); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestAmountsOfDataAreSaidAsOnPages: a kilobyte is 1,000 bytes wherever people read one; what they write has the units that they choose.
func TestAmountsOfDataAreSaidAsOnPages(t *testing.T) {
	for n, want := range map[int64]string{-1: "0 B", 0: "0 B", 999: "999 B", 1000: "1.00 kB", 1024: "1.02 kB", 1 << 30: "1.07 GB"} {
		if got := amount(n, "bytes"); got != want {
			t.Errorf("%d bytes are said to be %s, want %s", n, got, want)
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("there are no sources: %v", err)
	}
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"IBytes(", "Bytes(uint64", "BigBytes("} {
			if strings.Contains(string(text), "humanize."+other) {
				t.Errorf("%s says an amount of data with humanize.%s): web.Bytes says it as pages do", name, other)
			}
		}
	}
}

func TestDemoMonth(t *testing.T) {
	tests := []struct {
		name, now, month string
		wantMonth, until string // empty: refused
	}{
		{"later in the month", "2026-10-14T09:17:00Z", "", "2026-10", "2026-10-14T09:00:00Z"},
		{"on the third day the month before", "2026-10-03T23:59:59Z", "", "2026-09", "2026-10-01T00:00:00Z"},
		{"from the fourth day on this one", "2026-10-04T00:00:00Z", "", "2026-10", "2026-10-04T00:00:00Z"},
		{"in January the December before", "2027-01-02T10:00:00Z", "", "2026-12", "2027-01-01T00:00:00Z"},
		{"an old one is whole", "2026-10-14T09:17:00Z", "2025-02", "2025-02", "2025-03-01T00:00:00Z"},
		{"one to come is refused", "2026-10-14T09:17:00Z", "2026-11", "", ""},
		{"one that is not an hour old is refused", "2026-10-01T00:59:00Z", "2026-10", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := demo{app: &app{}}
			if tt.month != "" {
				d.month, _ = schemas.ParsePeriod(tt.month)
			}
			now, _ := time.Parse(time.RFC3339, tt.now)
			err := d.choose(now)
			if tt.until == "" {
				if err == nil {
					t.Errorf("took %s until %s", d.month, d.until)
				}
			} else if err != nil || d.month.String() != tt.wantMonth || d.until.Format(time.RFC3339) != tt.until {
				t.Errorf("%s until %s, %v; want %s until %s", d.month, d.until.Format(time.RFC3339), err, tt.wantMonth, tt.until)
			}
		})
	}
}
