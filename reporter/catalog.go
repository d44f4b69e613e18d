package reporter

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// maxCatalog bounds a catalog snapshot.
const maxCatalog = 1 << 30

// catalogView is what a run knows of a tenant's objects.
type catalogView struct {
	holdings *accounting.Holdings
	names    []string // stamps of the snapshots used
	digest   string   // of the snapshots used
	listed   string   // digest of those that there are up to the end of the bounds
	asides   []Aside
	warnings []string
	skipped  int
}

type snapshot struct {
	bucket.Info
	at      time.Time
	catalog *schemas.Catalog
}

// loadCatalog reads the snapshots in force over the bounds: the newest
// at or before the period's start, and all after it up to the earlier of as-of and period
// end. One that cannot be read is set aside; the one before stays in force.
func (r *Reporter) loadCatalog(ctx context.Context, tenant schemas.Tenant, b accounting.Bounds) (*catalogView, error) {
	all, err := r.listSnapshots(ctx, tenant, min(b.AsOf, b.Until))
	if err != nil {
		return nil, err
	}
	v := &catalogView{holdings: accounting.NewHoldings(b), listed: snapshotsDigest(all, b.From)}
	first, pending, err := r.baseSnapshot(ctx, v, all, b.From)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	use := func(s *snapshot, next time.Time) {
		v.names = append(v.names, s.at.UTC().Format(schemas.Stamp))
		fmt.Fprintf(sum, "%s %s\n", s.Key, s.ETag)
		v.holdings.Add(s.catalog, s.at, next)
	}
	for i := first; i < len(all); i++ {
		s := &all[i]
		if ok, err := r.readSnapshot(ctx, v, s); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		if pending != nil {
			use(pending, s.at)
			pending.catalog = nil
		}
		pending = s
	}
	if pending != nil {
		use(pending, time.Time{})
	}
	v.digest = hex.EncodeToString(sum.Sum(nil))
	for _, at := range v.holdings.Shrunk {
		v.warnings = append(v.warnings, fmt.Sprintf("catalog snapshot %s lost more than half of the objects", at))
	}
	if n := v.skipped; n > 0 {
		v.warnings = append(v.warnings, fmt.Sprintf("%d rows of catalog snapshots have no usable object_id, or numbers that do not convert", n))
	}
	if v.holdings.Repeated > 0 {
		v.warnings = append(v.warnings, fmt.Sprintf("%d catalog rows were replaced by a later row with the same object_id", v.holdings.Repeated))
	}
	return v, nil
}

// snapshotsDigest names the snapshots of a list that are in force from an instant on: the last at or before it,
// and those after it.
func snapshotsDigest(all []snapshot, from int64) string {
	sum := sha256.New()
	for i, s := range all {
		if i+1 == len(all) || all[i+1].at.UnixNano() > from {
			fmt.Fprintf(sum, "%s %s\n", s.Key, s.ETag)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (r *Reporter) listSnapshots(ctx context.Context, tenant schemas.Tenant, until int64) ([]snapshot, error) {
	var all []snapshot
	for info, err := range r.Buckets.Catalog.List(ctx, string(tenant)+"/", "") {
		if err != nil {
			return nil, err
		}
		if t, at, ok := schemas.ParseCatalogName(info.Key); ok && t == tenant && at.UnixNano() <= until {
			all = append(all, snapshot{Info: info, at: at})
		}
	}
	slices.SortFunc(all, func(a, b snapshot) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.Key, b.Key)) })
	return all, nil
}

// baseSnapshot finds the newest readable snapshot at or before from, and the
// index of the first after from.
func (r *Reporter) baseSnapshot(ctx context.Context, v *catalogView, all []snapshot, from int64) (int, *snapshot, error) {
	first := 0
	for first < len(all) && all[first].at.UnixNano() <= from {
		first++
	}
	for i := first - 1; i >= 0; i-- {
		if ok, err := r.readSnapshot(ctx, v, &all[i]); err != nil {
			return 0, nil, err
		} else if ok {
			return first, &all[i], nil
		}
	}
	return first, nil, nil
}

func (r *Reporter) readSnapshot(ctx context.Context, v *catalogView, s *snapshot) (bool, error) {
	data, _, err := r.Buckets.Catalog.Get(ctx, s.Key, s.ETag, maxCatalog)
	if err == nil {
		s.catalog, err = schemas.ReadCatalog(s.Key, bytes.NewReader(data), int64(len(data)))
	}
	switch {
	case err == nil:
		v.skipped += s.catalog.Skipped + s.catalog.BadValues
		return true, nil
	case errors.Is(err, schemas.ErrUnreadable), errors.Is(err, bucket.ErrCorrupt), errors.Is(err, bucket.ErrTooLarge):
		r.Log.Error("catalog snapshot set aside", "object", s.Key, "err", err)
		v.asides = append(v.asides, Aside{s.Key, s.ETag, err.Error()})
		v.warnings = append(v.warnings, fmt.Sprintf("catalog snapshot %s could not be read; the one before stays in force", s.at.UTC().Format(schemas.Stamp)))
		return false, nil
	}
	return false, err
}
