package main

import (
	"math/big"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/reporter"
)

func TestExactly(t *testing.T) {
	tests := []struct{ value, exact, unit, want string }{
		{"3500", "3500", "bytes", "3500 bytes."},
		{"0.001667", "6", "seconds", "6 seconds, which the report shows as 0.001667 hours."},
		{"2", "7200", "byte seconds", "7200 byte seconds, which the report shows as 2 byte hours."},
	}
	for _, tt := range tests {
		if got := exactly(&reporter.ExplainedColumn{Value: tt.value, Exact: tt.exact, Unit: tt.unit}); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestPercentAndRest(t *testing.T) {
	c := &reporter.ExplainedColumn{Exact: "30000000000000000000000000000003", Unit: "bytes"}
	if got := percent("10000000000000000000000000000001", c); got != "33.3" {
		t.Errorf("a third is %s %%", got)
	}
	if got := percent("1", &reporter.ExplainedColumn{Exact: "0"}); got != "" {
		t.Errorf("a share of nothing is %s %%", got)
	}
	for want, left := range map[string]*big.Rat{
		"and 2 more shares: 10 bytes (--top 0 shows them)\n":     big.NewRat(10, 1),
		"and 2 more shares: 0.0025 bytes (--top 0 shows them)\n": big.NewRat(1, 400),
	} {
		if got := rest(2, left, c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestNothingSteersTheTerminal gives hostile ids, names and files to what is printed.
func TestNothingSteersTheTerminal(t *testing.T) {
	const evil = "\x1b[2J\r\u009b1m"
	var out strings.Builder
	a := &app{out: &out}
	e := &reporter.Explanation{Object: evil, Name: evil, Columns: []reporter.ExplainedColumn{{Column: "usage.updated", Value: "1", Exact: "1", Unit: "times", AddsUp: true,
		Shares: []reporter.FileShare{{File: evil, Value: "1"}}, Sessions: []reporter.SessionShare{{Object: evil, SessionID: evil, Value: "1"}}}}}
	d := &reporter.Diff{Inputs: reporter.InputsDiff{New: []string{evil}}, Changes: func(yield func(accounting.UsageChange) bool) {
		yield(accounting.UsageChange{Object: evil, Column: "info.title", Before: evil, After: evil})
	}}
	d.A.Software = evil
	for _, err := range []error{a.tellColumns(e), a.tellColumn(e, &e.Columns[0], 20), a.tellDiff(d, 10)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if strings.ContainsAny(out.String(), "\x1b\r\u009b") {
		t.Errorf("printed %q", out.String())
	}
}
