package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

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
	// maxOfSender bounds those of one sender, as far as they are several.
	maxOfSender = maxMemory / 4
	// MaxUnsigned bounds a body while its signature is all that may tell who sent it; maxOfStrangers all such
	// bodies, maxOfStranger those from one address.
	MaxUnsigned    = 4 << 20
	maxOfStrangers = 32 << 20
	maxOfStranger  = maxOfStrangers / 4
	// maxWindow is the longest window of zstd that is unpacked.
	maxWindow = 8 << 20
)

// budget is the memory of one post, as a part of what all may take.
type budget struct {
	all     *semaphore.Weighted
	senders *holdings
	sender  string
	mine    int64
}

// budget is the memory for a post. Posts of which nobody knows yet who sent them have a small part of their own, so that
// they take nothing from the others.
func (in *Intake) budget(p *Post, stranger bool) *budget {
	if stranger {
		return &budget{all: in.ofStrangers, senders: in.strangers, sender: p.Sender}
	}
	return &budget{all: in.memory, senders: in.senders, sender: p.Sender}
}

// take takes n bytes more. Nobody waits for memory: others may be waiting for ours.
func (b *budget) take(n int64) error {
	if !b.senders.take(b.sender, b.mine, n) {
		return ErrBusy
	}
	if !b.all.TryAcquire(n) {
		b.senders.give(b.sender, n)
		return ErrBusy
	}
	b.mine += n
	return nil
}

func (b *budget) release() {
	b.all.Release(b.mine)
	b.senders.give(b.sender, b.mine)
	b.mine = 0
}

// become moves what is taken to another budget: it is known now who sends.
func (b *budget) become(to *budget) error {
	if err := to.take(b.mine); err != nil {
		return err
	}
	b.release()
	*b = *to
	return nil
}

// holdings is how much memory each sender has taken.
type holdings struct {
	each int64 // what one may take with several posts; one post alone may take more

	mu sync.Mutex
	of map[string]int64
}

func newHoldings(each int64) *holdings { return &holdings{each: each, of: make(map[string]int64)} }

// take notes n bytes for a sender's post that has taken mine so far, or tells that they are too many. Nobody
// in particular ("") has no bound.
func (h *holdings) take(sender string, mine, n int64) bool {
	if sender == "" {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if all := h.of[sender]; all > mine && all+n > h.each {
		return false
	}
	h.of[sender] += n
	return true
}

func (h *holdings) give(sender string, n int64) {
	if sender == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of[sender] -= n; h.of[sender] == 0 {
		delete(h.of, sender)
	}
}

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
		larger := min(2*cap(data), most+1) // the one more is to see that there are more
		if err := b.take(int64(larger - cap(data))); err != nil {
			return nil, err
		}
		data = append(make([]byte, 0, larger), data...)
	}
}

// unpack unpacks a body that was sent.
func (b *budget) unpack(sent []byte, encoding string) (body []byte, err error) {
	switch encoding = strings.ToLower(strings.TrimSpace(encoding)); encoding {
	case "", "identity":
		return sent, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(sent))
		if err != nil {
			return nil, fmt.Errorf("%w as gzip: %w", ErrBody, err)
		}
		return b.readAll(z, MaxUnpacked)
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(sent), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("%w as zstd: %w", ErrBody, err)
		}
		defer z.Close()
		return b.readAll(z, MaxUnpacked)
	}
	return nil, fmt.Errorf("%w: send it as it is, or with Content-Encoding gzip or zstd", ErrEncoding)
}
