package reporter

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// packGrace is how long a pack that serves nothing stays by default, by the store's clock:
// longer than any run that may have found it still reads.
const packGrace = 6 * time.Hour

// Bounds of merging. Packs are sorted into classes of size, and merged where many are of one: so
// there are never many, and a row is written again once a class.
const (
	classBase   = 4 << 10 // bytes below which a pack is of the smallest class
	classFactor = 8
	classPacks  = 16        // packs of a class that are merged
	mergedSize  = 1 << 30   // bytes of the sources of a merged pack, at most
	settledSize = 128 << 20 // a pack of as many bytes is not merged again
	mergedIndex = 64 << 20  // bytes of a merged pack's index, about; a pack with half of that is not merged again
	mergeBudget = 2 << 30   // bytes merged in one go
)

// maintain merges packs where there are many, and removes those that were merged. It comes after the
// reports of a run: what fails is logged and left to the next run.
func (r *Reporter) maintain(ctx context.Context, s *shelf) {
	if ctx.Err() != nil {
		return
	}
	strip, err := r.stripping(ctx, s)
	if err != nil {
		r.Log.Warn("what personal data is to go could not be worked out; the next run tries again", "err", err)
	}
	r.forget(ctx, s)
	if chooseMerge(s.candidates()) == nil && len(s.spares()) == 0 && len(strip.packs(s)) == 0 {
		return
	}
	err = r.compact(ctx, strip)
	switch {
	case err == nil, errors.Is(err, errTaken):
	case ctx.Err() != nil:
		r.Log.Info("packs were not merged; the next run does it", "err", err)
	default:
		r.Log.Warn("packs could not be merged; the next run tries again", "err", err)
	}
}

// compact merges and sweeps, under a lease: two processes at once would do no harm, but double work.
func (r *Reporter) compact(ctx context.Context, strip *stripping) error {
	l, err := r.lease(ctx, schemas.LeasesOfPacks)
	if err != nil {
		return err
	}
	defer l.release()
	s, err := r.loadShelf(ctx) // under the lease: another process may just have done it
	if err != nil {
		return err
	}
	for budget := int64(mergeBudget); budget > 0; {
		chosen := chooseMerge(s.candidates())
		if chosen == nil {
			break
		}
		if err := r.mergePacks(ctx, s, chosen); err != nil {
			if !r.markUnfit(s, err) {
				return err
			}
		}
		for _, c := range chosen {
			budget -= c.pack.size
		}
	}
	if err := r.strip(ctx, s, strip); err != nil {
		return err
	}
	return r.sweep(ctx, s)
}

// candidate is a pack that may be merged.
type candidate struct {
	pack  *pack
	index int       // about how many bytes its members take in an index
	at    time.Time // when the oldest of its files was stored: neighbours in time are merged
}

// candidates are the packs that may be merged: those that serve and have not settled.
func (s *shelf) candidates() []candidate {
	var out []candidate
	for _, p := range s.sorted() {
		if p.size >= settledSize || p.unfit.Load() {
			continue
		}
		c := candidate{pack: p}
		for i := range p.index.Members {
			m := &p.index.Members[i]
			if i == 0 || m.Modified.Before(c.at) {
				c.at = m.Modified
			}
			c.index += 300 + len(m.Key) + 4*(len(m.Excluded)+len(m.Differing))/3
			for _, t := range m.Tenants {
				c.index += 60 + 60*len(t.Hours)
			}
		}
		if c.index < mergedIndex/2 {
			out = append(out, c)
		}
	}
	return out
}

func sizeClass(size int64) int {
	class := 0
	for limit := int64(classBase); size >= limit; limit *= classFactor {
		class++
	}
	return class
}

// chooseMerge chooses packs to be merged into one: those of the largest class that has enough of them, and
// all that are smaller, the oldest first. None where no class has enough.
func chooseMerge(list []candidate) []candidate {
	count := make(map[int]int)
	top := -1
	for _, c := range list {
		class := sizeClass(c.pack.size)
		if count[class]++; count[class] >= classPacks {
			top = max(top, class)
		}
	}
	var out []candidate
	for _, c := range list {
		if sizeClass(c.pack.size) <= top {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.pack.key, b.pack.key))
	})
	size, index := int64(0), 0
	for i, c := range out {
		if size, index = size+c.pack.size, index+c.index; size > mergedSize || index > mergedIndex {
			out = out[:i]
			break
		}
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

// markUnfit notes a damaged pack, so that the others are merged without it.
func (r *Reporter) markUnfit(s *shelf, err error) bool {
	var source *accounting.SourceError
	if !errors.As(err, &source) || !errors.Is(err, schemas.ErrDamaged) {
		return false
	}
	s.pack(source.Name).unfit.Store(true)
	r.Log.Error("a pack is damaged inside and not merged", "object", source.Name, "err", source.Err)
	return true
}

// mergePacks merges packs into one and stores it. They serve nothing then.
func (r *Reporter) mergePacks(ctx context.Context, s *shelf, chosen []candidate) error {
	began := r.Now()
	out, err := r.newPackOutput()
	if err != nil {
		return err
	}
	defer out.spool.Close()
	var sources []accounting.PackSource
	for _, c := range chosen {
		sources = append(sources, c.pack.source(ctx))
	}
	index, err := accounting.MergePacks(sources, out, func() (accounting.Scratch, error) { return crypto.NewSpool(r.Temp) })
	if err != nil {
		return err
	}
	if err := r.storePack(ctx, out, index, s); err != nil {
		return err
	}
	r.Log.Info("packs merged", "packs", len(chosen), "files", len(index.Members), "bytes", out.spool.Size(), "took", r.Now().Sub(began))
	return nil
}

// source is a pack to be written anew.
func (p *pack) source(ctx context.Context) accounting.PackSource {
	return accounting.PackSource{Name: p.key, Index: p.index, Open: func(b schemas.Block) (accounting.RowStream, error) { return p.rows(ctx, b) }}
}

// sweep removes the packs that serve nothing: all of their tallies are in packs that serve instead. Both
// have to be older than the grace, for a run that listed before the merge reads the old ones.
//
// Any number of processes may sweep at once, with any view of the packs: one is removed only where another
// that comes before it ([accounting.Serves]) is there, and so the first never is.
func (r *Reporter) sweep(ctx context.Context, s *shelf) error {
	spares := s.spares()
	if len(spares) == 0 {
		return nil
	}
	now, err := r.Store.Now(ctx)
	if err != nil {
		return err
	}
	grace := cmp.Or(r.PackGrace, packGrace)
	w := &sweeping{r: r, shelf: s, seen: make(map[*pack]map[schemas.TallyName]bool), old: func(p *pack) bool {
		at, ok := s.since(p)
		return ok && now.Sub(at) >= grace
	}}
	removed := 0
	for _, p := range spares {
		if !w.old(p) {
			continue
		}
		replaced, err := w.replaced(ctx, p)
		if err != nil {
			return err
		}
		if !replaced {
			continue
		}
		if err := r.Buckets.Metering.Delete(ctx, p.key); err != nil {
			return err
		}
		s.forget(p)
		removed++
	}
	if removed > 0 {
		r.Log.Info("merged packs removed", "packs", removed)
	}
	return nil
}

// sweeping is one sweep.
type sweeping struct {
	r     *Reporter
	shelf *shelf
	old   func(*pack) bool
	seen  map[*pack]map[schemas.TallyName]bool // the tallies of packs that were looked at, nil: not there
}

// replaced tells whether every tally of a pack is in another that serves it, old enough and really there.
func (w *sweeping) replaced(ctx context.Context, p *pack) (bool, error) {
	for i := range p.index.Members {
		name := p.index.Members[i].Tally
		if name == "" {
			continue
		}
		at, ok := w.shelf.find(name)
		if !ok || !before(at.pack, p) || !w.old(at.pack) {
			return false, nil
		}
		there, err := w.look(ctx, at.pack)
		if err != nil || !there[name] {
			return false, err
		}
	}
	return true, nil
}

// look reads again which tallies a pack holds. One that is gone, or not what it was, holds none.
func (w *sweeping) look(ctx context.Context, p *pack) (map[schemas.TallyName]bool, error) {
	if there, ok := w.seen[p]; ok {
		return there, nil
	}
	w.seen[p] = nil
	info, err := w.r.Buckets.Metering.Stat(ctx, p.key)
	var now *pack
	if err == nil {
		now, err = w.r.openPack(ctx, info)
	}
	switch {
	case errors.Is(err, bucket.ErrNotExist), errors.Is(err, bucket.ErrChanged), errors.Is(err, bucket.ErrCorrupt), errors.Is(err, schemas.ErrDamaged):
		w.r.Log.Error("a merged pack cannot be read; those that it was made of stay", "object", p.key, "err", err)
		return nil, nil
	case err != nil:
		return nil, err
	case p.size != info.Size || !slices.Equal(now.index.Blocks, p.index.Blocks):
		w.r.Log.Error("a merged pack is not what it was; those that it was made of stay", "object", p.key)
		return nil, nil
	}
	there := make(map[schemas.TallyName]bool, len(now.index.Members))
	for i := range now.index.Members {
		there[now.index.Members[i].Tally] = true
	}
	w.seen[p] = there
	return there, nil
}

// again does do, and once more where a pack was removed under it.
func (r *Reporter) again(do func() error) error {
	err := do()
	if !errors.Is(err, errSwept) {
		return err
	}
	r.Log.Info("a pack was merged into another while it was in use; once more", "err", err)
	return do()
}
