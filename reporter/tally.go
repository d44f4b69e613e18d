package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// wholeFile is up to which size a usage file is read into memory; a larger one is
// spooled, encrypted, so that all of it can be checked before it is believed.
const wholeFile = 64 << 20

// listUsage lists the usage files.
func (r *Reporter) listUsage(ctx context.Context) ([]bucket.Info, error) {
	var files []bucket.Info
	for info, err := range r.Buckets.Usage.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		if schemas.IsUsageKey(info.Key) {
			files = append(files, info)
		}
	}
	return files, nil
}

// Aside is a usage file that could not be read.
type Aside struct {
	Key    string `json:"key"`
	ETag   string `json:"etag"`
	Reason string `json:"reason"`
}

// tallyJob is a file to be counted.
type tallyJob struct {
	info *bucket.Info // put right where the object was replaced since it was listed
	name schemas.TallyName
	file *wantedFile // not nil: to be counted without its copies
}

// tallies counts every listed file that has no tally under the given idle
// times yet, and stores the packs. Files that turned out damaged in transit or at rest are
// returned; those that cannot be read at all are members of a pack with the reason.
func (r *Reporter) tallies(ctx context.Context, files []bucket.Info, idle accounting.Idle, s *shelf) ([]Aside, error) {
	var jobs []tallyJob
	for i := range files {
		if name := tallyName(files[i], idle); !s.has(name) {
			jobs = append(jobs, tallyJob{info: &files[i], name: name})
		}
	}
	return r.tallyJobs(ctx, jobs, idle, s)
}

// tallyCopies counts the wanted files that hold copies again, without them, where that was not
// done before. It returns those that cannot be read any more.
func (r *Reporter) tallyCopies(ctx context.Context, w *wanted, idle accounting.Idle, s *shelf) ([]*wantedFile, error) {
	var jobs []tallyJob
	var failed []*wantedFile
	for _, f := range w.files {
		if f.locked || f.digest == "" {
			continue
		}
		info := f.Info
		if name := schemas.NameTally(f.Key, f.ETag, idle.WithID, idle.WithoutID, f.digest); !s.has(name) {
			jobs = append(jobs, tallyJob{&info, name, f})
		}
	}
	asides, err := r.tallyJobs(ctx, jobs, idle, s)
	for _, a := range asides {
		failed = append(failed, w.byKey[a.Key])
	}
	return failed, err
}

func (r *Reporter) tallyJobs(ctx context.Context, pending []tallyJob, idle accounting.Idle, s *shelf) ([]Aside, error) {
	if len(pending) == 0 {
		return nil, nil
	}
	t := &tallying{r: r, idle: idle, shelf: s, queue: make(chan tallyJob)}
	for _, job := range pending {
		t.total += job.info.Size
	}
	r.progress(Progress{Stage: "tally", Total: t.total, Unit: "bytes"}) // the first file may be a large one
	workers := max(1, r.Workers)
	t.perFile = max(1, workers/len(pending))
	group, ctx := errgroup.WithContext(ctx)
	asides := make([][]Aside, workers)
	for w := range workers {
		group.Go(func() (err error) {
			asides[w], err = t.work(ctx)
			return err
		})
	}
	group.Go(func() error {
		defer close(t.queue)
		for _, job := range pending {
			select {
			case t.queue <- job:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("tally usage files: %w", err)
	}
	return slices.Concat(asides...), nil
}

func tallyName(f bucket.Info, idle accounting.Idle) schemas.TallyName {
	return schemas.NameTally(f.Key, f.ETag, idle.WithID, idle.WithoutID, "")
}

type tallying struct {
	r       *Reporter
	idle    accounting.Idle
	shelf   *shelf
	queue   chan tallyJob
	perFile int // workers inside a file
	done    atomic.Int64
	total   int64
}

// work tallies files into packs of its own until the queue ends.
func (t *tallying) work(ctx context.Context) (asides []Aside, err error) {
	var b *accounting.PackBuilder
	var out *packOutput
	store := func() error {
		index, err := b.Close()
		if err == nil && t.shelf.private {
			b = nil
			t.shelf.keep(out, index)
			return nil
		}
		defer out.spool.Close()
		if err != nil {
			return err
		}
		b = nil
		return t.r.storePack(ctx, out, index, t.shelf)
	}
	for job := range t.queue {
		if b == nil {
			if out, err = t.r.newPackOutput(); err != nil {
				return nil, err
			}
			b = accounting.NewPackBuilder(out)
		}
		aside, err := t.file(ctx, job, b)
		if err != nil {
			out.spool.Close()
			return nil, err
		}
		if aside != nil {
			asides = append(asides, *aside)
		}
		t.r.progress(Progress{Stage: "tally", Done: t.done.Add(job.info.Size), Total: t.total, Unit: "bytes"})
		if b.Full() {
			if err := store(); err != nil {
				return nil, err
			}
		}
	}
	if b == nil {
		return asides, ctx.Err()
	}
	if ctx.Err() != nil {
		out.spool.Close()
		return nil, ctx.Err()
	}
	return asides, store()
}

// file tallies one file. Where it was replaced since it was listed, the
// new object is, and the listing is put right; where it was removed, there is nothing to count.
// A file to be counted without its copies is another file once it was replaced: it is set aside.
func (t *tallying) file(ctx context.Context, job tallyJob, b *accounting.PackBuilder) (*Aside, error) {
	opts := accounting.TallyOptions{Idle: t.idle, Workers: t.perFile, Stored: job.info.Modified}
	if job.file != nil {
		opts.Excluded, opts.Differing = job.file.excluded, job.file.differing
	}
	member, err := t.r.tallyFile(ctx, *job.info, opts, b)
	if errors.Is(err, bucket.ErrChanged) && job.file == nil {
		now, serr := t.r.Buckets.Usage.Stat(ctx, job.info.Key)
		if serr == nil {
			*job.info, job.name, opts.Stored = now, tallyName(now, t.idle), now.Modified
			member, err = t.r.tallyFile(ctx, now, opts, b)
		} else if errors.Is(serr, bucket.ErrNotExist) {
			err = serr
		}
	}
	f := job.info
	switch {
	case job.file != nil && err != nil && unreadableNow(err):
		return &Aside{f.Key, f.ETag, err.Error()}, nil
	case errors.Is(err, bucket.ErrNotExist):
		return nil, nil
	case errors.Is(err, bucket.ErrCorrupt), errors.Is(err, bucket.ErrChanged), errors.Is(err, bucket.ErrDenied):
		t.r.Log.Error("usage file set aside", "object", f.Key, "err", err)
		return &Aside{f.Key, f.ETag, err.Error()}, nil
	case errors.Is(err, schemas.ErrUnreadable):
		t.r.Log.Error("usage file set aside", "object", f.Key, "err", err)
		member = schemas.Member{Unreadable: err.Error()}
	case err != nil:
		return nil, err
	case len(member.Extra) > 0 && job.file == nil:
		t.r.Log.Info("usage file has columns that are not read", "object", f.Key, "columns", member.Extra)
	}
	member.Key, member.ETag, member.Size, member.Modified = f.Key, f.ETag, f.Size, f.Modified
	member.Tally, member.Counted = job.name, t.r.Now().UTC()
	b.Finish(member)
	return nil, nil
}

// tallyFile fetches and tallies a file.
func (r *Reporter) tallyFile(ctx context.Context, f bucket.Info, opts accounting.TallyOptions, b *accounting.PackBuilder) (schemas.Member, error) {
	data, done, err := r.fetchUsage(ctx, f)
	if err != nil {
		return schemas.Member{}, err
	}
	defer done()
	src, err := schemas.OpenUsage(f.Key, data, f.Size)
	if err != nil {
		return schemas.Member{}, err
	}
	return accounting.Tally(src, opts, b)
}

// fetchUsage downloads a file whole and checked.
func (r *Reporter) fetchUsage(ctx context.Context, f bucket.Info) (io.ReaderAt, func(), error) {
	if f.Size <= wholeFile {
		data, _, err := r.Buckets.Usage.Get(ctx, f.Key, f.ETag, wholeFile)
		return bytes.NewReader(data), func() {}, err
	}
	body, _, err := r.Buckets.Usage.Reader(ctx, f.Key, f.ETag)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	spool, err := crypto.NewSpool(r.Temp)
	if err != nil {
		return nil, nil, err
	}
	if _, err := io.Copy(spool, body); err != nil {
		spool.Close()
		return nil, nil, err
	}
	return spool, func() { spool.Close() }, nil
}
