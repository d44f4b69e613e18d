package reporter

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// comparisonRows is how many copies are compared at once.
const comparisonRows = 1 << 20

// comparison finds out which copies say something else than the rows that count. Rows of files
// that are gone cannot be compared and pass for equal.
type comparison struct {
	r       *Reporter
	ctx     context.Context
	pending []pendingCopy
}

type pendingCopy struct {
	accounting.Copy
	of *hourCopies
}

func (p *pendingCopy) file() *wantedFile   { return p.of.files[p.File] }
func (p *pendingCopy) keeper() *wantedFile { return p.of.files[p.Keeper] }

// add notes a copy.
func (c *comparison) add(h *hourCopies, copy accounting.Copy) error {
	if h.excluded[copy.File] == nil {
		h.excluded[copy.File], h.differing[copy.File] = roaring64.New(), roaring64.New()
	}
	h.excluded[copy.File].Add(uint64(copy.Row))
	p := pendingCopy{copy, h}
	mine, other := p.file(), p.keeper()
	if other.locked || mine.ETag == other.ETag && mine.Size == other.Size && copy.Row == copy.KeeperRow {
		return nil // not to be had, or the same bytes
	}
	if c.pending = append(c.pending, p); len(c.pending) >= comparisonRows {
		return c.settle()
	}
	return nil
}

// settle reads the pending rows on both sides.
func (c *comparison) settle() error {
	rows := make(map[*wantedFile]*roaring64.Bitmap)
	note := func(f *wantedFile, row int64) {
		if rows[f] == nil {
			rows[f] = roaring64.New()
		}
		rows[f].Add(uint64(row))
	}
	for i := range c.pending {
		p := &c.pending[i]
		note(p.file(), p.Row)
		note(p.keeper(), p.KeeperRow)
	}
	digests, err := c.digests(rows)
	if err != nil {
		return err
	}
	for i := range c.pending {
		p := &c.pending[i]
		mine, other := digests[p.file()], digests[p.keeper()]
		if mine == nil || other == nil {
			continue
		}
		if mine[rows[p.file()].Rank(uint64(p.Row))-1] != other[rows[p.keeper()].Rank(uint64(p.KeeperRow))-1] {
			p.of.differing[p.File].Add(uint64(p.Row))
		}
	}
	c.pending = c.pending[:0]
	return nil
}

// digests reads rows of several files side by side. Files that cannot be read are left out.
func (c *comparison) digests(rows map[*wantedFile]*roaring64.Bitmap) (map[*wantedFile][]accounting.RowDigest, error) {
	out := make(map[*wantedFile][]accounting.RowDigest)
	var mu sync.Mutex
	done := int64(0)
	group, ctx := errgroup.WithContext(c.ctx)
	group.SetLimit(max(1, c.r.Workers))
	for f, which := range rows {
		group.Go(func() error {
			d, err := c.r.rowDigests(ctx, f.Info, which)
			if err != nil && !unreadableNow(err) {
				return fmt.Errorf("compare copies in %s: %w", f.Key, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				out[f] = d
			}
			done++
			c.r.progress(Progress{Stage: "compare", Done: done, Total: int64(len(rows)), Unit: "files"})
			return nil
		})
	}
	return out, group.Wait()
}

// unreadableNow tells whether a file that was read once cannot be read again.
func unreadableNow(err error) bool {
	for _, known := range []error{bucket.ErrNotExist, bucket.ErrChanged, bucket.ErrCorrupt, bucket.ErrDenied, schemas.ErrUnreadable} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// rowDigests reads rows of a usage file, in their order.
func (r *Reporter) rowDigests(ctx context.Context, f bucket.Info, which *roaring64.Bitmap) ([]accounting.RowDigest, error) {
	data, done, err := r.fetchUsage(ctx, f)
	if err != nil {
		return nil, err
	}
	defer done()
	src, err := schemas.OpenUsage(f.Key, data, f.Size)
	if err != nil {
		return nil, err
	}
	out := make([]accounting.RowDigest, 0, which.GetCardinality())
	if err := accounting.RowDigests(src, which, func(_ int64, d accounting.RowDigest) { out = append(out, d) }); err != nil {
		return nil, err
	}
	if uint64(len(out)) != which.GetCardinality() {
		return nil, fmt.Errorf("%s: %w: rows that were counted are not there", f.Key, schemas.ErrUnreadable)
	}
	return out, nil
}
