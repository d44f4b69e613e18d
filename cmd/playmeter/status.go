package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/reporter"
)

const statusHelp = `Shows every tenant's months, their last and next runs, the usage files that could
not be read and why, and usage of tenants that are not configured. It looks, and
counts nothing anew.`

func statusCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show months, runs and what is set aside", Long: statusHelp, GroupID: "look", Args: cobra.NoArgs,
		Example: "  playmeter status\n  playmeter status --json | jq .set_aside",
	}
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		s, err := a.open(ctx, toRead)
		if err != nil {
			return err
		}
		defer s.close()
		status, err := s.reporter.Status(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(status)
		}
		return a.tellStatus(status)
	})
	return c
}

func (a *app) tellStatus(s *reporter.Status) error {
	fmt.Fprintf(a.out, "%s usage files, %s", humanize.Comma(int64(s.Files)), humanize.IBytes(uint64(s.Bytes)))
	if s.Untold > 0 {
		fmt.Fprintf(a.out, "; %s not counted yet, the next run does it", humanize.Comma(int64(s.Untold)))
	}
	fmt.Fprint(a.out, "\n\n")
	if len(s.Months) > 0 {
		if err := monthTable(s.Months).write(a.out); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.out, "No tenant is configured.")
	}
	for _, f := range s.Aside {
		fmt.Fprintf(a.out, "\nset aside: %s\n  %s\n", printable(f.Key), printable(f.Reason))
	}
	if len(s.Aside) > 0 {
		fmt.Fprintln(a.out, "A file is tried again when it is replaced under its key.")
	}
	if len(s.Placeless) > 0 {
		fmt.Fprintf(a.out, "\nrows that belong to nobody, because tenant or time cannot be read: %s\n", reasons(s.Placeless))
	}
	for _, t := range s.Unconfigured {
		fmt.Fprintf(a.out, "\nnot configured: %s has %s rows of usage and gets no reports; add it under tenants\n", t.Tenant, humanize.Comma(t.Rows))
	}
	return nil
}

func monthTable(months []reporter.MonthStatus) *table {
	t := &table{head: []string{"MONTH", "TENANT", "STATE", "LAST RUN", "RUNS", "REPORTS", "REJECTED", "NEXT RUN"}, right: []string{"RUNS", "REJECTED"}}
	for _, m := range months {
		last, next := m.LastRun, "-"
		if last == "" {
			last = "never"
		}
		if !m.Next.IsZero() {
			next = m.Next.UTC().Format(time.RFC3339)
		}
		rejected := int64(0)
		for _, n := range m.Rejected {
			rejected += n
		}
		var reports []string
		for _, r := range m.Reports {
			reports = append(reports, string(r))
		}
		t.add(m.Period, m.Tenant, m.State, last, m.Runs, strings.Join(reports, " "), humanize.Comma(rejected), next)
	}
	return t
}
