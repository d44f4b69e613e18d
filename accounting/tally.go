package accounting

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/playmeter/playmeter/schemas"
)

// Source is a usage file: parts that may be read side by side, in the order of
// their rows.
type Source interface {
	Parts() int
	Part(i int) *schemas.UsageReader
	ExtraColumns() []string
}

// Tally adds up one usage file into a pack and returns the file's member
// entry, to which key, ETag, size and name of the tally are still to be added.
//
//   - Copies inside the file are found by (node, seq, time), or (node,
//     event id, time) where there is no seq; the first row counts.
//   - Errors: those of the source; what was added to the pack until then
//     belongs to members that count for nothing.
func Tally(src Source, opts TallyOptions, pack *PackBuilder) (schemas.Member, error) {
	t := &tallier{src: src, opts: opts, pack: pack}
	member, found, err := t.pass()
	if err != nil || found.none() {
		return member, err
	}
	copies, differing, err := t.findCopies(found)
	if err != nil || len(copies) == 0 {
		return member, err
	}
	pack.void(t.file)
	t.opts.Excluded = merge(t.opts.Excluded, copies)
	t.differing = differing
	member, _, err = t.pass()
	return member, err
}

type tallier struct {
	src       Source
	opts      TallyOptions
	pack      *PackBuilder
	file      uint32
	differing map[schemas.Tenant]map[schemas.Hour]int64
}

// pass reads the file once, as a new member of the pack.
func (t *tallier) pass() (schemas.Member, suspects, error) {
	t.file = t.pack.open()
	parts, err := t.readParts(func() *part { return newPart(&t.opts, t.file, t.pack.add) })
	if err != nil {
		t.pack.void(t.file)
		return schemas.Member{}, suspects{}, err
	}
	whole := newPart(&t.opts, t.file, t.pack.add)
	for _, p := range parts {
		whole.sets.join(&p.sets)
		whole.spans.join(&p.spans)
		whole.read += p.read
		for reason, n := range p.placeless {
			whole.placeless[reason] += n
		}
	}
	if err := whole.spans.check(); err != nil {
		t.pack.void(t.file)
		return schemas.Member{}, suspects{}, err
	}
	found := whole.sets.suspects()
	member := schemas.Member{Rows: whole.read, Tenants: whole.spans.tenants(), Extra: t.src.ExtraColumns(), Placeless: map[string]int64{}}
	for reason, n := range whole.placeless {
		if n > 0 {
			member.Placeless[schemas.Reason(reason).String()] = n
		}
	}
	if err := whole.sets.write(t.file, t.pack.add); err != nil {
		return schemas.Member{}, suspects{}, fmt.Errorf("write sequence sets: %w", err)
	}
	out := newRows()
	for tenant, hours := range t.differing {
		for hour, n := range hours {
			out.addSum(tenant, &schemas.SumRow{Hour: hour, File: t.file, Measure: schemas.MeasureDiffering, Count: n})
		}
	}
	return member, found, t.pack.add(out)
}

// readParts runs every part of the source through a part of its own worker.
func (t *tallier) readParts(newPart func() *part) ([]*part, error) {
	workers := max(1, min(t.opts.Workers, t.src.Parts()))
	parts := make([]*part, workers)
	errs := make([]error, workers)
	next := make(chan int)
	stop := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for w := range workers {
		parts[w] = newPart()
		wg.Go(func() {
			for i := range next {
				if errs[w] = t.readPart(parts[w], i); errs[w] != nil {
					once.Do(func() { close(stop) })
					return
				}
			}
			errs[w] = parts[w].finish()
		})
	}
	for i := range t.src.Parts() {
		select {
		case next <- i:
		case <-stop:
		}
	}
	close(next)
	wg.Wait()
	return parts, errors.Join(errs...)
}

func (t *tallier) readPart(p *part, i int) error {
	r := t.src.Part(i)
	defer r.Close()
	p.excluded = t.opts.Excluded
	for {
		b, err := r.Next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := p.add(b); err != nil {
			return err
		}
	}
}

// merge joins two ascending lists.
func merge(a, b []int64) []int64 {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}
