package main

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

const demoSeed = 1

// fill puts the sample month into the buckets, as far as it is not there.
func (d *demo) fill(ctx context.Context, s *site) error {
	month, err := d.plan(ctx, s.reporter.Buckets.Usage)
	if err != nil {
		return err
	}
	if err := d.putCatalogs(ctx, s.reporter.Buckets.Catalog, month); err != nil {
		return err
	}
	return d.putEvents(ctx, s.reporter.Buckets.Usage, month)
}

// plan is the month as it was begun by an earlier demo, else a new one. It
// refuses to mix invented usage with somebody's own.
func (d *demo) plan(ctx context.Context, usage *bucket.Bucket) (*sample.Month, error) {
	made, err := d.notes()
	if err != nil {
		return nil, err
	}
	m, again := made[d.month.String()]
	if len(made) == 0 {
		for f, err := range usage.List(ctx, "", "") {
			if err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("make a demo: the usage bucket holds usage already (%s), and invented usage does not belong to it: name another folder with --data-dir", f.Key)
		}
	}
	if !again {
		share := float64(d.until.Sub(d.month.Start())) / float64(d.month.End().Sub(d.month.Start()))
		m = madeMonth{Events: max(1, int(float64(d.events)/share)), Seed: demoSeed}
		made[d.month.String()] = m
		if err := d.writeNotes(made); err != nil {
			return nil, err
		}
	}
	month := sample.New(d.month, m.Seed, m.Events)
	month.Until = d.until
	return month, nil
}

func (d *demo) putCatalogs(ctx context.Context, to *bucket.Bucket, month *sample.Month) error {
	there, err := keys(ctx, to)
	if err != nil {
		return err
	}
	for key, objects := range month.Catalogs() {
		if there[key] {
			continue
		}
		var file bytes.Buffer
		if err := schemas.WriteCatalog(&file, objects); err != nil {
			return err
		}
		if _, err := to.PutBytes(ctx, key, file.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// putEvents writes the usage files that are missing, hour by hour.
func (d *demo) putEvents(ctx context.Context, to *bucket.Bucket, month *sample.Month) error {
	there, err := keys(ctx, to)
	if err != nil {
		return err
	}
	d.say("Inventing %s up to %s UTC for three tenants ...", d.month, d.until.Format("2006-01-02 15:04"))
	p := d.app.progress()
	defer p.end()
	begin, total := d.month.Start(), int64(d.until.Sub(d.month.Start())/time.Hour)
	var events, put atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for key, batch := range month.Files() {
		if ctx.Err() != nil {
			break
		}
		p.at("inventing usage", int64(time.Unix(0, batch[0].Time).Sub(begin)/time.Hour), total, "hours")
		events.Add(int64(len(batch)))
		if there[key] {
			continue
		}
		g.Go(func() error {
			put.Add(1)
			return putBatch(ctx, to, key, batch)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("put the sample month: %w", err)
	}
	p.end()
	d.say("%s events; %s new in the usage bucket", humanize.Comma(events.Load()), files(int(put.Load())))
	return nil
}

func putBatch(ctx context.Context, to *bucket.Bucket, key string, events []schemas.Event) error {
	var file bytes.Buffer
	w := schemas.NewUsageWriter(&file)
	if err := w.Write(events); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := to.PutBytes(ctx, key, file.Bytes())
	return err
}

// keys are the names of all objects of a bucket.
func keys(ctx context.Context, b *bucket.Bucket) (map[string]bool, error) {
	all := map[string]bool{}
	for f, err := range b.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		all[f.Key] = true
	}
	return all, nil
}
