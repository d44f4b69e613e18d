package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A download is the body of one object. It counts and checks what passes, and
// mends a broken connection by asking for the rest.
type download struct {
	ctx   context.Context
	b     *Bucket
	info  Info
	check check
	body  io.ReadCloser
	off   int64
	tries int   // left, for mending
	err   error // what every further read gives
}

func (b *Bucket) open(ctx context.Context, key, etag string) (*download, Info, error) {
	body, a, err := b.request(ctx, key, etag, 0, -1)
	if err != nil {
		return nil, Info{}, err
	}
	if a.Size < 0 {
		body.Close()
		return nil, Info{}, errors.New("the store does not say how large the object is")
	}
	d := &download{ctx: ctx, b: b, info: a.Info, check: newCheck(a.header, a.ETag), body: body, tries: b.store.attempts - 1}
	return d, a.Info, nil
}

// Read is io.Reader's; see [Bucket.Reader] for what its end means.
func (d *download) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := d.body.Read(p)
	if int64(n) > d.info.Size-d.off {
		d.err = d.wrap(fmt.Errorf("more than the %d bytes announced: %w", d.info.Size, ErrCorrupt))
		return 0, d.err
	}
	d.check.write(p[:n])
	d.off += int64(n)
	if err != nil {
		d.err = d.ended(err)
	}
	return n, d.err
}

// ended judges the end of a body: the object's end, or a break to be mended.
func (d *download) ended(err error) error {
	switch {
	case d.off == d.info.Size && !d.check.ok():
		return d.wrap(ErrCorrupt)
	case d.off == d.info.Size:
		return io.EOF
	case d.ctx.Err() != nil:
		return d.wrap(d.ctx.Err())
	}
	return d.mend(err)
}

// mend opens the rest of the object at the same ETag.
func (d *download) mend(cause error) error {
	d.body.Close()
	for ; d.tries > 0 && d.info.ETag != ""; d.tries-- {
		if !sleep(d.ctx, 100*time.Millisecond<<(d.b.store.attempts-d.tries)) {
			return d.wrap(d.ctx.Err())
		}
		body, _, err := d.b.request(d.ctx, d.info.Key, d.info.ETag, d.off, -1)
		if err == nil {
			d.body = body
			d.tries--
			return nil
		}
		cause = err
	}
	return d.wrap(fmt.Errorf("%d of %d bytes: %w", d.off, d.info.Size, unexpected(d.b.store.explain(cause))))
}

func (d *download) wrap(err error) error { return d.b.wrap("get", d.info.Key, err) }

// Close ends the download, read or not.
func (d *download) Close() error {
	if d.err == nil {
		d.err = d.wrap(errors.New("read after Close"))
	}
	return d.body.Close()
}
