package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

const linkHelp = `Prints a link to a sealed report in the reporting bucket, for whoever has no
access of their own.

Whoever has the link can fetch the report until it ends, and nothing shows who
did; so treat it as a secret. The report stays sealed: only its recipients can
open it. A link cannot be taken back; it ends sooner where the run is pruned.

The link leads to the object store, at object_store.public_endpoint where that is
given. The embedded one listens on 127.0.0.1 unless listen.s3 says otherwise: without
either the link works on this machine only.`

// linking is what link was asked for.
type linking struct {
	report  schemas.Report
	tenant  schemas.Tenant
	month   schemas.Period
	which   reporter.Which
	expires time.Duration
}

func linkCommand(a *app) *cobra.Command {
	var l linking
	c := &cobra.Command{
		Use: "link usage|sessions --tenant ID", Short: "Print a link to a sealed report", Long: linkHelp, GroupID: "work",
		ValidArgs: []string{string(schemas.ReportUsage), string(schemas.ReportSessions)},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(schemas.Reports, schemas.Report(args[0])) {
				return errors.New("say which report to link to: usage or sessions")
			}
			return nil
		},
		Example: `  playmeter link usage --tenant iten4EXAMPLE --month 2026-10
  playmeter link sessions --tenant iten4EXAMPLE --expires 24h --json`,
	}
	c.Flags().Var(&textFlag{kind: "ID", set: func(s string) (err error) { l.tenant, err = schemas.ParseTenant(s); return err }}, "tenant", "the tenant")
	monthFlag(c, &l.month, "the month (default the current one)")
	c.Flags().DurationVar(&l.expires, "expires", web.LinkTime, "how long the link holds, `TIME`: 1s to 168h")
	c.Flags().StringVar(&l.which.Run, "run", "", "`RUN` whose report is meant (default the current one)")
	c.Flags().IntVar(&l.which.Restatement, "restatement", 0, "`NUMBER` of the restatement whose report is meant")
	c.MarkFlagRequired("tenant")
	c.MarkFlagsMutuallyExclusive("run", "restatement")
	a.jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		l.report = schemas.Report(args[0])
		return a.do(func(ctx context.Context, _ []string) error { return a.link(ctx, l) })(c, args)
	}
	return c
}

func (l *linking) check() error {
	switch {
	case l.expires < time.Second || l.expires > bucket.MaxLink:
		return usagef("--expires %s: a link holds from 1s to %s", l.expires, bucket.MaxLink)
	case l.which.Run != "" && !reporter.IsRunName(l.which.Run):
		return usagef("--run %q: write it like 2026-10-14T09-17-00Z; \"playmeter status\" names the runs", l.which.Run)
	case l.which.Restatement < 0:
		return usagef("--restatement %d: they are numbered from 1", l.which.Restatement)
	}
	if l.month.IsZero() {
		l.month = schemas.PeriodOf(time.Now())
	}
	return nil
}

func (a *app) link(ctx context.Context, l linking) error {
	if err := l.check(); err != nil {
		return err
	}
	s, err := a.open(ctx, toRead)
	if err != nil {
		return err
	}
	defer s.close()
	if _, ours := s.closer.(*bucket.Embedded); ours {
		return errors.New("the object store answers only while \"playmeter serve\" runs, and it does not run now: start it, then ask again")
	}
	set, err := s.reporter.PublishedSet(ctx, l.tenant, l.month, l.which)
	if err != nil {
		return err
	}
	key, _, err := set.Report(l.report)
	if err != nil {
		return err
	}
	if _, err := s.reporter.Buckets.Reporting.Stat(ctx, key); errors.Is(err, bucket.ErrNotExist) {
		return fmt.Errorf("the %s report of run %s: %w", l.report, set.Manifest.Run, reporter.ErrPruned)
	} else if err != nil {
		return err
	}
	link, until, err := s.reporter.Buckets.Reporting.Link(ctx, key, l.expires)
	if err != nil {
		return err
	}
	if s.store.OnlyHere() {
		a.say("note: the object store is at %s, so the link works on this machine only; object_store.public_endpoint says where others reach it", s.store.Public())
	}
	if a.json {
		return a.printJSON(map[string]string{"url": link, "expires": until.UTC().Format(time.RFC3339), "run": set.Manifest.Run})
	}
	a.say("the %s report of %s, %s, run %s: whoever has this link can fetch it, sealed, until %s", l.report, l.tenant, l.month, set.Manifest.Run, until.UTC().Format(time.RFC3339))
	_, err = fmt.Fprintln(a.out, link)
	return err
}
