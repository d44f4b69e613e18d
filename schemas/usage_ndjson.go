package schemas

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// linePacking is how the lines of an NDJSON file are compressed.
type linePacking string

const (
	plainLines linePacking = ".ndjson"
	gzipLines  linePacking = ".ndjson.gz"
	zstdLines  linePacking = ".ndjson.zst"
)

// maxZstdWindow is the longest window of zstd that is read, that of `zstd --long`.
const maxZstdWindow = 128 << 20

// open returns the unpacked lines as a stream and what closes it.
func (p linePacking) open(src *source) (io.Reader, func(), error) {
	raw := io.NewSectionReader(src, 0, src.size)
	if p != plainLines && src.size == 0 {
		return nil, nil, errors.New("is empty where compressed data is expected")
	}
	switch p {
	case gzipLines:
		z, err := gzip.NewReader(bufio.NewReaderSize(raw, 256<<10))
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return z, func() { z.Close() }, nil
	case zstdLines:
		z, err := zstd.NewReader(bufio.NewReaderSize(raw, 256<<10), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	}
	return raw, func() {}, nil
}

// lines cuts a stream into lines.
type lines struct {
	in    *bufio.Reader
	began bool
}

func newLines(r io.Reader) *lines { return &lines{in: bufio.NewReaderSize(r, maxText+2)} }

var byteOrderMark = []byte("\uFEFF")

// next returns the next line that is not blank, or io.EOF. A line that is too
// long is skipped, and long is true. The line holds until the next call.
func (l *lines) next() (line []byte, long bool, err error) {
	for {
		line, err = l.in.ReadSlice('\n')
		if !l.began {
			l.began = true
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		if err == bufio.ErrBufferFull {
			for err == bufio.ErrBufferFull {
				_, err = l.in.ReadSlice('\n')
			}
			if err == io.EOF {
				err = nil
			}
			return nil, true, err
		}
		if err != nil && err != io.EOF {
			return nil, false, err
		}
		line = bytes.Trim(line, " \t\r\n")
		if len(line) > maxText {
			return nil, true, nil
		}
		if len(line) > 0 {
			return line, false, nil
		}
		if err == io.EOF {
			return nil, false, io.EOF
		}
	}
}

// maxExtra is how many unknown fields are remembered.
const maxExtra = 100

// lineUsage is a usage file in NDJSON.
type lineUsage struct {
	src     *source
	packing linePacking

	mu    sync.Mutex
	extra map[string]bool
}

func (u *lineUsage) addExtra(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.extra == nil {
		u.extra = map[string]bool{}
	}
	if len(u.extra) < maxExtra {
		u.extra[name] = true
	}
}

func (u *lineUsage) extraFields() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Sorted(maps.Keys(u.extra))
}

func (u *lineUsage) part() *linePart {
	return &linePart{file: u, lineBatches: lineBatches{rows: lineRows{size: MaxBatch, most: maxDict}}}
}

// maxBatchBytes ends a batch whose lines take more.
const maxBatchBytes = 16 << 20

// lineBatches reads lines into batches.
type lineBatches struct {
	lines *lines
	rows  lineRows
	row   int64 // lines before the batch
}

func (l *lineBatches) next() (*Batch, error) {
	l.rows.begin()
	for size := 0; l.rows.n < l.rows.size && size < maxBatchBytes; {
		line, long, err := l.lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.row+int64(l.rows.n)+1, err)
		}
		size += len(line)
		l.rows.add(line, long)
	}
	if l.rows.n == 0 {
		return nil, io.EOF
	}
	b := l.rows.batch()
	b.FirstRow = l.row
	l.row += int64(b.Len)
	return b, nil
}

// linePart reads the lines of a file into batches.
type linePart struct {
	file *lineUsage
	done func()
	lineBatches
}

func (p *linePart) next() (*Batch, error) {
	if p.lines == nil {
		in, done, err := p.file.packing.open(p.file.src)
		if err != nil {
			return nil, err
		}
		p.lines, p.done = newLines(in), done
		p.rows.init(p.file.addExtra)
	}
	return p.lineBatches.next()
}

func (p *linePart) close() {
	if p.done != nil {
		p.done()
	}
	*p = linePart{}
}
