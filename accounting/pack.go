package accounting

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/playmeter/playmeter/schemas"
)

// Bounds of a pack: it is closed when it has this many members, or its rows take
// this much memory (a larger file makes a larger pack, spilled in runs of this size).
const (
	PackMembers = 1000
	PackMemory  = 32 << 20
	packSpans   = 200_000
)

// PackBuilder collects the tallies of usage files and writes them as a pack
// (schemas.PackIndex). Rows are kept sorted in memory up to PackMemory and then
// written to the pack's output as blocks.
type PackBuilder struct {
	mu     sync.Mutex
	pack   packWriter
	rows   *rows
	voided map[uint32]bool
	spans  int // entries of tenants and hours in the index
}

// NewPackBuilder begins a pack on out.
func NewPackBuilder(out io.Writer) *PackBuilder {
	return &PackBuilder{pack: packWriter{out: out}, rows: newRows(), voided: make(map[uint32]bool)}
}

// open adds a member and returns its number.
func (b *PackBuilder) open() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pack.index.Members = append(b.pack.index.Members, schemas.Member{})
	return uint32(len(b.pack.index.Members) - 1)
}

// void makes the rows of a member count for nothing.
func (b *PackBuilder) void(file uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.voided[file] = true
}

// Finish names the member that was tallied last: what Tally returned, with
// key, ETag, size and name of the tally. For a file that could not be read give a
// member with Unreadable.
func (b *PackBuilder) Finish(m schemas.Member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.pack.index.Members) - 1
	if last < 0 || b.voided[uint32(last)] || m.Unreadable != "" {
		b.pack.index.Members = append(b.pack.index.Members, m)
		return
	}
	b.pack.index.Members[last] = m
	for _, t := range m.Tenants {
		b.spans += 1 + len(t.Hours)
	}
}

// Members is how many files the pack holds, Full whether it should be closed.
func (b *PackBuilder) Members() int { return len(b.pack.index.Members) }

// Full tells whether the pack has reached its bounds.
func (b *PackBuilder) Full() bool {
	return len(b.pack.index.Members) >= PackMembers || b.spans > packSpans || b.pack.offset > 0 || b.rows.size() > PackMemory
}

// add copies rows into the pack.
func (b *PackBuilder) add(r *rows) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows.join(r)
	if b.rows.size() > PackMemory {
		return b.spill()
	}
	return nil
}

// spill writes the rows collected so far as blocks.
func (b *PackBuilder) spill() error {
	b.rows.sort()
	entries := b.rows.entries
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].kind == entries[0].kind && entries[n].tenant == entries[0].tenant && entries[n].day == entries[0].day &&
			(entries[n].kind != rowSet || entries[n].hour == entries[0].hour) {
			n++
		}
		if err := b.block(entries[:n]); err != nil {
			return fmt.Errorf("write pack: %w", err)
		}
		entries = entries[n:]
	}
	b.rows.reset()
	return nil
}

func (b *PackBuilder) block(entries []entry) error {
	block := schemas.Block{Kind: blockKinds[entries[0].kind], Tenant: b.rows.tenants[entries[0].tenant], Day: entries[0].day}
	if block.Kind == schemas.BlockSets {
		block.Hour = entries[0].hour
	}
	w := b.pack.begin(block)
	for i := range entries {
		if b.voided[entries[i].file] {
			continue
		}
		if err := w.write(b.rows.row(&entries[i]), entries[i].record); err != nil {
			return err
		}
	}
	return w.close()
}

// Close writes what is left and the index, and ends the builder. The pack is whole only
// when the error is nil.
func (b *PackBuilder) Close() (*schemas.PackIndex, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.spill(); err != nil {
		return nil, err
	}
	b.rows = nil
	return b.pack.end()
}

// packWriter writes the blocks of a pack, and its end.
type packWriter struct {
	out    io.Writer
	offset int64
	index  schemas.PackIndex
}

// begin begins a block of the kind, tenant, day and hour of b.
func (p *packWriter) begin(b schemas.Block) *blockWriter {
	b.Offset = p.offset
	w := &blockWriter{pack: p, block: b, sum: sha256.New()}
	w.rows = schemas.NewRowWriter(w)
	return w
}

// end writes the index. The pack is whole only when the error is nil.
func (p *packWriter) end() (*schemas.PackIndex, error) {
	end, err := schemas.AppendPackEnd(nil, p.offset, &p.index)
	if err != nil {
		return nil, err
	}
	if _, err := p.out.Write(end); err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	index := p.index // a copy: the index lives as long as the pack is known, the rest must not
	return &index, nil
}

// blockWriter writes one block.
type blockWriter struct {
	pack  *packWriter
	block schemas.Block
	sum   hash.Hash
	rows  *schemas.RowWriter
}

// Write takes the block's compressed bytes.
func (w *blockWriter) Write(b []byte) (int, error) {
	w.sum.Write(b)
	n, err := w.pack.out.Write(b)
	w.block.Length += int64(n)
	return n, err
}

// write adds a row; record tells whether it is a fragment of a server's own record.
func (w *blockWriter) write(row []byte, record bool) error {
	w.block.Records = w.block.Records || record
	return w.rows.Write(row)
}

// close ends the block and enters it in the index.
func (w *blockWriter) close() error {
	w.block.Rows = w.rows.Rows
	if err := w.rows.Close(); err != nil {
		return err
	}
	w.block.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	w.pack.offset += w.block.Length
	w.pack.index.Blocks = append(w.pack.index.Blocks, w.block)
	return nil
}
