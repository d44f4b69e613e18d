package reporter

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// pack is a pack that can be read: stored, or (for an as-of within an hour)
// in a spool.
type pack struct {
	key   string
	etag  string
	size  int64 // bytes, where it is stored
	index *schemas.PackIndex
	read  func(ctx context.Context, off, n int64) ([]byte, error)

	unfit atomic.Bool // a block of it is damaged: it is not merged
}

// errSwept tells that a pack was removed after it was found: it was merged into another, and a run
// that begins now finds that one.
var errSwept = errors.New("a pack was merged into another and removed while it was in use: run once more")

// location is where a tally is.
type location struct {
	pack   *pack
	member uint32
}

func (l location) info() *schemas.Member { return &l.pack.index.Members[l.member] }

// shelf is what is known of the stored packs.
type shelf struct {
	mu       sync.Mutex
	packs    map[string]*pack
	byName   map[schemas.TallyName]location
	serves   map[*pack]int        // how many tallies a pack serves
	modified map[string]time.Time // of the packs that were listed, by the store's clock

	// private: packs stay in the spools that they were written to and nothing is stored; see close.
	private bool
	spools  []*crypto.Spool
}

// close removes the packs of a private shelf.
func (s *shelf) close() {
	for _, spool := range s.spools {
		spool.Close()
	}
}

// keep shelves a finished pack without storing it.
func (s *shelf) keep(o *packOutput, index *schemas.PackIndex) {
	s.mu.Lock()
	key := fmt.Sprintf("private/%d", len(s.spools))
	s.spools = append(s.spools, o.spool)
	s.mu.Unlock()
	s.add(&pack{key: key, size: o.spool.Size(), index: index, read: o.read})
}

func newShelf() *shelf {
	return &shelf{packs: make(map[string]*pack), byName: make(map[schemas.TallyName]location), serves: make(map[*pack]int), modified: make(map[string]time.Time)}
}

// loadShelf lists the packs and reads the indexes of those that were not read before. Where
// one is removed meanwhile, what it was merged into may have been listed too early: all are listed again.
func (r *Reporter) loadShelf(ctx context.Context) (*shelf, error) {
	for try := 0; ; try++ {
		s, err := r.listPacks(ctx)
		if err == nil || try == 3 || !errors.Is(err, bucket.ErrNotExist) && !errors.Is(err, bucket.ErrChanged) {
			return s, err
		}
	}
}

func (r *Reporter) listPacks(ctx context.Context) (*shelf, error) {
	r.shelfMu.Lock()
	known := r.shelf
	r.shelfMu.Unlock()
	s := newShelf()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for info, err := range r.Buckets.Metering.List(ctx, schemas.PrefixPacks, "") {
		if err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		if !strings.HasSuffix(info.Key, ".pack") {
			continue
		}
		s.listed(info)
		if p := known.pack(info.Key); p != nil && p.etag == info.ETag {
			s.add(p)
			continue
		}
		group.Go(func() error {
			p, err := r.openPack(ctx, info)
			switch {
			case errors.Is(err, schemas.ErrDamaged), errors.Is(err, bucket.ErrCorrupt):
				// Its files are counted again, which writes the same pack anew.
				r.Log.Error("a pack is damaged and left out", "object", info.Key, "err", err)
				return nil
			case err != nil:
				return err
			}
			s.add(p)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r.shelfMu.Lock()
	r.shelf = s
	r.shelfMu.Unlock()
	return s, nil
}

// pack is the pack of a name, nil where it is not known.
func (s *shelf) pack(key string) *pack {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packs[key]
}

// listed notes what the store says of a pack.
func (s *shelf) listed(info bucket.Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.modified[info.Key] = info.Modified
}

// add shelves a pack. Of two packs that hold one tally the one that was merged more often serves, then
// the first by name (accounting.Serves): the choice does not hang on the order of loading.
func (s *shelf) add(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packs[p.key] != nil {
		return // the same bytes
	}
	s.packs[p.key] = p
	for i := range p.index.Members {
		name := p.index.Members[i].Tally
		old, ok := s.byName[name]
		if name == "" || ok && !before(p, old.pack) {
			continue
		}
		if ok {
			s.serves[old.pack]--
		}
		s.serves[p]++
		s.byName[name] = location{p, uint32(i)}
	}
}

// before tells whether of two packs with one tally a serves.
func before(a, b *pack) bool {
	return accounting.Serves(a.key, a.index.Level, b.key, b.index.Level)
}

// forget takes a pack off that serves no tally.
func (s *shelf) forget(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.packs, p.key)
	delete(s.serves, p)
	delete(s.modified, p.key)
}

func (s *shelf) find(name schemas.TallyName) (location, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.byName[name]
	return l, ok
}

func (s *shelf) has(name schemas.TallyName) bool {
	_, ok := s.find(name)
	return ok
}

// openPack reads the index of a stored pack.
func (r *Reporter) openPack(ctx context.Context, info bucket.Info) (*pack, error) {
	p := &pack{key: info.Key, etag: info.ETag, size: info.Size, read: func(ctx context.Context, off, n int64) ([]byte, error) {
		return r.Buckets.Metering.GetRange(ctx, info.Key, info.ETag, off, n)
	}}
	need := min(info.Size, schemas.PackTail)
	for range 2 {
		tail, err := p.read(ctx, info.Size-need, need)
		if err != nil {
			return nil, err
		}
		if p.index, need, err = schemas.ParsePackTail(tail, info.Size); err != nil {
			return nil, fmt.Errorf("read pack %s: %w", info.Key, err)
		}
		if p.index != nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("read pack %s: %w: its index does not fit", info.Key, schemas.ErrDamaged)
}

// rows opens a block. What it yields was compared with the block's digest once io.EOF is
// reached.
func (p *pack) rows(ctx context.Context, b schemas.Block) (*blockRows, error) {
	from := &blockReader{ctx: ctx, pack: p, block: b, sum: sha256.New()}
	rows, err := schemas.NewRowReader(from)
	if err != nil {
		return nil, from.cause(err)
	}
	return &blockRows{rows, from}, nil
}

// ahead is the pack for whoever reads many blocks in their order: what lies next to each other is fetched at once. It
// is for one goroutine.
func (p *pack) ahead() *pack {
	var at int64
	var have []byte
	read := func(ctx context.Context, off, n int64) ([]byte, error) {
		if off < at || off+n > at+int64(len(have)) {
			data, err := p.read(ctx, off, max(n, min(piece, p.size-off)))
			if err != nil {
				return nil, err
			}
			at, have = off, data
		}
		return have[off-at:][:n:n], nil
	}
	return &pack{key: p.key, etag: p.etag, size: p.size, index: p.index, read: read}
}

// blockRows is the rows of a block.
type blockRows struct {
	*schemas.RowReader
	from *blockReader
}

// Next returns the next row; io.EOF ends the block.
func (r *blockRows) Next() ([]byte, error) {
	row, err := r.RowReader.Next()
	if err != nil && err != io.EOF {
		return nil, r.from.cause(err)
	}
	return row, err
}

// piece is how much of a block is fetched at once.
const piece = 512 << 10

// blockReader streams the bytes of a block and checks them.
type blockReader struct {
	ctx   context.Context
	pack  *pack
	block schemas.Block
	at    int64
	have  []byte
	sum   hash.Hash
	err   error // that ended it before its end
}

func (r *blockReader) Read(b []byte) (int, error) {
	if len(r.have) == 0 {
		n := min(piece, r.block.Length-r.at)
		if n == 0 {
			if hex.EncodeToString(r.sum.Sum(nil)) != r.block.SHA256 {
				r.err = fmt.Errorf("pack %s: %w: block at %d is not what was written", r.pack.key, schemas.ErrDamaged, r.block.Offset)
				return 0, r.err
			}
			return 0, io.EOF
		}
		if r.have, r.err = r.pack.read(r.ctx, r.block.Offset+r.at, n); r.err != nil {
			// A pack that another process has just written once more, the same to the byte, may look changed for a moment.
			if errors.Is(r.err, bucket.ErrNotExist) || errors.Is(r.err, bucket.ErrChanged) {
				r.err = fmt.Errorf("read pack %s: %w", r.pack.key, errSwept)
			}
			return 0, r.err
		}
		r.at += n
		r.sum.Write(r.have)
	}
	n := copy(b, r.have)
	r.have = r.have[n:]
	return n, nil
}

// cause is why rows could not be read: what the reader met, for a connection that broke is no damage;
// else err.
func (r *blockReader) cause(err error) error {
	if r.err != nil {
		return r.err
	}
	return fmt.Errorf("pack %s, block at %d: %w", r.pack.key, r.block.Offset, err)
}

// packOutput is a pack while it is written: a spool, and the digest that names it.
type packOutput struct {
	spool *crypto.Spool
	sum   hash.Hash
}

func (r *Reporter) newPackOutput() (*packOutput, error) {
	spool, err := crypto.NewSpool(r.Temp)
	if err != nil {
		return nil, err
	}
	return &packOutput{spool, sha256.New()}, nil
}

func (o *packOutput) Write(b []byte) (int, error) {
	o.sum.Write(b)
	return o.spool.Write(b)
}

// read reads a part of a pack that is still a spool.
func (o *packOutput) read(_ context.Context, off, n int64) ([]byte, error) {
	data := make([]byte, n)
	_, err := o.spool.ReadAt(data, off)
	return data, err
}

// storePack uploads a finished pack and shelves it.
func (r *Reporter) storePack(ctx context.Context, o *packOutput, index *schemas.PackIndex, s *shelf) error {
	key := schemas.PackName(hex.EncodeToString(o.sum.Sum(nil)[:16]))
	info, err := r.Buckets.Metering.Put(ctx, key, o.spool, o.spool.Size())
	if err != nil {
		return err
	}
	s.add(&pack{key: key, etag: info.ETag, size: o.spool.Size(), index: index, read: func(ctx context.Context, off, n int64) ([]byte, error) {
		return r.Buckets.Metering.GetRange(ctx, key, info.ETag, off, n)
	}})
	return nil
}

// readable visits the tallies of files that could be read.
func (s *shelf) readable() iter.Seq[location] {
	return func(yield func(location) bool) {
		for _, p := range s.sorted() {
			for i := range p.index.Members {
				m := &p.index.Members[i]
				if m.Tally != "" && m.Unreadable == "" && !yield(location{p, uint32(i)}) {
					return
				}
			}
		}
	}
}

// sorted lists the packs that serve a tally: those that were merged most often first, then by name.
func (s *shelf) sorted() []*pack {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*pack, 0, len(s.packs))
	for _, p := range s.packs {
		if s.serves[p] > 0 {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *pack) int {
		return cmp.Or(cmp.Compare(b.index.Level, a.index.Level), strings.Compare(a.key, b.key))
	})
	return out
}

// spares lists the packs that serve no tally, by name.
func (s *shelf) spares() []*pack {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*pack
	for _, p := range s.packs {
		if s.serves[p] <= 0 {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *pack) int { return strings.Compare(a.key, b.key) })
	return out
}

// since is when a listed pack was stored, by the store's clock.
func (s *shelf) since(p *pack) (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok = s.modified[p.key]
	return at, ok
}
