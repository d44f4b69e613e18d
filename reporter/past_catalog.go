package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// loadCatalog reads the snapshots that the run used, and no others: neither one that was put in
// between later, nor one that could not be read then and can be now. see, if not nil, is shown
// each with the instant of the next (zero: none).
//
//   - Errors: a snapshot that is gone or cannot be read, named.
func (p *past) loadCatalog(ctx context.Context, see func(c *schemas.Catalog, at, next time.Time)) error {
	used, err := p.snapshots(ctx)
	if err != nil {
		return err
	}
	v := &catalogView{holdings: accounting.NewHoldings(p.bounds), names: p.manifest.Enrichment.Catalog}
	sum := sha256.New()
	for i := range used {
		s := &used[i]
		fmt.Fprintf(sum, "%s %s\n", s.Key, s.ETag)
		ok, err := p.r.readSnapshot(ctx, v, s)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("run %s used the catalog snapshot %s, which can no longer be read: %s: restore it", p.id(), s.Key, v.asides[0].Reason)
		}
		next := time.Time{}
		if i+1 < len(used) {
			next = used[i+1].at
		}
		v.holdings.Add(s.catalog, s.at, next)
		if see != nil {
			see(s.catalog, s.at, next)
		}
		s.catalog = nil
	}
	v.digest = hex.EncodeToString(sum.Sum(nil))
	p.catalog = v
	return nil
}

// snapshots finds the snapshots that the manifest names. Where several objects bear
// one instant, those that come first serve.
func (p *past) snapshots(ctx context.Context) ([]snapshot, error) {
	names := p.manifest.Enrichment.Catalog
	if len(names) == 0 {
		return nil, nil
	}
	all, err := p.r.listSnapshots(ctx, p.tenant.ID, min(p.bounds.AsOf, p.bounds.Until))
	if err != nil {
		return nil, err
	}
	var used []snapshot
	for _, name := range names {
		i := slices.IndexFunc(all, func(s snapshot) bool { return s.at.UTC().Format(schemas.Stamp) == name })
		if i < 0 {
			return nil, fmt.Errorf("run %s used the catalog snapshot %s%s, which is gone: restore it", p.id(), string(p.tenant.ID)+"/", name)
		}
		used = append(used, all[i])
		all = slices.Delete(all, i, i+1)
	}
	return used, nil
}
