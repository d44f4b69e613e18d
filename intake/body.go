package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"
)

// Why a post is not taken at all. Sending it again does not help.
var (
	// ErrBody: the body is not what it should be.
	ErrBody = errors.New("the body cannot be read")
	// ErrTooLarge: the body is larger than one may be.
	ErrTooLarge = errors.New("the body is too large")
	// ErrEncoding: the body is packed in a way that is not known here.
	ErrEncoding = errors.New("the body's encoding is not known here")
)

const (
	// MaxPosted bounds a body as it is sent, MaxUnpacked as it is unpacked, in bytes.
	MaxPosted   = 16 << 20
	MaxUnpacked = 32 << 20
	// maxMemory bounds the bodies of all posts that are under way, in bytes.
	maxMemory = 256 << 20
	// maxWindow is the longest window of zstd that is unpacked.
	maxWindow = 8 << 20
)

// budget is the memory of one post, as a part of what all may take.
type budget struct {
	all  *semaphore.Weighted
	mine int64
}

// take takes n bytes more. Nobody waits for memory: others may be waiting for ours.
func (b *budget) take(n int64) error {
	if !b.all.TryAcquire(n) {
		return ErrBusy
	}
	b.mine += n
	return nil
}

func (b *budget) release() { b.all.Release(b.mine) }

// readAll reads r to its end, most bytes at the most, and takes memory as it grows.
func (b *budget) readAll(r io.Reader, most int) ([]byte, error) {
	const first = 16 << 10
	if err := b.take(first); err != nil {
		return nil, err
	}
	data := make([]byte, 0, first)
	for {
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > most:
			return nil, fmt.Errorf("%w: it has more than %d MiB; send it in parts", ErrTooLarge, most>>20)
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrBody, err)
		case len(data) < cap(data):
			continue
		}
		if err := b.take(int64(cap(data))); err != nil {
			return nil, err
		}
		data = append(make([]byte, 0, 2*cap(data)), data...)
	}
}

// readBody reads a body as it was sent, and unpacks it.
func (b *budget) readBody(r io.Reader, encoding string) (sent, unpacked []byte, err error) {
	if sent, err = b.readAll(r, MaxPosted); err != nil {
		return nil, nil, err
	}
	switch encoding = strings.ToLower(strings.TrimSpace(encoding)); encoding {
	case "", "identity":
		return sent, sent, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(sent))
		if err != nil {
			return nil, nil, fmt.Errorf("%w as gzip: %w", ErrBody, err)
		}
		unpacked, err = b.readAll(z, MaxUnpacked)
		return sent, unpacked, err
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(sent), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("%w as zstd: %w", ErrBody, err)
		}
		defer z.Close()
		unpacked, err = b.readAll(z, MaxUnpacked)
		return sent, unpacked, err
	}
	return nil, nil, fmt.Errorf("%w: send it as it is, or with Content-Encoding gzip or zstd", ErrEncoding)
}
