package reporter

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// windowBytes bounds the sets that are fetched ahead.
const windowBytes = 32 << 20

// setWindow holds the set blocks of the next hours, fetched in few large pieces: an hour's own are
// small, and many.
type setWindow struct {
	until schemas.Hour // exclusive
	packs map[*pack]*pack
}

// of is the pack, read from what was fetched where it was.
func (w *setWindow) of(p *pack) *pack {
	if held := w.packs[p]; held != nil {
		return held
	}
	return p
}

// window fetches the sets of the first of the hours, and of as many after it as fit.
func (x *reconciling) window(ctx context.Context, hours []hourFiles) error {
	if x.held != nil && hours[0].hour < x.held.until {
		return nil
	}
	size := make(map[schemas.Hour]int64)
	for _, p := range x.packs {
		for _, b := range p.index.Blocks {
			if b.Kind == schemas.BlockSets {
				size[b.Hour] += b.Length
			}
		}
	}
	due, total := make(map[schemas.Hour]bool), int64(0)
	x.held = &setWindow{packs: make(map[*pack]*pack)}
	for _, h := range hours {
		if total += size[h.hour]; total > windowBytes && len(due) > 0 {
			break
		}
		due[h.hour], x.held.until = true, h.hour+1
	}
	if total := size[hours[0].hour]; total > windowBytes {
		return nil // one large hour: it is streamed
	}
	for _, p := range x.packs {
		held, err := p.hold(ctx, func(b *schemas.Block) bool { return b.Kind == schemas.BlockSets && due[b.Hour] })
		if err != nil {
			return err
		}
		x.held.packs[p] = held
	}
	return nil
}

// hold is the pack with some of its blocks in memory.
func (p *pack) hold(ctx context.Context, which func(*schemas.Block) bool) (*pack, error) {
	var spans []heldSpan
	for i := range p.index.Blocks {
		if b := &p.index.Blocks[i]; which(b) {
			spans = append(spans, heldSpan{b.Offset, b.Offset + b.Length, nil})
		}
	}
	slices.SortFunc(spans, func(a, b heldSpan) int { return cmp.Compare(a.from, b.from) })
	spans = joinSpans(spans)
	for i := range spans {
		var err error
		if spans[i].data, err = p.read(ctx, spans[i].from, spans[i].until-spans[i].from); err != nil {
			return nil, err
		}
	}
	return &pack{key: p.key, index: p.index, read: func(ctx context.Context, off, n int64) ([]byte, error) {
		for _, s := range spans {
			if off >= s.from && off+n <= s.until {
				return s.data[off-s.from : off-s.from+n], nil
			}
		}
		return p.read(ctx, off, n)
	}}, nil
}

// heldSpan is a stretch of a pack in memory.
type heldSpan struct {
	from, until int64
	data        []byte
}

// joinSpans joins stretches that follow one another.
func joinSpans(spans []heldSpan) []heldSpan {
	var out []heldSpan
	for _, s := range spans {
		if last := len(out) - 1; last >= 0 && s.from == out[last].until {
			out[last].until = s.until
			continue
		}
		out = append(out, s)
	}
	return out
}

// hourText is how an hour reads in a message.
func hourText(h schemas.Hour) string {
	return time.Unix(0, h.Start()).UTC().Format("2006-01-02T15:04Z")
}
