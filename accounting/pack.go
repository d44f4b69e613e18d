package accounting

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"github.com/playmeter/playmeter/schemas"
)

// Bounds of a pack: it is closed when it has this many members, or its rows take
// this much memory (a larger file makes a larger pack, spilled in runs of this size).
const (
	PackMembers = 1000
	PackMemory  = 48 << 20
	packSpans   = 200_000
)

// PackBuilder collects the tallies of usage files and writes them as a pack
// (schemas.PackIndex). Rows are kept sorted in memory up to PackMemory and then
// written to the pack's output as blocks.
type PackBuilder struct {
	mu     sync.Mutex
	out    io.Writer
	offset int64
	rows   *rows
	voided map[uint32]bool
	spans  int // entries of tenants and hours in the index
	index  schemas.PackIndex
}

// NewPackBuilder begins a pack on out.
func NewPackBuilder(out io.Writer) *PackBuilder {
	return &PackBuilder{out: out, rows: newRows(), voided: make(map[uint32]bool)}
}

// open adds a member and returns its number.
func (b *PackBuilder) open() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.index.Members = append(b.index.Members, schemas.Member{})
	return uint32(len(b.index.Members) - 1)
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
	last := len(b.index.Members) - 1
	if last < 0 || b.voided[uint32(last)] || m.Unreadable != "" {
		b.index.Members = append(b.index.Members, m)
		return
	}
	b.index.Members[last] = m
	for _, t := range m.Tenants {
		b.spans += 1 + len(t.Hours)
	}
}

// Members is how many files the pack holds, Full whether it should be closed.
func (b *PackBuilder) Members() int { return len(b.index.Members) }

// Full tells whether the pack has reached its bounds.
func (b *PackBuilder) Full() bool {
	return len(b.index.Members) >= PackMembers || b.spans > packSpans || b.offset > 0 || b.rows.size() > PackMemory
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
	sum := sha256.New()
	count := &counter{w: io.MultiWriter(b.out, sum)}
	w := schemas.NewRowWriter(count)
	records := false
	for i := range entries {
		if b.voided[entries[i].file] {
			continue
		}
		records = records || entries[i].record
		if err := w.Write(b.rows.row(&entries[i])); err != nil {
			return err
		}
	}
	rows := w.Rows
	if err := w.Close(); err != nil {
		return err
	}
	block := schemas.Block{Kind: blockKinds[entries[0].kind], Tenant: b.rows.tenants[entries[0].tenant],
		Day: entries[0].day, Offset: b.offset, Length: count.n, Rows: rows, SHA256: hex.EncodeToString(sum.Sum(nil)), Records: records}
	if block.Kind == schemas.BlockSets {
		block.Hour = entries[0].hour
	}
	b.index.Blocks = append(b.index.Blocks, block)
	b.offset += count.n
	return nil
}

// Close writes what is left and the index, and ends the builder. The pack is whole only
// when the error is nil.
func (b *PackBuilder) Close() (*schemas.PackIndex, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.spill(); err != nil {
		return nil, err
	}
	end, err := schemas.AppendPackEnd(nil, b.offset, &b.index)
	if err != nil {
		return nil, err
	}
	if _, err := b.out.Write(end); err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	index := b.index // a copy: the index lives as long as the pack is known, the rows must not
	b.rows = nil
	return &index, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
