package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// pack is a pack that can be read: stored, or (for an as-of within an hour)
// in a spool.
type pack struct {
	key   string
	index *schemas.PackIndex
	read  func(ctx context.Context, off, n int64) ([]byte, error)
}

// location is where a tally is.
type location struct {
	pack   *pack
	member uint32
}

func (l location) info() *schemas.Member { return &l.pack.index.Members[l.member] }

// shelf is what is known of the stored packs.
type shelf struct {
	mu     sync.Mutex
	packs  map[string]*pack
	byName map[schemas.TallyName]location
}

// loadShelf lists the packs and reads the indexes of those that were not read before.
func (r *Reporter) loadShelf(ctx context.Context) (*shelf, error) {
	r.shelfMu.Lock()
	known := r.shelf
	r.shelfMu.Unlock()
	s := &shelf{packs: make(map[string]*pack), byName: make(map[schemas.TallyName]location)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for info, err := range r.Buckets.Metering.List(ctx, schemas.PrefixPacks, "") {
		if err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		if !strings.HasSuffix(info.Key, ".pack") {
			continue
		}
		if p := known.pack(info.Key); p != nil {
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

// add shelves a pack. Of two packs that hold one tally the first by name serves, so that the
// choice does not hang on the order of loading.
func (s *shelf) add(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packs[p.key] = p
	for i := range p.index.Members {
		name := p.index.Members[i].Tally
		if old, ok := s.byName[name]; name != "" && (!ok || p.key < old.pack.key) {
			s.byName[name] = location{p, uint32(i)}
		}
	}
}

func (s *shelf) find(name schemas.TallyName) (location, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.byName[name]
	return l, ok
}

// openPack reads the index of a stored pack.
func (r *Reporter) openPack(ctx context.Context, info bucket.Info) (*pack, error) {
	p := &pack{key: info.Key, read: func(ctx context.Context, off, n int64) ([]byte, error) {
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
func (p *pack) rows(ctx context.Context, b schemas.Block) (*schemas.RowReader, error) {
	return schemas.NewRowReader(&blockReader{ctx: ctx, pack: p, block: b, sum: sha256.New()})
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
}

func (r *blockReader) Read(b []byte) (int, error) {
	if len(r.have) == 0 {
		n := min(piece, r.block.Length-r.at)
		if n == 0 {
			if hex.EncodeToString(r.sum.Sum(nil)) != r.block.SHA256 {
				return 0, fmt.Errorf("pack %s: %w: block at %d is not what was written", r.pack.key, schemas.ErrDamaged, r.block.Offset)
			}
			return 0, io.EOF
		}
		var err error
		if r.have, err = r.pack.read(r.ctx, r.block.Offset+r.at, n); err != nil {
			return 0, err
		}
		r.at += n
		r.sum.Write(r.have)
	}
	n := copy(b, r.have)
	r.have = r.have[n:]
	return n, nil
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

// storePack uploads a finished pack and shelves it.
func (r *Reporter) storePack(ctx context.Context, o *packOutput, index *schemas.PackIndex, s *shelf) error {
	key := schemas.PackName(hex.EncodeToString(o.sum.Sum(nil)[:16]))
	info, err := r.Buckets.Metering.Put(ctx, key, o.spool, o.spool.Size())
	if err != nil {
		return err
	}
	s.add(&pack{key: key, index: index, read: func(ctx context.Context, off, n int64) ([]byte, error) {
		return r.Buckets.Metering.GetRange(ctx, key, info.ETag, off, n)
	}})
	return nil
}

// join adds the packs of another shelf.
func (s *shelf) join(t *shelf) {
	for _, p := range t.sorted() {
		s.add(p)
	}
}

// sorted lists the packs by name.
func (s *shelf) sorted() []*pack {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*pack, 0, len(s.packs))
	for _, p := range s.packs {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *pack) int { return strings.Compare(a.key, b.key) })
	return out
}
