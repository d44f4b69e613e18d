package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

const fetchHelp = `Gets a report out of the reporting bucket, checks it against its manifest,
decrypts and unpacks it: what comes out is the CSV.

Of a month that was restated it is the final report all the same; --restatement N
gets that of a restatement, and "fetch usage.diff" what a restatement (the newest,
unless --restatement says which) changed of usage, with the causes.

With -o the CSV appears under its name only when it is whole and checked, and
only you can read it. Without -o it is printed, once it is whole and checked. When
something is wrong nothing comes out.

The identity is an age identity file ("playmeter keygen", age-keygen) or an SSH
private key; "-" reads it from standard input.`

// fetching is what fetch was asked for.
type fetching struct {
	report   schemas.Report
	tenant   schemas.Tenant
	month    schemas.Period
	identity string
	output   string
	table    bool
	lines    int

	restatement int // 0: none
}

// fetchable are the reports, and what a restatement changed.
var fetchable = []string{string(schemas.ReportUsage), string(schemas.ReportSessions), string(schemas.ReportDiff)}

func fetchCommand(a *app) *cobra.Command {
	var f fetching
	c := &cobra.Command{
		Use: "fetch usage|sessions|usage.diff --tenant ID --identity FILE", Short: "Get a report, decrypted", Long: fetchHelp, GroupID: "work",
		ValidArgs: fetchable, Args: reportArg,
		Example: `  playmeter fetch usage --tenant iten4EXAMPLE --identity films.key
  playmeter fetch sessions --tenant iten4EXAMPLE --month 2026-10 --identity ~/.ssh/id_ed25519 -o sessions.csv
  playmeter fetch usage --tenant iten4EXAMPLE --identity films.key --table
  playmeter fetch usage.diff --tenant iten4EXAMPLE --month 2026-09 --identity films.key`,
	}
	c.Flags().Var(&textFlag{kind: "ID", set: func(s string) (err error) { f.tenant, err = schemas.ParseTenant(s); return err }}, "tenant", "the tenant")
	monthFlag(c, &f.month, "the month (default the current one)")
	c.Flags().IntVar(&f.restatement, "restatement", 0, "`NUMBER` of the restatement of a final month to get the report of")
	c.Flags().StringVarP(&f.identity, "identity", "i", "", "`FILE` with the identity that opens the report")
	c.Flags().StringVarP(&f.output, "output", "o", "", "write the CSV to `FILE` (default standard output)")
	c.Flags().BoolVar(&f.table, "table", false, "show the first lines and the telling columns as a table instead")
	c.Flags().IntVarP(&f.lines, "lines", "n", 12, "lines of --table")
	c.MarkFlagRequired("tenant")
	c.MarkFlagRequired("identity")
	c.MarkFlagsMutuallyExclusive("table", "output")
	c.RunE = func(c *cobra.Command, args []string) error {
		f.report = schemas.Report(args[0])
		return a.do(func(ctx context.Context, _ []string) error { return a.fetch(ctx, f) })(c, args)
	}
	return c
}

func reportArg(_ *cobra.Command, args []string) error {
	if len(args) != 1 || !slices.Contains(fetchable, args[0]) {
		return fmt.Errorf("say which report to fetch: usage or sessions (or usage.diff: what a restatement changed)")
	}
	return nil
}

func (a *app) fetch(ctx context.Context, f fetching) (err error) {
	if f.restatement < 0 {
		return usagef("--restatement %d: they are numbered from 1", f.restatement)
	}
	if f.month.IsZero() {
		f.month = schemas.PeriodOf(time.Now())
	}
	if f.output == "-" {
		f.output = ""
	}
	if f.output != "" {
		if f.output, err = filepath.Abs(f.output); err != nil {
			return err
		}
	}
	ids, err := crypto.ReadIdentityFile(f.identity)
	if err != nil {
		return err
	}
	s, err := a.open(ctx, toAudit)
	if err != nil {
		return err
	}
	defer s.close()
	p := a.progress()
	defer p.end()
	get := newGetter(ctx, &reporter.Fetcher{Reporting: s.reporter.Buckets.Reporting, Identities: ids, Restatement: f.restatement,
		Progress: func(done, total int64) { p.at("fetching "+string(f.report), done, total, "bytes") }}, f)
	switch {
	case f.table:
		return a.fetchTable(f, get)
	case f.output != "":
		return a.fetchFile(f, get)
	}
	return a.fetchOut(s, get)
}

// getter writes a report's CSV.
type getter func(io.Writer) (*schemas.Manifest, error)

func newGetter(ctx context.Context, r *reporter.Fetcher, f fetching) getter {
	return func(out io.Writer) (*schemas.Manifest, error) { return r.Fetch(ctx, f.tenant, f.month, f.report, out) }
}

// fetchOut prints the CSV when it is whole. Until then it waits in an encrypted
// temporary file.
func (a *app) fetchOut(s *site, get getter) error {
	spool, err := crypto.NewSpool(s.reporter.Temp)
	if err != nil {
		return err
	}
	defer spool.Close()
	if _, err := get(spool); err != nil {
		return err
	}
	a.err.show("")
	if _, err := io.Copy(a.out, io.NewSectionReader(spool, 0, spool.Size())); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

// fetchFile writes the CSV beside its target and renames it when it is whole.
func (a *app) fetchFile(f fetching, get getter) error {
	temp, err := os.CreateTemp(filepath.Dir(f.output), "."+filepath.Base(f.output)+".part-*") // made 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", f.output, err)
	}
	defer os.Remove(temp.Name()) // gone already when all went well
	defer temp.Close()
	m, err := get(temp)
	if err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", f.output, err)
	}
	if err := temp.Close(); err != nil {
		return fmt.Errorf("write %s: %w", f.output, err)
	}
	if err := os.Rename(temp.Name(), f.output); err != nil {
		return fmt.Errorf("write %s: %w", f.output, err)
	}
	a.err.show("")
	a.say("%s: the %s report of %s, %s, as of %s (%s)", f.output, f.report, f.tenant, f.month, m.AsOf, stateOf(m))
	return nil
}

// stateOf says what the reports of a manifest are.
func stateOf(m *schemas.Manifest) string {
	switch {
	case m.Restatement > 0:
		return fmt.Sprintf("restatement %d", m.Restatement)
	case m.RestatedBy != nil:
		return fmt.Sprintf("%s; restatement %d is of run %s", m.State, m.RestatedBy.Restatement, m.RestatedBy.Run)
	}
	return m.State
}
