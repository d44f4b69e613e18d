package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/reporter"
)

const diffHelp = `Shows what changed in the usage report between two runs, by object and column, and
what the runs were made from: usage files that are new, replaced or gone, the as-of, the
catalog, the rules, the software.

A and B are written TENANT/YYYY-MM (the current run of the month),
TENANT/YYYY-MM/RUN or TENANT/YYYY-MM/restatement-N; B may be the RUN alone, of A's
month. Runs are named by their as-of, as "playmeter status" and the folders under runs/
show them. Two months of a tenant can be compared as well.

Of a run that is not current, the report is made again from what was counted then:
neither usage files nor reports are read, and nothing is written. Only where the
as-of of such a run divides an hour are the usage files of that hour needed.

In a number's line, before + delta = after, exactly. A cause is named where B is the later
run and the two differ in one respect only. The exit code is 0 whether or not anything
differs.`

// diffing is what diff was asked for.
type diffing struct {
	a, b  reporter.RunID
	csv   bool
	lines int
}

func diffCommand(a *app) *cobra.Command {
	var d diffing
	c := &cobra.Command{
		Use: "diff A B", Short: "Show what changed between two runs", Long: diffHelp, GroupID: "look",
		Args: func(_ *cobra.Command, args []string) error { return d.parse(args) },
		Example: `  playmeter diff iten4EXAMPLE/2026-10/2026-10-14T09-17-00Z iten4EXAMPLE/2026-10
  playmeter diff iten4EXAMPLE/2026-10 2026-10-31T23-17-00Z
  playmeter diff iten4EXAMPLE/2026-09 iten4EXAMPLE/2026-10 --csv > months.csv`,
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&d.csv, "csv", false, "print the cells that differ as CSV, and nothing else")
	c.Flags().IntVarP(&d.lines, "lines", "n", 100, "lines of the table (0: all)")
	c.MarkFlagsMutuallyExclusive("csv", "json")
	c.RunE = a.do(func(ctx context.Context, _ []string) error { return a.diff(ctx, d) })
	return c
}

func (d *diffing) parse(args []string) (err error) {
	if len(args) != 2 {
		return errors.New("say which two runs to compare, such as iten4EXAMPLE/2026-10/2026-10-14T09-17-00Z iten4EXAMPLE/2026-10")
	}
	if d.a, err = reporter.ParseRunID(args[0], nil); err != nil {
		return err
	}
	d.b, err = reporter.ParseRunID(args[1], &d.a)
	return err
}

func (a *app) diff(ctx context.Context, o diffing) error {
	s, err := a.open(ctx, toRead)
	if err != nil {
		return err
	}
	defer s.close()
	d, err := a.compare(ctx, s, o)
	if errors.Is(err, reporter.ErrTenants) {
		return usageError{err}
	} else if err != nil {
		return err
	}
	for _, r := range []*reporter.RunFacts{&d.A, &d.B} {
		a.warnLikeness(r.Report, r.Run)
	}
	switch {
	case o.csv:
		_, err = accounting.WriteUsageDiff(a.out, d.Changes, d.Guard)
		return err
	case a.json:
		return a.diffJSON(d)
	}
	return a.tellDiff(d, o.lines)
}

func (a *app) compare(ctx context.Context, s *site, o diffing) (*reporter.Diff, error) {
	p := a.progress()
	defer p.end()
	before := s.show(showProgress(p))
	defer func() { s.show(before) }()
	return s.reporter.Diff(ctx, o.a, o.b)
}

// warnLikeness says so where a report that was made again is not the one that was sealed.
func (a *app) warnLikeness(l reporter.Likeness, run string) {
	if l == reporter.LikeOther {
		a.say("warning: the usage report of run %s, made again, is not to the byte the one that was sealed: a catalog snapshot or the software has changed since", run)
	}
}

// diffJSON prints a diff as one JSON object, a change a line.
func (a *app) diffJSON(d *reporter.Diff) error {
	head, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.out, "%s,\n  \"changes\": [", strings.TrimSuffix(string(head), "\n}")); err != nil {
		return err
	}
	sep := "\n    "
	for c := range d.Changes {
		line, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.out, "%s%s", sep, line); err != nil {
			return err
		}
		sep = ",\n    "
	}
	_, err = fmt.Fprint(a.out, "\n  ]\n}\n")
	return err
}

func (a *app) tellDiff(d *reporter.Diff, most int) error {
	fmt.Fprintf(a.out, "A  %s\nB  %s\n", runLine(&d.A), runLine(&d.B))
	for _, line := range inputLines(d) {
		fmt.Fprintln(a.out, line)
	}
	t, cells, objects := diffTable(d.Changes, most)
	if cells == 0 {
		fmt.Fprintln(a.out, "\nNothing differs: the usage reports of the two runs say the same.")
		return nil
	}
	fmt.Fprintln(a.out)
	if err := t.write(a.out); err != nil {
		return err
	}
	if more := cells - len(t.rows); more > 0 {
		fmt.Fprintf(a.out, "and %s more: -n 0 shows them, --csv and --json have them all\n", humanize.Comma(int64(more)))
	}
	fmt.Fprintf(a.out, "\n%s of %s differ, the tenancy's row counted as one.\n", count(cells, "cell"), count(objects, "row"))
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return humanize.Comma(int64(n)) + " " + what + "s"
}

func runLine(r *reporter.RunFacts) string {
	return fmt.Sprintf("%s/%s/%s: as of %s, %s, %s, software %s", r.Tenant, r.Period, r.Run, r.AsOf, r.State, count(r.Files, "usage file"), printable(r.Software))
}

// inputLines says in which respects the two runs were made from other things.
func inputLines(d *reporter.Diff) []string {
	var lines []string
	files := func(what string, keys []string) {
		if len(keys) == 0 {
			return
		}
		line := fmt.Sprintf("%s: ", count(len(keys), "usage file")+" "+what)
		for i, key := range keys {
			if i == 3 {
				line += fmt.Sprintf(", and %s more (--json names them)", humanize.Comma(int64(len(keys)-i)))
				break
			}
			if i > 0 {
				line += ", "
			}
			line += printable(key)
		}
		lines = append(lines, line)
	}
	files("new in B", d.Inputs.New)
	files("replaced in B", d.Inputs.Replaced)
	files("counted otherwise in B", d.Inputs.Recounted)
	files("that only A counts", d.Inputs.Withdrawn)
	files("gone from the usage bucket and still counted in B", d.Inputs.Gone)
	if d.A.AsOf != d.B.AsOf {
		lines = append(lines, fmt.Sprintf("another as-of: %s, then %s", d.A.AsOf, d.B.AsOf))
	}
	if !slices.Equal(d.A.Catalog, d.B.Catalog) {
		lines = append(lines, fmt.Sprintf("another catalog: %s, then %s", snapshots(d.A.Catalog), snapshots(d.B.Catalog)))
	}
	if d.A.Rules != d.B.Rules {
		lines = append(lines, "other rules: compare \"rules\" in the two manifests")
	}
	if d.A.Software != d.B.Software {
		lines = append(lines, "other software: "+printable(d.A.Software)+", then "+printable(d.B.Software))
	}
	return lines
}

// snapshots names the newest of a run's snapshots and how many there are.
func snapshots(names []string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	return fmt.Sprintf("%s (of %d)", names[len(names)-1], len(names))
}

// diffTable lays out the first lines, and counts cells and rows.
func diffTable(changes iter.Seq[accounting.UsageChange], most int) (t *table, cells, rows int) {
	t = &table{head: []string{"OBJECT", "COLUMN", "BEFORE", "AFTER", "DELTA", "CAUSES"}, right: []string{"BEFORE", "AFTER", "DELTA"}, most: 48}
	last, causes := "", false
	for c := range changes {
		object := c.Object
		if c.Tenancy {
			object = "ALL OF " + c.Object
		}
		if cells == 0 || object != last {
			rows++
		}
		last = object
		if cells++; most > 0 && cells > most {
			continue
		}
		var why []string
		for _, cause := range c.Causes {
			why, causes = append(why, string(cause)), true
		}
		delta := c.Delta
		if delta != "" && delta[0] != '-' {
			delta = "+" + delta
		}
		t.add(object, c.Column, c.Before, c.After, delta, strings.Join(why, " "))
	}
	if !causes {
		t.head = t.head[:5]
		for i := range t.rows {
			t.rows[i] = t.rows[i][:5]
		}
	}
	return t, cells, rows
}
