package main

import (
	"context"
	"time"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

// watchRuns has metrics, log and pages told of the runs.
func (d *daemon) watchRuns(m *web.Metrics) {
	d.reporter.Began = func(o reporter.RunOptions) { d.watch.Began(o, time.Now()) }
	d.reporter.Done = func(month schemas.Period, r *reporter.Result, err error) {
		m.Observe(r, err, time.Now())
		d.watch.Done(month, r, err, time.Now())
		if d.statistics != nil {
			d.statistics.Look(month)
		}
	}
	log := showProgress(&progress{console: new(console), log: d.reporter.Log})
	d.show(func(p reporter.Progress) {
		log(p)
		d.watch.Progress(p, time.Now())
	})
}

// runNow begins a run that somebody asks for on a page.
func (d *daemon) runNow(tenants []schemas.Tenant, month schemas.Period) error {
	run, err := d.reporter.Begin(reporter.RunOptions{Period: month, Tenants: tenants})
	if err != nil {
		return err
	}
	d.begin(run)
	return nil
}

// begin does work that goes on after the answer to who asked for it. It ends with the daemon.
func (d *daemon) begin(work func(context.Context)) {
	d.asked.Go(func() { work(d.ctx) })
}

// inflow tells what comes in besides usage files.
func (d *daemon) inflow(ctx context.Context) (web.Inflow, error) {
	state, err := d.log.State(ctx)
	if err != nil {
		return web.Inflow{}, err
	}
	var s statusAnswer
	err = s.lookAtSources(ctx, d.site)
	return web.Inflow{Log: &state, Sources: s.Sources}, err
}
