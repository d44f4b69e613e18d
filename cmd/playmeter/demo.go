package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

const demoHelp = `Invents a month of streaming for three tenants, puts it into the buckets as media
nodes would, makes the reports, and opens one with its tenant's key. Then it
says with which commands to go on.

Everything is in the data directory: keys, a configuration and a note of what
was made in its folder demo. A second demo goes on where the first ended: same keys,
no event twice, the hours that have passed since. Remove the data directory to
be rid of it.`

// demoEvents is how many events are invented up to now, about.
const demoEvents = 1_200_000

func demoCommand(a *app) *cobra.Command {
	d := demo{app: a}
	serve := false
	c := &cobra.Command{
		Use: "demo", Short: "Make a sample month for three tenants, to look around", Long: demoHelp, GroupID: "in", Args: cobra.NoArgs,
		Example: `  playmeter demo
  playmeter demo --serve
  playmeter demo --data-dir /tmp/look --events 20000 --month 2026-10`,
	}
	c.Flags().IntVar(&d.events, "events", demoEvents, "so many events, about")
	c.Flags().BoolVar(&serve, "serve", false, "be the daemon, and go on as such afterwards")
	monthFlag(c, &d.month, "the month to invent (default the current one; in its first three days the one before)")
	a.listenFlags(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		if err := d.prepare(time.Now()); err != nil {
			return err
		}
		if serve {
			return d.serve(ctx)
		}
		s, err := a.openConfig(ctx, d.config, toReport, "")
		if err != nil {
			return err
		}
		defer s.close()
		return d.show(ctx, s)
	})
	return c
}

// demo is a sample month in the making.
type demo struct {
	*app
	events int
	month  schemas.Period
	until  time.Time // what has happened by now, in whole hours
	folder string    // of keys and notes
	config *Config
}

// prepare makes keys and configuration, or finds those of an earlier demo.
func (d *demo) prepare(now time.Time) error {
	if d.events < 1 || d.events > 100_000_000 {
		return usagef("--events %d: write a number from 1 to 100000000", d.events)
	}
	if err := d.choose(now.UTC()); err != nil {
		return err
	}
	if err := d.prepareFolder(); err != nil {
		return err
	}
	var err error
	if d.config, err = d.app.config(); err != nil {
		return err
	}
	d.dataDir = "" // the configuration names it from now on
	for _, t := range sample.Tenants() {
		if _, ok := d.config.Tenant(schemas.Tenant(t.ID)); !ok {
			return usagef("%s is no configuration of a demo, it lacks tenant %s: leave --config out, or name a file that does not exist yet", d.configFile, t.ID)
		}
	}
	return nil
}

// choose settles month and end of what is invented.
func (d *demo) choose(now time.Time) error {
	this := schemas.PeriodOf(now)
	if d.month.IsZero() {
		if d.month = this; now.Sub(this.Start()) < 3*24*time.Hour {
			d.month = this.Previous()
		}
	}
	d.until = d.month.End()
	if hour := now.Truncate(time.Hour); hour.Before(d.until) {
		d.until = hour
	}
	if !d.until.After(d.month.Start()) {
		return usagef("--month %s: its first hour is not over yet; leave --month out", d.month)
	}
	return nil
}

// serve is the daemon with the demo inside.
func (d *demo) serve(ctx context.Context) error {
	daemon, err := d.startDaemon(ctx, d.config)
	if err != nil {
		return err
	}
	err = d.show(ctx, daemon.site)
	if err == nil {
		daemon.fillPages(ctx)
	}
	if ctx.Err() != nil || err != nil && d.exitCode(err) != exitAside {
		daemon.close()
		return err
	}
	d.app.daemon = true
	d.setLevel()
	d.say("\nThe daemon goes on: page %s/ , API %[1]s/api/v1/tenants . Ctrl-C ends it.", daemon.address)
	return daemon.wait(ctx)
}

// show makes the month and its reports, and opens one.
func (d *demo) show(ctx context.Context, s *site) error {
	began := time.Now()
	if err := d.fill(ctx, s); err != nil {
		return err
	}
	d.say("Making the reports of %s ...", d.month)
	result, err := d.runReports(ctx, s, reporter.RunOptions{Period: d.month, AsOf: time.Now()})
	if err != nil {
		return err
	}
	if err := runTable(result).write(d.out); err != nil {
		return err
	}
	if err := result.Err(); err != nil {
		return err
	}
	tenant := sample.Tenants()[0]
	if err := d.open(ctx, s, schemas.Tenant(tenant.ID)); err != nil {
		return err
	}
	d.goOn(time.Since(began))
	if somethingAside(result) {
		return errAside
	}
	return nil
}

// open shows the first lines of a tenant's usage report.
func (d *demo) open(ctx context.Context, s *site, tenant schemas.Tenant) error {
	ids, err := crypto.ReadIdentityFile(d.keyFile(tenant))
	if err != nil {
		return err
	}
	d.say("")
	f := fetching{report: schemas.ReportUsage, tenant: tenant, month: d.month, lines: 8}
	r := reporter.Fetcher{Reporting: s.reporter.Buckets.Reporting, Identities: ids}
	return d.fetchTable(f, newGetter(ctx, &r, f))
}

// goOn says which commands come next, ready to be copied.
func (d *demo) goOn(took time.Duration) {
	name, flags := program(), d.flagsFor()
	d.say("\nFrom usage files to opened report in %s. To go on:\n", took.Round(100*time.Millisecond))
	for _, t := range sample.Tenants() {
		d.say("  # %s", t.Name)
		d.say("  %s fetch sessions --table --tenant %s --month %s --identity %s%s\n", name, t.ID, d.month, shellWord(nearby(d.keyFile(schemas.Tenant(t.ID)))), flags)
	}
	d.say("  # months, runs and what was set aside; a run now; when the next ones are")
	d.say("  %[1]s status%[2]s\n  %[1]s run%[2]s\n  %[1]s schedule%[2]s\n", name, flags)
	d.say("  # tokens: then one signs in at /sign-in, as an administrator or as a tenant who sees its own alone")
	first := sample.Tenants()[0]
	d.say("  %[1]s token add --role admin%[4]s Administrator\n  %[1]s token add --role tenant --tenant %[2]s --report usage --report sessions%[4]s %[3]s\n", name, first.ID, shellWord(first.Name), flags)
	d.say("  # the daemon again, after Ctrl-C")
	d.say("  %s serve%s\n", name, flags)
	d.say("  # any S3 client, while the daemon runs")
	d.say("  eval \"$(%s env%s)\"", name, flags)
}

// nearby writes a path relative to the working directory where that is shorter.
func nearby(path string) string {
	if short, err := filepath.Rel(startFolder, path); err == nil && len(short) < len(path) {
		return short
	}
	return path
}

func (d *demo) keyFile(t schemas.Tenant) string {
	return filepath.Join(d.folder, fmt.Sprintf("%s.key", t))
}
