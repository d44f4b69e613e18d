package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

const runHelp = `Counts what is new in the usage bucket and makes the reports of one month, for all
tenants or for those named, then ends. What the daemon does by its schedule, now.

A month that is not over gets month-to-date reports; every run replaces them. A
month that is over for longer than reports.grace becomes final, and its reports stay.
What changes them later (late files, "playmeter withdraw", a newer catalog) makes a
restatement beside them: whole reports and what changed, at most one a tenant in
reports.restate.every, none later than reports.restate.until after the month's end.

The rules of a month (tiers, density_of, session_idle, csv_guard) are those of its
first run. --rules=current takes those of the configuration from now on, which the
manifest shows; of a final month that is a restatement.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but usage
files were set aside or rows were rejected ("playmeter status" says which).`

// The rules that a run can count by.
const (
	rulesFixed   = "fixed"
	rulesCurrent = "current"
)

func runCommand(a *app) *cobra.Command {
	var o reporter.RunOptions
	var tenants []string
	rules := rulesFixed
	c := &cobra.Command{
		Use: "run", Short: "Make reports now", Long: runHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter run
  playmeter run --month 2026-10 --tenant iten4EXAMPLE
  playmeter run --as-of 2026-10-14
  playmeter run --month 2026-09 --tenant iten4EXAMPLE --rules=current
  playmeter run --json | jq '.tenants[].manifest.events'`,
	}
	monthFlag(c, &o.Period, "the month to report (default that of the as-of)")
	c.Flags().StringArrayVar(&tenants, "tenant", nil, "`ID` of a tenant; may be repeated (default all)")
	c.Flags().Var(&textFlag{kind: "TIME", set: func(s string) (err error) { o.AsOf, err = parseTime(s); return err }}, "as-of",
		"the instant the reports speak for, RFC 3339 or YYYY-MM-DD[THH:MM[:SS]] in UTC (default now)")
	c.Flags().Var(&textFlag{text: rules, kind: "WHICH", set: func(s string) error { return setWord(&rules, s, []string{rulesFixed, rulesCurrent}) }}, "rules",
		"fixed: those of the month's first run; current: those of the configuration, from now on")
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) (err error) {
		o.CurrentRules = rules == rulesCurrent
		if o.Tenants, err = tenantIDs(tenants); err != nil {
			return err
		}
		cfg, err := a.config()
		if err != nil {
			return err
		}
		if err := checkRun(cfg, &o, time.Now()); err != nil {
			return err
		}
		s, err := a.openConfig(ctx, cfg, toReport, "")
		if err != nil {
			return err
		}
		defer s.close()
		result, err := a.runReports(ctx, s, o)
		if err != nil {
			return err
		}
		return a.tellRun(result)
	})
	return c
}

// exampleOf tells where a whole configuration is to be seen.
func exampleOf(c *Config) string {
	sample := filepath.Join(c.DataDir, "demo", DefaultConfigFile)
	if _, err := os.Stat(sample); err == nil {
		return ", or take that of the sample month: --config " + shellWord(nearby(sample))
	}
	return ` ("playmeter demo" shows a whole example)`
}

// checkRun finds what no run can do, before anything is opened.
func checkRun(c *Config, o *reporter.RunOptions, now time.Time) error {
	if len(c.Tenants) == 0 {
		return usagef("no tenant is configured, so there is nothing to report: name one under tenants in %s%s", DefaultConfigFile, exampleOf(c))
	}
	if err := checkTenants(c, o.Tenants); err != nil {
		return err
	}
	if o.AsOf.IsZero() {
		o.AsOf = now.UTC()
	}
	o.AsOf = o.AsOf.Truncate(time.Second)
	if o.AsOf.After(now) {
		return usagef("the as-of %s is in the future: nothing can be said of it yet", o.AsOf.Format(time.RFC3339))
	}
	if o.Period.IsZero() {
		o.Period = schemas.PeriodOf(o.AsOf)
	}
	if !o.AsOf.After(o.Period.Start()) {
		return usagef("the as-of %s is not after the beginning of %s: choose a later as-of, or another --month", o.AsOf.Format(time.RFC3339), o.Period)
	}
	return nil
}

// checkTenants wants tenants to be configured.
func checkTenants(c *Config, ids []schemas.Tenant) error {
	for _, id := range ids {
		if _, ok := c.Tenant(id); !ok {
			return usagef("tenant %s is not configured: add it under tenants", id)
		}
	}
	return nil
}

const (
	busyPatience = time.Minute
	busyPause    = 2 * time.Second
)

// runReports makes reports, with progress. Tenants whose month another process
// is reporting are tried again for a minute.
func (a *app) runReports(ctx context.Context, s *site, o reporter.RunOptions) (*reporter.Result, error) {
	p := a.progress()
	defer p.end()
	before := s.show(showProgress(p))
	defer func() { s.show(before) }()
	result, err := s.reporter.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < busyPatience; {
		busy := busyTenants(result)
		if len(busy) == 0 {
			break
		}
		a.say("another run of this month is under way; waiting for it")
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		again := o
		again.Tenants = busy
		next, err := s.reporter.Run(ctx, again)
		if err != nil {
			return nil, err
		}
		merge(result, next)
	}
	return result, ctx.Err()
}

func busyTenants(r *reporter.Result) []schemas.Tenant {
	var ids []schemas.Tenant
	for i := range r.Tenants {
		if errors.Is(r.Tenants[i].Err, reporter.ErrBusy) {
			ids = append(ids, r.Tenants[i].Tenant)
		}
	}
	return ids
}

// merge puts the tenants of a later try in the place of those of the first.
func merge(r, next *reporter.Result) {
	r.Aside, r.Files = next.Aside, next.Files
	r.Counted += next.Counted
	for _, t := range next.Tenants {
		i := slices.IndexFunc(r.Tenants, func(old reporter.TenantResult) bool { return old.Tenant == t.Tenant })
		r.Tenants[i] = t
	}
}

// parseTime reads an instant as people write it.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 2026-10-14, 2026-10-14T09:30, 2026-10-14T09:30:00Z or with another offset, such as +02:00", text)
}
