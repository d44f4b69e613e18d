package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"
)

// MaxPut is the largest object that one PUT can store, in bytes.
const MaxPut = 5 << 30

// Put stores size bytes of r under key in one request. What was there is
// replaced, for readers in one instant. r is read twice: for its digests, then
// to be sent.
//
// When Put returns nil the object is durable; when it fails, key holds either
// what it held before or the new object. Errors: ErrTooLarge.
func (b *Bucket) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (Info, error) {
	info, err := b.put(ctx, key, r, size, false)
	return info, b.wrap("put", key, err)
}

// PutBytes is Put of data.
func (b *Bucket) PutBytes(ctx context.Context, key string, data []byte) (Info, error) {
	return b.Put(ctx, key, bytes.NewReader(data), int64(len(data)))
}

// Create stores data under a name not yet taken, in one request.
//
//   - When it returns nil, the object is durable, and of any number of
//     concurrent creators of that name this one won.
//   - When it fails, the object may be there all the same, because the answer
//     may be what was lost. That holds for ErrExist too: the request is repeated
//     after a broken connection, and the second finds the object of the first.
//     A creator who must know reads the object back and looks for his nonce.
//   - Errors: ErrExist.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (Info, error) {
	var info Info
	var err error
	for try := range b.store.attempts {
		if try > 0 && !sleep(ctx, 50*time.Millisecond<<try) {
			break
		}
		info, err = b.put(ctx, key, bytes.NewReader(data), int64(len(data)), true)
		// 409: another creator is at it in this very moment, ask again.
		if minio.ToErrorResponse(err).StatusCode != http.StatusConflict {
			break
		}
	}
	if minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed {
		err = ErrExist
	}
	return info, b.wrap("create", key, err)
}

// put sends one PUT. It carries two digests: the SHA-256 is part of the
// signature, so every store compares it with what arrives, also over plain
// HTTP; the CRC64NVME is kept by stores that know it and comes back with each
// download, where it costs a tenth of what a SHA-256 or the ETag's MD5 would.
// (Sent as X-Amz-Checksum-Sha256 instead, the SHA-256 would be what is kept.)
func (b *Bucket) put(ctx context.Context, key string, r io.ReaderAt, size int64, create bool) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	if size > MaxPut {
		return Info{}, fmt.Errorf("%d bytes, one PUT takes %d: %w", size, int64(MaxPut), ErrTooLarge)
	}
	sums, err := digest(io.NewSectionReader(r, 0, size), size)
	if err != nil {
		return Info{}, err
	}
	opts := minio.PutObjectOptions{UserMetadata: sums.header()}
	if create {
		opts.SetMatchETagExcept("*")
	}
	opts.DisableContentSha256 = true // it is computed already: do not sign chunk by chunk
	up, err := b.store.core.PutObject(ctx, b.name, key, io.NewSectionReader(r, 0, size), size, "", sums.sha256, opts)
	if err != nil {
		return Info{}, err
	}
	return Info{Key: key, ETag: up.ETag, Size: size}, nil
}

// digests of what is about to be sent.
type digests struct{ sha256, crc64 string }

const crcHeader = "X-Amz-Checksum-Crc64nvme"

func (d digests) header() map[string]string { return map[string]string{crcHeader: d.crc64} }

func digest(r io.Reader, size int64) (digests, error) {
	sha, crc := sha256.New(), minio.ChecksumCRC64NVME.Hasher()
	n, err := io.CopyBuffer(io.MultiWriter(sha, crc), onlyReader{r}, make([]byte, min(max(size, 1), 256<<10)))
	if err == nil && n != size {
		err = fmt.Errorf("%d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return digests{hex.EncodeToString(sha.Sum(nil)), base64.StdEncoding.EncodeToString(crc.Sum(nil))}, err
}

// onlyReader hides WriteTo, so that CopyBuffer uses the buffer it is given.
type onlyReader struct{ io.Reader }

// Copy makes to a copy of from, inside the store. What was at to is replaced.
// etag names the version of from that is wanted; empty means any. The copy's
// ETag may differ from the original's.
//
// When Copy returns nil the copy is durable; when it fails, it may be there.
// Errors: ErrNotExist, ErrChanged, ErrTooLarge above MaxPut.
func (b *Bucket) Copy(ctx context.Context, from, to string, etag string) (Info, error) {
	op := "copy " + b.name + "/" + from + " to"
	if err := checkKey(to); err != nil {
		return Info{}, b.wrap(op, to, err)
	}
	if from == to {
		return Info{}, b.wrap(op, to, errors.New("an object cannot be copied to itself"))
	}
	up, err := b.store.core.Client.CopyObject(ctx,
		minio.CopyDestOptions{Bucket: b.name, Object: to},
		minio.CopySrcOptions{Bucket: b.name, Object: from, MatchETag: etag})
	if err != nil {
		return Info{}, b.wrap(op, to, err)
	}
	// The answer to a copy gives no size.
	info, err := b.Stat(ctx, to)
	if err == nil && info.ETag != up.ETag {
		err = b.wrap(op, to, fmt.Errorf("the copy %w", ErrChanged))
	}
	return info, err
}

// Delete removes an object. One that is not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	err := b.store.core.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil
	}
	return b.wrap("delete", key, err)
}

// checkKey refuses names that the embedded store could not hold, or would hold
// under another name: it keeps objects as files.
func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the key is empty")
	case len(key) > 1024:
		return fmt.Errorf("the key has %d bytes, at most 1024 are allowed", len(key))
	case !utf8.ValidString(key) || strings.ContainsRune(key, 0):
		return errors.New("the key is not UTF-8 text")
	}
	for element := range strings.SplitSeq(key, "/") {
		switch {
		case element == "", element == ".", element == "..":
			return fmt.Errorf("the key has an element %q", element)
		case len(element) > 255:
			return fmt.Errorf("the key has an element of %d bytes, at most 255 are allowed", len(element))
		}
	}
	return nil
}
