package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/statistics"
	"github.com/playmeter/playmeter/web"
)

const serveHelp = `Runs the daemon: the object store (unless object_store names another), the
schedule of every tenant, the intake of posted events, the import of logs from
buckets (sources), the pages with statistics, reports and runs, the API, health
checks and metrics.

SIGINT or SIGTERM ends it: nothing new begins, a run in flight ends between two
steps, before its commit or after it. A second signal ends it at once. However it
ends, no report is lost or half there: the next run makes up for it.`

func serveCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "Run the daemon: object store, schedule, pages, metrics", Long: serveHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter serve
  playmeter serve --config /etc/playmeter.yaml --log-format json
  playmeter serve --listen-http 127.0.0.1:0 --listen-s3 127.0.0.1:0`,
	}
	a.listenFlags(c)
	a.assetsFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		a.daemon = true
		cfg, err := a.config()
		if err != nil {
			return err
		}
		d, err := a.startDaemon(ctx, cfg)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil // told to end before it had begun
		case err != nil:
			return err
		}
		return d.wait(ctx)
	})
	return c
}

func (a *app) listenFlags(c *cobra.Command) {
	c.Flags().StringVar(&a.listenHTTP, "listen-http", "", "`HOST:PORT` of page and metrics (default 127.0.0.1:8080; port 0 picks one)")
	c.Flags().StringVar(&a.listenS3, "listen-s3", "", "`HOST:PORT` of the embedded object store (default 127.0.0.1:9000; port 0 picks one)")
}

// daemon is all that serve runs, in the order in which it was started.
type daemon struct {
	*site
	app        *app
	http       *http.Server
	audit      *web.Audit // of what http hands out
	assets     fs.FS      // nil: the embedded ones
	address    string     // of the page
	intake     *intake.Intake
	sources    *intake.Sources
	statistics *statistics.Database // nil: there are no pages of them
	keeper     *keeper              // of tenants and grants
	watch      web.Watch            // of runs, for the pages
	asked      sync.WaitGroup       // what pages have begun
	ctx        context.Context
	stop       func()        // ends keeper, schedule and what pages have begun
	ended      chan struct{} // both have ended
	failed     chan error    // why the daemon cannot go on
}

// startDaemon starts store, schedule and listener. When it returns, all answer.
func (a *app) startDaemon(ctx context.Context, c *Config) (*daemon, error) {
	assets, err := a.openAssets()
	if err != nil {
		return nil, err
	}
	door, err := a.openDoor(c)
	if err != nil {
		return nil, err
	}
	s, err := a.openServing(ctx, c)
	if err != nil {
		return nil, errors.Join(err, door.Close())
	}
	sources, err := newSources(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.close(), door.Close())
	}
	d := &daemon{site: s, sources: sources, app: a, assets: assets, address: door.address(), ended: make(chan struct{}), failed: make(chan error, 2)}
	metrics := web.NewMetrics(softwareVersion())
	d.watchRuns(metrics)
	d.intake = intake.New(s.log)
	d.intake.Notices = intake.NewNotices(s.reporter.Log, time.Now)
	d.intake.SetRules(c.Intake.rules())
	metrics.Intake(d.intake, s.log)
	d.keeper = newKeeper(a, s, d.intake)
	d.openStatistics(ctx)
	if d.statistics != nil {
		metrics.Statistics(d.statistics.Progress)
	}
	d.startSchedule(ctx)
	d.startHTTP(door, metrics)
	a.say("playmeter is ready: page %s/ , object store %s", d.address, s.store.Config().Endpoint)
	if len(c.Tenants) == 0 {
		a.say("warning: no tenant is configured, so no report is made: name one under tenants in %s%s", DefaultConfigFile, exampleOf(c))
	}
	if c.ObjectStore.Embedded() && c.Listen.TLS.Certificate == "" && web.CheckLoopback(c.Listen.S3, false) != nil {
		a.say("warning: listen.s3 is %s without listen.tls, so objects that are not sealed can be read on the way: set listen.tls, or let only a proxy that speaks HTTPS reach it", c.Listen.S3)
	}
	return d, nil
}

// serveRetries is how often we look whether a command that has the store open
// has ended, a second apart.
const serveRetries = 5

// openServing opens the store as its server. A command that happens to have it
// open is waited for.
func (a *app) openServing(ctx context.Context, c *Config) (*site, error) {
	for try := 0; ; try++ {
		s, err := a.openConfig(ctx, c, toReport, c.Listen.S3)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("%w: choose another listen.s3 with --listen-s3 or %sLISTEN_S3, such as 127.0.0.1:0", err, EnvPrefix)
		} else if err != nil {
			return nil, err
		}
		if _, ours := s.closer.(*bucket.Embedded); ours || !c.ObjectStore.Embedded() {
			if err := s.openLog(ctx, true); err != nil {
				return nil, errors.Join(err, s.close())
			}
			return s, nil
		}
		s.close()
		if try == serveRetries {
			return nil, fmt.Errorf("another playmeter serves %s already, at %s: end it, or name another --data-dir", c.DataDir, s.store.Config().Endpoint)
		}
		if try == 0 {
			a.say("another playmeter has %s open; waiting for it", c.DataDir)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (d *daemon) startSchedule(ctx context.Context) {
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx)) // close ends it, in its turn
	d.ctx = ctx
	go func() {
		defer close(d.ended)
		var all sync.WaitGroup
		all.Go(func() { d.keeper.run(ctx) })
		all.Go(func() { d.sources.Run(ctx) })
		all.Go(func() { d.followCommits(ctx) })
		all.Go(func() { d.log.Run(ctx, d.reporter.Buckets.Usage, d.tellFile) })
		if err := d.reporter.Serve(ctx); err != nil {
			d.failed <- err
		}
		all.Wait()
	}()
}

// ready tells what keeps the daemon from its work: the store, a log of posted events that takes none, or grants that do
// not hold.
func (d *daemon) ready(ctx context.Context) error {
	if _, err := d.store.Now(ctx); err != nil {
		return err
	}
	return errors.Join(d.log.Ready(), d.keeper.ready())
}

func (d *daemon) nextRuns(now time.Time) []web.NextRun {
	all, err := scheduled(d.keeper.current(), now, 1)
	if err != nil {
		return nil // cannot happen: the schedules were checked
	}
	var runs []web.NextRun
	for _, r := range all {
		for _, at := range r.Next {
			runs = append(runs, web.NextRun{Tenant: r.Tenant, Name: r.Name, Schedule: r.Schedule, At: at})
		}
	}
	slices.SortStableFunc(runs, func(a, b web.NextRun) int { return a.At.Compare(b.At) })
	return runs
}

// wait serves until ctx ends or something fails, and then stops everything in
// the reverse order.
func (d *daemon) wait(ctx context.Context) error {
	var failed error
	select {
	case <-ctx.Done():
		d.app.log().Info("stopping; a second signal ends it at once")
	case failed = <-d.failed:
	}
	return errors.Join(failed, d.close())
}

func (d *daemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := d.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = d.http.Close() // somebody reads a page very slowly
	}
	err = errors.Join(err, d.audit.Close())
	d.stop()
	<-d.ended
	d.asked.Wait()
	err = errors.Join(err, d.closeStatistics(), d.site.close())
	d.app.log().Info("stopped", "pid", os.Getpid())
	return err
}
