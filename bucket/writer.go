package bucket

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// PartSize is how much a [Writer] holds in memory at most, in bytes.
const PartSize = 16 << 20

// maxParts is S3's limit of parts an upload, so a Writer takes 160 GB.
const maxParts = 10_000

// A Writer stores a stream whose length is not known beforehand. Nothing is to
// be seen under its key before Close returns nil.
//
// One part or less is sent in one PUT, more as a multipart upload. Multipart
// uploads cannot be made create-only on every store, so a Writer replaces what
// is there: use it for names that are unique per run.
//
// A Writer is for one goroutine.
type Writer struct {
	ctx    context.Context
	b      *Bucket
	key    string
	buf    []byte
	upload string // id of the multipart upload, once there is one
	parts  []minio.CompletePart
	size   int64
	info   Info
	err    error // why nothing more is taken
	closed bool
}

var errClosed = errors.New("the writer is closed")

// Writer begins an object. ctx holds for all that the Writer does.
func (b *Bucket) Writer(ctx context.Context, key string) (*Writer, error) {
	if err := checkKey(key); err != nil {
		return nil, b.wrap("put", key, err)
	}
	return &Writer{ctx: ctx, b: b, key: key}, nil
}

// Write takes p, and sends a part when one is full. After an error the Writer
// takes nothing more, and Close gives the error again.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.closed {
		return 0, w.b.wrap("put", w.key, errClosed)
	}
	written := 0
	for len(p) > 0 {
		if len(w.buf) == PartSize {
			if err := w.sendPart(); err != nil {
				w.fail(err)
				return written, w.err
			}
		}
		n := min(len(p), PartSize-len(w.buf))
		w.grow(n)
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		written += n
	}
	w.size += int64(written)
	return written, nil
}

// grow makes room for n more bytes: doubling, so that a small object costs
// little, but never beyond a part.
func (w *Writer) grow(n int) {
	if need := len(w.buf) + n; need > cap(w.buf) {
		buf := make([]byte, len(w.buf), min(max(need, 2*cap(w.buf), 64<<10), PartSize))
		copy(buf, w.buf)
		w.buf = buf
	}
}

func (w *Writer) sendPart() error {
	if len(w.parts) == maxParts {
		return ErrTooLarge
	}
	if w.upload == "" {
		id, err := w.b.store.core.NewMultipartUpload(w.ctx, w.b.name, w.key, minio.PutObjectOptions{
			UserMetadata: map[string]string{
				// So that the finished object has one checksum over all its bytes.
				"X-Amz-Checksum-Algorithm": minio.ChecksumCRC64NVME.String(),
				"X-Amz-Checksum-Type":      "FULL_OBJECT",
			},
		})
		if err != nil {
			return err
		}
		w.upload = id
	}
	sums, err := digest(bytes.NewReader(w.buf), int64(len(w.buf)))
	if err != nil {
		return err
	}
	n := len(w.parts) + 1
	part, err := w.b.store.core.PutObjectPart(w.ctx, w.b.name, w.key, w.upload, n,
		bytes.NewReader(w.buf), int64(len(w.buf)), minio.PutObjectPartOptions{
			Sha256Hex:            sums.sha256,
			DisableContentSha256: true,
			CustomHeader:         http.Header{crcHeader: {sums.crc64}},
		})
	if err != nil {
		return err
	}
	w.parts = append(w.parts, minio.CompletePart{PartNumber: n, ETag: part.ETag, ChecksumCRC64NVME: sums.crc64})
	w.buf = w.buf[:0]
	return nil
}

// Close publishes the object. When it returns nil the object is durable and
// whole; when it fails, it may be there, and is then whole. Closing again gives
// the same answer.
func (w *Writer) Close() error {
	if w.closed || w.err != nil {
		w.closed = true
		return w.err
	}
	w.closed = true
	if err := w.publish(); err != nil {
		w.fail(err)
	}
	w.buf = nil
	return w.err
}

func (w *Writer) publish() error {
	if w.upload == "" {
		info, err := w.b.put(w.ctx, w.key, bytes.NewReader(w.buf), int64(len(w.buf)), false)
		w.info = info
		return err
	}
	if len(w.buf) > 0 {
		if err := w.sendPart(); err != nil {
			return err
		}
	}
	up, err := w.b.store.core.CompleteMultipartUpload(w.ctx, w.b.name, w.key, w.upload, w.parts, minio.PutObjectOptions{
		UserMetadata: map[string]string{"X-Amz-Checksum-Type": "FULL_OBJECT"},
	})
	if minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		// It was repeated after a lost answer: then the object stands, and the
		// name is ours alone.
		if info, serr := w.b.Stat(w.ctx, w.key); serr == nil && info.Size == w.size {
			w.info = info
			return nil
		}
	}
	if err != nil {
		return err
	}
	w.info = Info{Key: w.key, ETag: up.ETag, Size: w.size}
	return nil
}

// Info is what was stored, after Close returned nil.
func (w *Writer) Info() Info { return w.info }

// Abort gives the object up: nothing appears under its key, and Write and Close
// return err from now on. After Close it does nothing.
func (w *Writer) Abort(err error) {
	if w.closed || w.err != nil {
		return
	}
	if err == nil {
		err = errors.New("given up")
	}
	w.fail(err)
}

// fail keeps the first error, and takes the parts out of the store again. That
// is done also when the caller's context has ended.
func (w *Writer) fail(err error) {
	w.err = w.b.wrap("put", w.key, err)
	w.buf = nil
	if w.upload == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), 10*time.Second)
	defer cancel()
	_ = w.b.store.core.AbortMultipartUpload(ctx, w.b.name, w.key, w.upload) // stores expire what is left
}
