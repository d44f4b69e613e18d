package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/playmeter/playmeter/bucket"
)

// content reads an object of the Reporting bucket for http.ServeContent: nothing is asked of the store
// before it is read, a range costs no more than a window, and memory does not grow with the object.
//
//   - The object is fetched by ranges at one ETag, in windows that grow, so that a slow reader holds no
//     connection to the store for long.
//   - Read from the first byte to the last, it is held against its SHA-256; the last bytes are held back
//     until that is right, so that a wrong object never looks whole.
//   - ServeContent reads several ranges in a goroutine of its own that may outlive it: hence the lock.
type content struct {
	ctx       context.Context
	bucket    *bucket.Bucket
	key, etag string
	size      int64
	sha256    string // of the whole, in hex; empty: nobody knows

	mu     sync.Mutex
	off    int64
	body   io.ReadCloser
	left   int64 // of body
	window int64 // size of the next
	sum    hash.Hash
	summed int64
	err    error
}

// The windows that an object is fetched in, in bytes.
const (
	firstWindow = 64 << 10
	lastWindow  = 16 << 20
)

var (
	errAltered = errors.New("it is not the object that its manifest names")
	errClosed  = errors.New("read after the answer was given")
)

// Seek is io.Seeker's; it asks nothing of the store.
func (c *content) Seek(off int64, whence int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += c.off
	case io.SeekEnd:
		off += c.size
	}
	if off < 0 {
		return 0, fmt.Errorf("seek in %s: %d is before its start", c.key, off)
	}
	if off != c.off {
		c.shut()
		c.off, c.window = off, 0
	}
	return off, nil
}

// Read is io.Reader's.
func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.off < c.size && c.body == nil {
		c.err = c.open()
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case c.off >= c.size:
		return 0, io.EOF
	}
	n, err := c.body.Read(p[:min(int64(len(p)), c.left)])
	if err != nil && err != io.EOF {
		c.err = err
	}
	if !c.matches(p[:n]) {
		c.err = fmt.Errorf("read %s: %w", c.key, errAltered)
		return 0, c.err
	}
	c.off += int64(n)
	if c.left -= int64(n); c.left == 0 {
		c.shut()
	}
	return n, c.err
}

// matches adds to the digest what is read in one go from the start, and compares it at the end.
func (c *content) matches(p []byte) bool {
	if c.sha256 == "" || c.summed != c.off {
		return true
	}
	if c.sum == nil {
		c.sum = sha256.New()
	}
	c.sum.Write(p)
	c.summed += int64(len(p))
	return c.summed != c.size || hex.EncodeToString(c.sum.Sum(nil)) == c.sha256
}

func (c *content) open() error {
	c.window = min(max(firstWindow, c.window*4), lastWindow)
	c.left = min(c.window, c.size-c.off)
	body, err := c.bucket.RangeReader(c.ctx, c.key, c.etag, c.off, c.left)
	if err == nil {
		c.body = body
	}
	return err
}

// prime asks the store for the first window, so that it is known whether there will be an answer.
func (c *content) prime() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.body == nil && c.off < c.size {
		c.err = c.open()
	}
	return c.err
}

func (c *content) shut() {
	if c.body != nil {
		c.body.Close()
		c.body = nil
	}
}

// close ends it; what went wrong until then is its result.
func (c *content) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.err
	c.shut()
	if c.err == nil {
		c.err = errClosed
	}
	return err
}
