package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

const statusHelp = `Shows every tenant's months, their last and next runs, and, where there is something to
say: usage files that could not be read and why, rejected rows, events that nodes
numbered and that never came, numbers that were used twice, clocks that run ahead,
copies that were left out, what was withdrawn, final months that wait for a
restatement, usage of tenants that are not configured, posted events that wait for a
usage file, what came of sources of logs.

It looks at what runs have stored, and counts nothing anew: usage files that came
since the last run are not in it. Gaps are looked for in the newest three months with
usage; --month looks at another. Long lists are cut; --json has all of it.`

func statusCommand(a *app) *cobra.Command {
	var month schemas.Period
	c := &cobra.Command{
		Use: "status", Short: "Show months, runs, and what is missing or set aside", Long: statusHelp, GroupID: "look", Args: cobra.NoArgs,
		Example: `  playmeter status
  playmeter status --month 2026-09
  playmeter status --json | jq '.numbers[].nodes'`,
	}
	monthFlag(c, &month, "look at this month alone")
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		s, err := a.open(ctx, toRead)
		if err != nil {
			return err
		}
		defer s.close()
		status := statusAnswer{}
		if status.Status, err = s.reporter.StatusOf(ctx, month); err != nil {
			return err
		}
		if err := status.lookAtIntake(ctx, s); err != nil {
			return err
		}
		if a.json {
			return a.printJSON(status)
		}
		return a.tellStatus(&status)
	})
	return c
}

// shownMonths is how many lines the table of months has at most.
const shownMonths = 60

func (a *app) tellStatus(s *statusAnswer) error {
	fmt.Fprintf(a.out, "%s, %s; %s\n", count(s.Files, "usage file"), web.Bytes(s.Bytes), count(s.Packs, "pack"))
	for _, line := range []struct {
		n    int
		text string
	}{
		{s.Untold, "not counted yet: the next run does it"},
		{s.Gone, "no longer in the bucket, and counted all the same"},
		{len(s.Withdrawn), `withdrawn ("playmeter withdraw --list")`},
	} {
		if line.n > 0 {
			fmt.Fprintf(a.out, "%s %s\n", count(line.n, "usage file"), line.text)
		}
	}
	fmt.Fprintln(a.out)
	if len(s.Months) == 0 {
		fmt.Fprintln(a.out, "No tenant is configured.")
	} else if err := monthTable(s.Months[:min(len(s.Months), shownMonths)]).write(a.out); err != nil {
		return err
	}
	if more := len(s.Months) - shownMonths; more > 0 {
		fmt.Fprintf(a.out, "and %s more: --month shows one, --json all\n", humanize.Comma(int64(more)))
	}
	for _, section := range statusSections(s) {
		section.write(a.out)
	}
	return nil
}

// monthTable has a row for each tenant and month.
func monthTable(months []reporter.MonthStatus) *table {
	t := &table{head: []string{"MONTH", "TENANT", "STATE", "LAST RUN", "RUNS", "KEPT", "REPORTS", "REJECTED", "NEXT RUN"}, right: []string{"RUNS", "KEPT", "REJECTED"}}
	for i := range months {
		m := &months[i]
		last, next := m.LastRun, "-"
		if last == "" {
			last = "never"
		}
		if !m.Next.IsZero() {
			next = m.Next.UTC().Format(time.RFC3339)
		}
		state := m.State
		if m.Made != "" && m.Made != m.State {
			state += ", reports " + m.Made
		}
		if m.Restatements > 0 {
			state += fmt.Sprintf(", restated %d×", m.Restatements)
		}
		t.add(m.Period, m.Tenant, state, last, m.Runs, len(m.Kept), strings.Join(texts(m.Reports), " "), humanize.Comma(total(m.Rejected)), next)
	}
	return t
}

func total(counts map[string]int64) int64 {
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	return sum
}
