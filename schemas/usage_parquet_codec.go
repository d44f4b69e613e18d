package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// maxPage is the largest page, compressed or not, that is read: a bound for files
// made to burst, far above what writers make (about 1 MiB).
const maxPage = 256 << 20

var (
	errPageSize   = fmt.Errorf("a page of more than %d MiB", maxPage>>20)
	errPageLength = errors.New("a page does not decompress to the size it claims")
)

var pageZstd = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxPage))
	if err != nil {
		panic(err) // only for options that contradict each other
	}
	return d
}}

// pagePadding is how many bytes the decoders may look at behind a page's end.
const pagePadding = 32

func knownCodec(c format.CompressionCodec) bool {
	switch c {
	case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd, format.Lz4Raw:
		return true
	}
	return false
}

// decompress unpacks src, which must come to exactly size bytes, into dst's
// memory where it fits. It never makes more than that.
func decompress(dst []byte, codec format.CompressionCodec, src []byte, size int) ([]byte, error) {
	if !plausible(codec, src, size) {
		return nil, errPageLength
	}
	dst = slices.Grow(dst[:0], size+pagePadding)
	if size == 0 && len(src) == 0 {
		return dst, nil
	}
	var n int
	var err error
	switch codec {
	case format.Zstd:
		n, err = unpackZstd(dst[:0:size], src)
	case format.Snappy:
		n, err = unpackSnappy(dst[:size], src)
	case format.Lz4Raw:
		n, err = lz4.UncompressBlock(src, dst[:size])
	case format.Gzip:
		n, err = unpackGzip(dst[:size], src)
	case format.Brotli:
		n, err = unpackStream(dst[:size], brotli.NewReader(bytes.NewReader(src)))
	default:
		err = fmt.Errorf("compressed with %s, which is not supported", codec)
	}
	if err == nil && n != size {
		err = errPageLength
	}
	return dst[:size], err
}

// plausible tells whether src can come to size bytes at all, before memory is
// taken for them.
func plausible(codec format.CompressionCodec, src []byte, size int) bool {
	switch codec {
	case format.Snappy:
		n, err := snappy.DecodedLen(src)
		return err == nil && n == size && size <= 32*len(src)
	case format.Lz4Raw:
		return size <= 256*len(src)
	case format.Gzip:
		return size <= 1100*len(src)
	case format.Zstd:
		var h zstd.Header
		return len(src) == 0 || h.Decode(src) == nil && (!h.HasFCS || h.Skippable || h.FrameContentSize <= uint64(size))
	}
	return true
}

func unpackZstd(dst, src []byte) (int, error) {
	d := pageZstd.Get().(*zstd.Decoder)
	defer pageZstd.Put(d)
	out, err := d.DecodeAll(src, dst)
	return len(out), err
}

func unpackSnappy(dst, src []byte) (int, error) {
	out, err := snappy.Decode(dst, src)
	return len(out), err
}

func unpackGzip(dst, src []byte) (int, error) {
	z, err := gzip.NewReader(bytes.NewReader(src))
	if err != nil {
		return 0, err
	}
	return unpackStream(dst, z)
}

// unpackStream fills dst and checks that nothing follows.
func unpackStream(dst []byte, r io.Reader) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err != nil {
		return n, err
	}
	var more [1]byte
	if n, err := io.ReadFull(r, more[:]); n != 0 {
		return 0, errPageLength
	} else if err != io.EOF {
		return 0, err
	}
	return n, nil
}
