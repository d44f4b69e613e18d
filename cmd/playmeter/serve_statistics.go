package main

import (
	"context"
	"errors"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/statistics"
)

// openStatistics starts the database of the pages. Whatever is the matter with it keeps nothing else from its work.
func (d *daemon) openStatistics(ctx context.Context) {
	if !d.config.Statistics.Pages {
		d.removeStatistics()
		return
	}
	o := d.config.statistics(d.reporter.Buckets.Metering)
	o.Log = d.reporter.Log
	for try := 0; ; try++ {
		s, err := statistics.Open(ctx, o)
		switch {
		case err == nil:
			d.statistics = s
			return
		case !errors.Is(err, bucket.ErrLocked) || try == serveRetries:
			d.app.say("warning: there are no statistics pages until the daemon is started again: %v", err)
			return
		}
		select { // a command that asks them ends
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

// removeStatistics removes what was kept while there were pages: nothing follows the sessions any more that are removed
// because they are old.
func (d *daemon) removeStatistics() {
	removed, err := statistics.Remove(d.config.statisticsDir())
	switch {
	case err != nil:
		d.app.say("warning: statistics.pages is off, and the statistics that were kept could not be removed: %v", err)
	case removed:
		d.app.say("statistics.pages is off: the statistics that were kept are removed; they are made again when it is on")
	}
}

// followCommits keeps the statistics up to date until ctx ends.
func (d *daemon) followCommits(ctx context.Context) {
	if d.statistics != nil {
		d.statistics.Run(ctx)
	}
}

// fillPages brings the statistics up to date now.
func (d *daemon) fillPages(ctx context.Context) {
	if d.statistics == nil {
		return
	}
	if err := d.statistics.Sync(ctx); err != nil && ctx.Err() == nil {
		d.app.say("warning: the statistics pages lack something, which is tried again: %v", err)
	}
}

func (d *daemon) closeStatistics() error {
	if d.statistics == nil {
		return nil
	}
	return d.statistics.Close()
}
