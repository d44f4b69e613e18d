package web

import (
	"math"
	"testing"
	"time"
)

func TestBytesFigure(t *testing.T) {
	tests := []struct {
		name        string
		n           int64
		text, exact string
	}{
		{"nothing", 0, "0 B", "0 bytes"},
		{"one byte is not several", 1, "1 B", "1 byte"},
		{"the last that is written out", 999, "999 B", "999 bytes"},
		{"the first kilobyte", 1000, "1.00 kB", "1,000 bytes"},
		{"a half is rounded away from zero", 1005, "1.01 kB", "1,005 bytes"},
		{"less than a half is not", 1004, "1.00 kB", "1,004 bytes"},
		{"two digits before the point", 12_345, "12.3 kB", "12,345 bytes"},
		{"rounding takes a digit more", 9_995, "10.0 kB", "9,995 bytes"},
		{"three digits before the point", 999_499, "999 kB", "999,499 bytes"},
		{"rounding reaches the next unit", 999_500, "1.00 MB", "999,500 bytes"},
		{"a gigabyte and a quarter", 1_250_000_000, "1.25 GB", "1,250,000,000 bytes"},
		{"a terabyte", 1_000_000_000_000, "1.00 TB", "1,000,000,000,000 bytes"},
		{"the most there is", math.MaxInt64, "9.22 EB", "9,223,372,036,854,775,807 bytes"},
		{"a correction downwards", -1500, "-1.50 kB", "-1,500 bytes"},
		{"the least there is", math.MinInt64, "-9.22 EB", "-9,223,372,036,854,775,808 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := bytesFigure(tt.n); got != (figure{tt.text, tt.exact}) {
				t.Errorf("bytesFigure(%d) = %q (%q), want %q (%q)", tt.n, got.Text, got.Exact, tt.text, tt.exact)
			}
		})
	}
}

func TestSpanFigure(t *testing.T) {
	const second, minute, hour = int64(1_000_000), int64(60_000_000), int64(3_600_000_000)
	tests := []struct {
		name        string
		micros      int64
		text, exact string
	}{
		{"nothing", 0, "0 s", "0 s"},
		{"a microsecond", 1, "under 0.1 s", "0.000001 s"},
		{"two thousand and two milliseconds", 2_002_000, "2 s", "2.002 s"},
		{"tenths where they matter", 4_250_000, "4.3 s", "4.25 s"},
		{"rounding reaches ten seconds", 9_960_000, "10 s", "9.96 s"},
		{"seconds", 59 * second, "59 s", "59 s"},
		{"rounding reaches the minute", minute - 1, "1 min", "59.999999 s"},
		{"minutes and seconds", 3*minute + 5*second, "3 min 5 s", "185 s"},
		{"rounding reaches the hour", hour - 1, "1 h", "3,599.999999 s"},
		{"hours and minutes", 3*hour + 12*minute, "3 h 12 min", "11,520 s"},
		{"the last with minutes", 99*hour + 59*minute, "99 h 59 min", "359,940 s"},
		{"hours alone", 100 * hour, "100 h", "360,000 s"},
		{"rounding reaches hours alone", 100*hour - 1, "100 h", "359,999.999999 s"},
		{"many hours are grouped", 41_234*hour + 30*minute, "41,235 h", "148,444,200 s"},
		{"no trailing zeros", 300_300_000, "5 min", "300.3 s"},
		{"a correction downwards", -90 * second, "-1 min 30 s", "-90 s"},
		{"less than a second downwards keeps its sign", -500_000, "-0.5 s", "-0.5 s"},
		{"the most there is", math.MaxInt64, "2,562,047,788 h", "9,223,372,036,854.775807 s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := spanFigure(tt.micros); got != (figure{tt.text, tt.exact}) {
				t.Errorf("spanFigure(%d) = %q (%q), want %q (%q)", tt.micros, got.Text, got.Exact, tt.text, tt.exact)
			}
		})
	}
}

func TestShareOf(t *testing.T) {
	tests := []struct {
		name        string
		part, whole int64
		want        int
		text        string
	}{
		{"nothing of nothing", 0, 0, 0, "0 %"},
		{"something of nothing", 5, 0, 0, "0 %"},
		{"nothing of something", 0, 5, 0, "0 %"},
		{"all of it", 7, 7, 1000, "100 %"},
		{"more than all of it is all of it", 8, 7, 1000, "100 %"},
		{"a third", 1, 3, 333, "33.3 %"},
		{"two thirds are rounded up", 2, 3, 667, "66.7 %"},
		{"half a thousandth is rounded up", 1, 2000, 1, "0.1 %"},
		{"less is not", 1, 2001, 0, "0 %"},
		{"nearly all of it is rounded to all", 99_999, 100_000, 1000, "100 %"},
		{"sums whose thousandfold does not fit", math.MaxInt64 / 2, math.MaxInt64, 500, "50 %"},
		{"one below the most there is", math.MaxInt64 - 1, math.MaxInt64, 1000, "100 %"},
		{"a correction downwards", -1, 5, 0, "0 %"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := shareOf(tt.part, tt.whole)
			if text := permilleFigure(got).Text; got != tt.want || text != tt.text {
				t.Errorf("shareOf(%d, %d) = %d (%s), want %d (%s)", tt.part, tt.whole, got, text, tt.want, tt.text)
			}
		})
	}
}

func TestInstants(t *testing.T) {
	berlin := time.FixedZone("", 2*3600)
	tests := []struct {
		name          string
		at            time.Time
		text, machine string
	}{
		{"no time is no instant", time.Time{}, "", ""},
		{"UTC as it is", time.Date(2026, 10, 14, 9, 17, 3, 123_000_000, time.UTC), "2026-10-14 09:17:03", "2026-10-14T09:17:03.123Z"},
		{"another zone's is UTC's", time.Date(2026, 10, 14, 1, 0, 0, 0, berlin), "2026-10-13 23:00:00", "2026-10-13T23:00:00.000Z"},
		{"cut, and not rounded", time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC), "2026-12-31 23:59:59", "2026-12-31T23:59:59.999Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := instantOf(tt.at); got.Text != tt.text || got.Machine != tt.machine {
				t.Errorf("%q %q, want %q %q", got.Text, got.Machine, tt.text, tt.machine)
			}
		})
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 10, 14, 9, 17, 3, 0, time.UTC)
	tests := []struct {
		name string
		then time.Time
		want string
	}{
		{"no time was never", time.Time{}, "never"},
		{"this very moment", now, "now"},
		{"one minute", now.Add(-time.Minute), "1 minute ago"},
		{"minutes", now.Add(-4*time.Minute - 59*time.Second), "4 minutes ago"},
		{"still to come", now.Add(3 * time.Hour), "3 hours from now"},
		{"days", now.AddDate(0, 0, -3), "3 days ago"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ago(tt.then, now); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestCountryName(t *testing.T) {
	for code, want := range map[string]string{
		"": "unknown", "DE": "Germany", "GB": "United Kingdom", "US": "United States", "XK": "Kosovo", "CI": "Côte d’Ivoire",
		"001": "001", "ZZ": "ZZ", "<b>": "<b>", "DEU": "DEU", "150": "150", "NONE": "NONE", "\xff\xff": "\xff\xff",
	} {
		if got := countryName(code); got != want {
			t.Errorf("%q is %q, want %q", code, got, want)
		}
	}
}
