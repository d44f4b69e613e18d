package logs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// Options say what a log itself does not.
type Options struct {
	// Whose usage it is, where neither a pattern nor a field names a tenant.
	Tenant schemas.Tenant

	// The node that wrote the log, instead of what its lines say.
	Node string

	// The lengths of segments; nil: what players say.
	Playlists *Playlists
}

// Reader reads the events of one log.
//
//   - Not for use by several goroutines at once.
type Reader struct {
	name    string
	from    recordSource
	mapper  *mapper
	summary Summary
	record  record
	err     error
}

// Open begins to read a log of size bytes. The name is for messages alone. Of a log that grows, what it has at
// that size is read.
//
// Errors: what is wrong with the format; [schemas.ErrUnreadable] for bytes that are no such log.
func Open(f *Format, o Options, name string, r io.ReaderAt, size int64) (*Reader, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("format %q: %w", f.Name, err)
	}
	m, err := newMapper(f, o)
	if err != nil {
		return nil, fmt.Errorf("format %q: %w", f.Name, err)
	}
	raw := &failing{r: r}
	from, err := openSource(f, name, raw, size)
	if err != nil {
		return nil, raw.unreadable(fmt.Errorf("log %q: %w", name, err))
	}
	return &Reader{name: name, from: &guarded{from, raw}, mapper: m, summary: newSummary()}, nil
}

// Next fills events, and says how many it filled. The events are the caller's.
//
// Errors: io.EOF with the last events; [schemas.ErrUnreadable] where the log is damaged: what it gave before
// is not the whole log.
func (r *Reader) Next(events []schemas.Event) (n int, err error) {
	for n < len(events) && r.err == nil {
		r.record.reset()
		identity, bad, err := r.from.next(&r.record)
		if err == io.EOF {
			r.err = io.EOF
			break
		} else if err != nil {
			r.err = failedLine(r.name, r.from.line(), err)
			break
		}
		r.summary.Lines++
		events[n] = schemas.Event{}
		why := BadLine
		if !bad {
			why = r.mapper.event(&r.record, identity, &events[n], &r.summary)
		}
		if why != "" {
			r.summary.skip(r.from.line(), why)
			continue
		}
		accounting.Discreet(&events[n])
		r.summary.Events++
		n++
	}
	if n < len(events) {
		clear(events[n:])
		return n, r.err
	}
	return n, nil
}

// Summary is what the log came to so far.
func (r *Reader) Summary() Summary {
	s := r.summary
	s.Skipped, s.Micros, s.Bad = maps.Clone(s.Skipped), maps.Clone(s.Micros), slices.Clone(s.Bad)
	return s
}

// Close gives the reader's memory back.
func (r *Reader) Close() error {
	r.from.close()
	if r.err == nil {
		r.err = errors.New("read of a closed log")
	}
	return nil
}

// failing remembers how reading failed, so that a lost connection is not taken for a damaged log.
type failing struct {
	r   io.ReaderAt
	err error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.r.ReadAt(p, off)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func (f *failing) unreadable(err error) error {
	if f.err != nil || errors.Is(err, schemas.ErrUnreadable) {
		return err
	}
	return fmt.Errorf("%w: %w", schemas.ErrUnreadable, err)
}

// guarded turns what a decoder of foreign bytes does into errors.
type guarded struct {
	recordSource
	raw *failing
}

func (g *guarded) next(r *record) (identity []byte, bad bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder panic: %v", p)
		}
		if err != nil && err != io.EOF {
			err = g.raw.unreadable(err)
		}
	}()
	return g.recordSource.next(r)
}
