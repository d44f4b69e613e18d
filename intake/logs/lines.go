package logs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxLine is the longest line that is read, in bytes; a longer one is a bad line.
const maxLine = 1 << 20

// maxZstdWindow is the longest window of zstd that is read, that of "zstd --long".
const maxZstdWindow = 128 << 20

// unpack is the text of a log, which its first bytes may tell to be compressed.
func unpack(raw io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReaderSize(raw, 256<<10)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return z, func() { z.Close() }, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	case bytes.Equal(head, []byte("PAR1")):
		return nil, nil, errors.New("is Parquet, which this format does not read; try cloudfront-parquet")
	}
	return in, func() {}, nil
}

// lineCutter cuts a text into lines.
type lineCutter struct {
	in     *bufio.Reader
	number int64 // of the last line, from 1
}

func newLineCutter(r io.Reader) *lineCutter {
	return &lineCutter{in: bufio.NewReaderSize(r, maxLine+2)}
}

var byteOrderMark = []byte("\uFEFF")

// next returns the next line that is not blank, without its end, or io.EOF. A line that is too long
// is skipped, and long is true. The line holds until the next call.
func (l *lineCutter) next() (line []byte, long bool, err error) {
	for {
		line, err = l.in.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return nil, false, err
		}
		if l.number++; l.number == 1 {
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
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > maxLine {
			return nil, true, nil
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return line, false, nil
		}
		if err == io.EOF {
			return nil, false, io.EOF
		}
	}
}
