package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// RangeReader reads n bytes from off on as a stream: exactly n, or an error. A broken connection
// is taken up again where it broke, at the same ETag. What comes cannot be checked against the
// object's checksum, so the caller needs one of his own.
//
//   - etag pins the version, because the store may be asked more than once; it must not be empty.
//   - Errors: ErrNotExist, ErrChanged, io.ErrUnexpectedEOF past the end.
func (b *Bucket) RangeReader(ctx context.Context, key, etag string, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n <= 0 || etag == "" {
		return nil, b.wrap("get", key, fmt.Errorf("bad range: %d bytes from %d at ETag %q", n, off, etag))
	}
	r := &ranged{ctx: ctx, b: b, key: key, etag: etag, off: off, left: n, tries: b.store.attempts - 1}
	if err := r.open(); err != nil {
		return nil, r.wrap(err)
	}
	return r, nil
}

// ranged is the body of a range; it mends a broken connection by asking for the rest.
type ranged struct {
	ctx       context.Context
	b         *Bucket
	key, etag string
	off, left int64
	body      io.ReadCloser
	tries     int   // left, for mending
	err       error // what every further read gives
}

func (r *ranged) open() error {
	body, a, err := r.b.request(r.ctx, r.key, r.etag, r.off, r.off+r.left-1)
	if err != nil {
		return r.b.store.explain(err)
	}
	if a.Size != r.left {
		body.Close()
		return io.ErrUnexpectedEOF
	}
	r.body = body
	return nil
}

// Read is io.Reader's; io.EOF comes after the last byte of the range.
func (r *ranged) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.off += int64(n)
	r.left -= int64(n)
	switch {
	case r.left == 0:
		r.err = io.EOF
	case err != nil:
		r.err = r.mend(err)
	}
	if n > 0 && r.err == io.EOF {
		return n, nil
	}
	return n, r.err
}

// mend opens the rest of the range at the same ETag.
func (r *ranged) mend(cause error) error {
	r.body.Close()
	for ; r.tries > 0 && r.ctx.Err() == nil; r.tries-- {
		if !sleep(r.ctx, 100*time.Millisecond<<(r.b.store.attempts-r.tries)) {
			break
		}
		err := r.open()
		if err == nil {
			r.tries--
			return nil
		}
		cause = err
		if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotExist) {
			break
		}
	}
	if err := r.ctx.Err(); err != nil {
		return r.wrap(err)
	}
	return r.wrap(fmt.Errorf("%d bytes from %d: %w", r.left, r.off, unexpected(r.b.store.explain(cause))))
}

func (r *ranged) wrap(err error) error { return r.b.wrap("get", r.key, err) }

// Close ends the range, read or not.
func (r *ranged) Close() error {
	if r.err == nil {
		r.err = r.wrap(errors.New("read after Close"))
	}
	return r.body.Close()
}
