package accounting

import (
	"errors"
	"io"
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
//   - Copies, in the file or of rows of others, are counted as they come unless
//     the options exclude them: HourCopies finds them from the sets of the tallies made without
//     exclusions. A tally with exclusions, or of a cut hour, has no sets.
//   - Errors: those of the source; what was added to the pack until then
//     belongs to members that count for nothing.
func Tally(src Source, opts TallyOptions, pack *PackBuilder) (schemas.Member, error) {
	file := pack.open()
	parts, err := readParts(src, opts.Workers, func() *part { return newPart(&opts, file, pack.add) })
	if err != nil {
		pack.void(file)
		return schemas.Member{}, err
	}
	whole := newPart(&opts, file, pack.add)
	for _, p := range parts {
		whole.spans.join(&p.spans)
		whole.clocks.join(p.clocks)
		whole.read += p.read
		for reason, n := range p.placeless {
			whole.placeless[reason] += n
		}
	}
	if err := whole.spans.check(); err != nil {
		pack.void(file)
		return schemas.Member{}, err
	}
	member := schemas.Member{Rows: whole.read, Tenants: whole.spans.tenants(), Extra: src.ExtraColumns(), Placeless: map[string]int64{},
		Ahead: whole.clocks.ahead(opts.Stored)}
	if member.Excluded, err = schemas.EncodeRowSet(opts.Excluded); err != nil {
		return schemas.Member{}, err
	}
	if member.Differing, err = schemas.EncodeRowSet(opts.Differing); err != nil {
		return schemas.Member{}, err
	}
	for reason, n := range whole.placeless {
		if n > 0 {
			member.Placeless[schemas.Reason(reason).String()] = n
		}
	}
	return member, nil
}

// readParts runs every part of the source through a part of its own worker.
func readParts(src Source, workers int, newPart func() *part) ([]*part, error) {
	workers = max(1, min(workers, src.Parts()))
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
				if errs[w] = readPart(src, parts[w], i); errs[w] != nil {
					once.Do(func() { close(stop) })
					return
				}
			}
			errs[w] = parts[w].finish()
		})
	}
	for i := range src.Parts() {
		select {
		case next <- i:
		case <-stop:
		}
	}
	close(next)
	wg.Wait()
	return parts, errors.Join(errs...)
}

func readPart(src Source, p *part, i int) error {
	r := src.Part(i)
	defer r.Close()
	p.excluded, p.differing = newRowCursor(p.opts.Excluded), newRowCursor(p.opts.Differing)
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
