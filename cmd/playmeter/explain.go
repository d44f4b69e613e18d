package main

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

const explainHelp = `Shows where a number of the current usage report comes from: which usage files, which
of their hours, and how much each of them gave. The shares are added up, and the
command says whether they come to the number exactly.

With --column it takes one number apart, the largest shares first. Without it, it lists
the object's columns that are not zero, and how many files and hours each comes from.
--object with the tenant's own id explains the tenancy's row.

Views, and what servers reported as whole sessions, are listed by session. Columns of the
catalog (storage, storage.byte_hours, info.*) are listed by snapshot. Hours are
explained in seconds, byte hours in byte seconds: these are exact, and the report rounds
them once.

What was counted is read, not the usage files; so a number can be explained after they
are gone. Only where the as-of divides an hour are the files with rows on both sides of it
read again.`

// explaining is what explain was asked for.
type explaining struct {
	tenant schemas.Tenant
	month  schemas.Period
	object string
	column string
	top    int
}

func explainCommand(a *app) *cobra.Command {
	var x explaining
	c := &cobra.Command{
		Use: "explain --tenant ID --month YYYY-MM --object ID", Short: "Show which usage files a number comes from", Long: explainHelp, GroupID: "look", Args: cobra.NoArgs,
		Example: `  playmeter explain --tenant iten4EXAMPLE --month 2026-10 --object iq__4EXAMPLE
  playmeter explain --tenant iten4EXAMPLE --month 2026-10 --object iq__4EXAMPLE --column usage.playout.bytes
  playmeter explain --tenant iten4EXAMPLE --month 2026-10 --object iten4EXAMPLE --column usage.playout.views --json`,
	}
	c.Flags().Var(&textFlag{kind: "ID", set: func(s string) (err error) { x.tenant, err = schemas.ParseTenant(s); return err }}, "tenant", "the tenant")
	monthFlag(c, &x.month, "the month (default the current one)")
	c.Flags().StringVar(&x.object, "object", "", "`ID` of the object; the tenant's for the tenancy's row")
	c.Flags().StringVar(&x.column, "column", "", "`NAME` of a column of the usage report")
	c.Flags().IntVar(&x.top, "top", 20, "show the largest `N` shares (0: all)")
	a.jsonFlag(c)
	c.MarkFlagRequired("tenant")
	c.MarkFlagRequired("object")
	c.RunE = a.do(func(ctx context.Context, _ []string) error { return a.explain(ctx, x) })
	return c
}

func (a *app) explain(ctx context.Context, x explaining) error {
	if x.month.IsZero() {
		x.month = schemas.PeriodOf(time.Now())
	}
	s, err := a.open(ctx, toRead)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := a.takeApart(ctx, s, x)
	if err != nil {
		return err
	}
	a.warnLikeness(e.Report, e.Run)
	switch {
	case a.json:
		err = a.printJSON(e)
	case x.column != "":
		err = a.tellColumn(e, &e.Columns[0], x.top)
	default:
		err = a.tellColumns(e)
	}
	if err != nil {
		return err
	}
	for i := range e.Columns {
		if c := &e.Columns[i]; c.Unit != "" && !c.AddsUp {
			return fmt.Errorf("%s is %s, and its shares come to %s %s: what is stored of the run does not fit together. Keep it, and report this", c.Column, c.Exact, c.Sum, c.Unit)
		}
	}
	return nil
}

func (a *app) takeApart(ctx context.Context, s *site, x explaining) (*reporter.Explanation, error) {
	p := a.progress()
	defer p.end()
	known := showProgress(p)
	before := s.show(func(at reporter.Progress) {
		if at.Stage == "explain" {
			p.at("taking apart", at.Done, at.Total, at.Unit)
			return
		}
		known(at)
	})
	defer func() { s.show(before) }()
	return s.reporter.Explain(ctx, x.tenant, x.month, x.object, x.column)
}

// subject names the row and the run.
func subject(e *reporter.Explanation) (row, run string) {
	row = printable(e.Object)
	if e.Name != "" {
		row += " (" + cutText(printable(e.Name), 60) + ")"
	}
	sealed := ""
	if e.Report == reporter.LikeIdentical {
		sealed = "; the report, made again, is the sealed one to the byte"
	}
	return row, fmt.Sprintf("Run %s of %s for %s, as of %s (%s)%s.", e.Run, e.Tenant, e.Period, e.AsOf, e.State, sealed)
}

// tellColumns lists the columns in short.
func (a *app) tellColumns(e *reporter.Explanation) error {
	row, run := subject(e)
	fmt.Fprintf(a.out, "%s\n%s\n", row, run)
	if len(e.Columns) == 0 {
		fmt.Fprintln(a.out, "\nNo usage was counted for it: every usage column is 0.")
		return nil
	}
	t := &table{head: []string{"COLUMN", "VALUE", "FILES", "HOURS", "SESSIONS", "LARGEST FILE"}, right: []string{"VALUE", "FILES", "HOURS", "SESSIONS"}, most: 80}
	exact := 0
	for i := range e.Columns {
		c := &e.Columns[i]
		if c.AddsUp {
			exact++
		}
		sessions := int64(0)
		for _, s := range c.Sessions {
			sessions += s.Sessions
		}
		t.add(c.Column, c.Value, humanize.Comma(int64(c.Files)), humanize.Comma(int64(c.Hours)), humanize.Comma(sessions), largestFile(c))
	}
	fmt.Fprintln(a.out)
	if err := t.write(a.out); err != nil {
		return err
	}
	if exact == len(e.Columns) {
		fmt.Fprint(a.out, "\nThe shares of each column add up to it exactly. --column NAME lists them.\n")
	}
	return nil
}

// largestFile is the file that gave most, over its hours.
func largestFile(c *reporter.ExplainedColumn) string {
	sums := make(map[string]*big.Rat)
	best := ""
	for _, s := range c.Shares {
		if sums[s.File] == nil {
			sums[s.File] = new(big.Rat)
		}
		sum := sums[s.File].Add(sums[s.File], decimal(s.Value))
		if order := 1; best != "" && best != s.File {
			if order = sum.Cmp(sums[best]); order < 0 || order == 0 && s.File > best {
				continue
			}
		}
		best = s.File
	}
	return best
}

// decimal reads a decimal of ours.
func decimal(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return new(big.Rat)
	}
	return r
}

// tellColumn takes one number apart.
func (a *app) tellColumn(e *reporter.Explanation, c *reporter.ExplainedColumn, top int) error {
	row, run := subject(e)
	value := printable(c.Value)
	if c.Value == "" {
		value = "empty"
	}
	fmt.Fprintf(a.out, "%s of %s is %s.\n%s\n", c.Column, row, value, run)
	if c.Note != "" {
		fmt.Fprintf(a.out, "%s: %s.\n", map[string]string{"catalog": "Catalog", "usage": "Usage", "": "It"}[c.Source], c.Note)
	}
	if c.Unit == "" {
		return snapshotTable(c).writeIfAny(a)
	}
	switch {
	case c.Exact == "0" && len(c.Snapshots) == 0:
		fmt.Fprintln(a.out, "Nothing was counted for it.")
	case c.AddsUp:
		fmt.Fprintf(a.out, "%s add up to it exactly: %s\n", sharesOf(c), exactly(c))
	}
	if t, rest := fileTable(c, top); len(t.rows) > 0 {
		if err := t.writeIfAny(a); err != nil {
			return err
		}
		fmt.Fprint(a.out, rest)
	}
	if t, rest := sessionTable(e, c, top); len(t.rows) > 0 {
		if err := t.writeIfAny(a); err != nil {
			return err
		}
		fmt.Fprint(a.out, rest)
	}
	return snapshotTable(c).writeIfAny(a)
}

// sharesOf says what the number was put together from.
func sharesOf(c *reporter.ExplainedColumn) string {
	var parts []string
	if c.Files > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s in %s", count(len(c.Shares), "share"), count(c.Files, "usage file"), count(c.Hours, "hour")))
	}
	sessions := int64(0)
	for _, s := range c.Sessions {
		sessions += s.Sessions
	}
	if sessions > 0 {
		parts = append(parts, count(int(sessions), "session"))
	}
	if len(c.Snapshots) > 0 {
		parts = append(parts, count(len(c.Snapshots), "catalog snapshot"))
	}
	if len(parts) == 0 {
		return "No shares"
	}
	return strings.Join(parts, " and ")
}

// exactly says what the shares come to, and how the report rounds it.
func exactly(c *reporter.ExplainedColumn) string {
	if c.Exact == c.Value {
		return c.Exact + " " + c.Unit + "."
	}
	return fmt.Sprintf("%s %s, which the report shows as %s %s.", c.Exact, c.Unit, c.Value, strings.ReplaceAll(c.Unit, "seconds", "hours"))
}

// percent is a share of the whole, to a tenth.
func percent(part string, c *reporter.ExplainedColumn) string {
	whole := decimal(c.Exact)
	if whole.Sign() == 0 {
		return ""
	}
	r := decimal(part)
	return r.Mul(r.Quo(r, whole), big.NewRat(100, 1)).FloatString(1)
}

// rest is the line for the shares that are not shown.
func rest(n int, left *big.Rat, c *reporter.ExplainedColumn) string {
	if n == 0 {
		return ""
	}
	text := left.FloatString(6)
	text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	return fmt.Sprintf("and %s: %s %s (--top 0 shows them)\n", count(n, "more share"), text, c.Unit)
}

func fileTable(c *reporter.ExplainedColumn, top int) (*table, string) {
	t := &table{head: []string{strings.ToUpper(c.Unit), "%", "HOUR", "FILE"}, right: []string{strings.ToUpper(c.Unit), "%"}, most: 100}
	left, n := new(big.Rat), 0
	for i, s := range c.Shares {
		if top > 0 && i >= top {
			left, n = left.Add(left, decimal(s.Value)), n+1
			continue
		}
		file := s.File
		if s.Gone {
			file += " (gone from the bucket)"
		}
		t.add(s.Value, percent(s.Value, c), s.Hour.Format("2006-01-02 15:00Z"), file)
	}
	return t, rest(n, left, c)
}

func sessionTable(e *reporter.Explanation, c *reporter.ExplainedColumn, top int) (*table, string) {
	head := []string{strings.ToUpper(c.Unit), "%", "BEGAN", "SESSION"}
	if e.Row == "tenancy" {
		head = []string{strings.ToUpper(c.Unit), "%", "SESSIONS", "OBJECT"}
	}
	t := &table{head: head, right: []string{head[0], "%", "SESSIONS"}, most: 80}
	left, n := new(big.Rat), 0
	for i, s := range c.Sessions {
		switch {
		case top > 0 && i >= top:
			left, n = left.Add(left, decimal(s.Value)), n+1
		case s.Start != nil:
			t.add(s.Value, percent(s.Value, c), s.Start.Format("2006-01-02 15:04:05.000Z"), s.SessionID)
		default:
			t.add(s.Value, percent(s.Value, c), humanize.Comma(s.Sessions), s.Object)
		}
	}
	return t, rest(n, left, c)
}

func snapshotTable(c *reporter.ExplainedColumn) *table {
	t := &table{head: []string{"SNAPSHOT", "IN FORCE FROM", "UNTIL", "STORAGE", "BYTE SECONDS"}, right: []string{"STORAGE", "BYTE SECONDS"}, most: 60}
	for _, s := range c.Snapshots {
		t.add(s.Snapshot, s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339), s.Storage, s.Value)
	}
	return t
}

// writeIfAny prints a table behind an empty line, unless it has no rows.
func (t *table) writeIfAny(a *app) error {
	if len(t.rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	return t.write(a.out)
}
