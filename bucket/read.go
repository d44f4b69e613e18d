package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// Stat asks what the store says of an object. Errors: ErrNotExist.
func (b *Bucket) Stat(ctx context.Context, key string) (Info, error) {
	o, err := b.store.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err != nil {
		return Info{}, b.wrap("stat", key, err)
	}
	return info(o), nil
}

// Get reads a whole object into memory and checks it.
//
//   - etag names the version that is wanted; empty means any.
//   - limit is in bytes; a larger object is ErrTooLarge and is not read.
//   - Errors: ErrNotExist, ErrChanged, ErrTooLarge, ErrCorrupt.
func (b *Bucket) Get(ctx context.Context, key, etag string, limit int64) ([]byte, Info, error) {
	r, info, err := b.open(ctx, key, etag)
	if err != nil {
		return nil, Info{}, b.wrap("get", key, err)
	}
	defer r.Close()
	if info.Size > limit {
		return nil, Info{}, b.wrap("get", key, fmt.Errorf("%d bytes, limit %d: %w", info.Size, limit, ErrTooLarge))
	}
	data := make([]byte, info.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, Info{}, b.wrap("get", key, unexpected(err))
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF {
		return nil, Info{}, b.wrap("get", key, err)
	}
	return data, info, nil
}

// Reader reads an object as a stream. The read that reaches the end compares
// size and checksum, and gives ErrCorrupt instead of io.EOF where they are
// wrong: so nothing that was read may be relied on before io.EOF. A broken
// connection is taken up again where it broke, at the same ETag.
//
// Errors: ErrNotExist, ErrChanged, ErrCorrupt.
func (b *Bucket) Reader(ctx context.Context, key, etag string) (io.ReadCloser, Info, error) {
	r, info, err := b.open(ctx, key, etag)
	if err != nil {
		return nil, Info{}, b.wrap("get", key, err)
	}
	return r, info, nil
}

// GetRange reads n bytes from off on: exactly n, or an error. They cannot be
// checked against the object's checksum, so the caller needs one of his own.
//
// Errors: ErrNotExist, ErrChanged, io.ErrUnexpectedEOF past the end.
func (b *Bucket) GetRange(ctx context.Context, key, etag string, off, n int64) ([]byte, error) {
	if off < 0 || n < 0 {
		return nil, b.wrap("get", key, fmt.Errorf("bad range: %d bytes from %d", n, off))
	}
	if n == 0 {
		return []byte{}, nil
	}
	data := make([]byte, n)
	var err error
	for try := range b.store.attempts {
		if try > 0 && !sleep(ctx, 100*time.Millisecond<<try) {
			break
		}
		var again bool
		if again, err = b.readRange(ctx, key, etag, off, data); err == nil {
			return data, nil
		} else if !again {
			break
		}
	}
	return nil, b.wrap("get", key, fmt.Errorf("%d bytes from %d: %w", n, off, b.store.explain(err)))
}

// readRange fills data once. again is true when the connection broke.
func (b *Bucket) readRange(ctx context.Context, key, etag string, off int64, data []byte) (again bool, err error) {
	body, o, err := b.request(ctx, key, etag, off, off+int64(len(data))-1)
	if err != nil {
		return false, err
	}
	defer body.Close()
	if o.Size != int64(len(data)) {
		return false, io.ErrUnexpectedEOF
	}
	_, err = io.ReadFull(body, data)
	return true, err
}

// request sends one GET, for the bytes first to last when last is not below
// zero, else from first on.
func (b *Bucket) request(ctx context.Context, key, etag string, first, last int64) (io.ReadCloser, answer, error) {
	var opts minio.GetObjectOptions
	// Not opts.Checksum: minio-go would then check by itself, in words of its own.
	opts.Set("X-Amz-Checksum-Mode", "ENABLED")
	if etag != "" {
		if err := opts.SetMatchETag(etag); err != nil {
			return nil, answer{}, err
		}
	}
	ranged := first > 0 || last >= 0
	switch {
	case last >= 0:
		opts.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	case ranged:
		opts.Set("Range", fmt.Sprintf("bytes=%d-", first))
	}
	body, o, h, err := b.store.core.GetObject(ctx, b.name, key, opts)
	if err != nil {
		if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
			err = io.ErrUnexpectedEOF
		}
		return nil, answer{}, err
	}
	if ranged && !startsAt(h, first) {
		body.Close()
		return nil, answer{}, errors.New("the store does not answer ranges")
	}
	return body, answer{info(o), h}, nil
}

type answer struct {
	Info
	header http.Header
}

func startsAt(h http.Header, off int64) bool {
	var first int64
	_, err := fmt.Sscanf(h.Get("Content-Range"), "bytes %d-", &first)
	return err == nil && first == off
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
