package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// loadLedgers reads the ledgers of days that were not read before, several at once.
func (r *Reporter) loadLedgers(ctx context.Context, days []dayFiles) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, d := range days {
		group.Go(func() error {
			_, err := r.knownHours(ctx, d.day)
			return err
		})
	}
	return group.Wait()
}

// knownHours are the ledgers' hours of a day, by the digest of their files.
func (r *Reporter) knownHours(ctx context.Context, day schemas.Day) (map[string]*schemas.LedgerHour, error) {
	r.ledgerMu.Lock()
	known, ok := r.ledgers[day]
	r.ledgerMu.Unlock()
	if ok {
		return known.hours, nil
	}
	known = newKnownLedger()
	for info, err := range r.Buckets.Metering.List(ctx, schemas.LedgerFolder(day), "") {
		if err != nil {
			return nil, err
		}
		packed, _, err := r.Buckets.Metering.Get(ctx, info.Key, "", maxStatement)
		if errors.Is(err, bucket.ErrNotExist) {
			continue // superseded meanwhile
		} else if err != nil && !errors.Is(err, bucket.ErrCorrupt) {
			return nil, err
		}
		ledger, err := schemas.ParseLedger(packed)
		if err != nil {
			r.Log.Warn("a ledger is damaged and made anew", "object", info.Key, "err", err)
			continue
		}
		known.add(ledger, info.Key)
	}
	r.keepLedger(day, known)
	return known.hours, nil
}

// knownLedger is what is known of a day: from one ledger, or several where two processes made one each.
type knownLedger struct {
	hours map[string]*schemas.LedgerHour
	names []string
}

func newKnownLedger() *knownLedger {
	return &knownLedger{hours: make(map[string]*schemas.LedgerHour)}
}

func (k *knownLedger) add(l *schemas.Ledger, name string) {
	k.names = append(k.names, name)
	for i := range l.Hours {
		k.hours[l.Hours[i].Files] = &l.Hours[i]
	}
}

func (r *Reporter) keepLedger(day schemas.Day, k *knownLedger) {
	r.ledgerMu.Lock()
	defer r.ledgerMu.Unlock()
	if r.ledgers == nil {
		r.ledgers = make(map[schemas.Day]*knownLedger)
	}
	r.ledgers[day] = k
}

// storeLedger stores a day's ledger in the place of those that were known.
func (r *Reporter) storeLedger(ctx context.Context, l *schemas.Ledger) error {
	body, err := schemas.EncodeLedger(l)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	name := schemas.LedgerName(l.Day, hex.EncodeToString(sum[:16]))
	if _, err := r.Buckets.Metering.PutBytes(ctx, name, body); err != nil {
		return err
	}
	now := newKnownLedger()
	now.add(l, name)
	r.ledgerMu.Lock()
	old := r.ledgers[l.Day]
	r.ledgerMu.Unlock()
	r.keepLedger(l.Day, now)
	if old == nil {
		return nil
	}
	for _, stale := range old.names {
		if stale == name {
			continue
		}
		if err := r.Buckets.Metering.Delete(ctx, stale); err != nil {
			r.Log.Warn("a superseded ledger could not be removed", "object", stale, "err", err)
		}
	}
	return nil
}
