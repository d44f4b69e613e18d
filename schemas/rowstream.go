package schemas

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// MaxRow bounds an encoded row; a hash set of an hour is the longest.
const MaxRow = 256 << 20

// window is the zstd window of a row stream: small, because many streams are
// open at once while they are merged.
const window = 256 << 10

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		panic(err) // cannot happen: the options are constants
	}
	return e
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic(err) // cannot happen: the options are constants
	}
	return d
}}

func compressZstd(raw []byte) []byte {
	e := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(e)
	return e.EncodeAll(raw, nil)
}

// decompressZstd refuses what unpacks to more than limit bytes.
func decompressZstd(packed []byte, limit int64) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit)))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(packed, nil)
}

// RowWriter writes a row stream: rows, each behind its length, in one zstd
// frame.
type RowWriter struct {
	e    *zstd.Encoder
	buf  []byte
	Rows int64
}

// NewRowWriter begins a stream on w.
func NewRowWriter(w io.Writer) *RowWriter {
	e := encoders.Get().(*zstd.Encoder)
	e.Reset(w)
	buf := rowBuffers.Get().(*[]byte)
	return &RowWriter{e: e, buf: (*buf)[:0]}
}

var rowBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Write appends one encoded row.
func (w *RowWriter) Write(row []byte) error {
	w.buf = binary.AppendUvarint(w.buf, uint64(len(row)))
	w.buf = append(w.buf, row...)
	w.Rows++
	if len(w.buf) >= window {
		return w.flush()
	}
	return nil
}

func (w *RowWriter) flush() error {
	_, err := w.e.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Close ends the frame; the stream is whole only when it returns nil.
func (w *RowWriter) Close() error {
	err := errors.Join(w.flush(), w.e.Close())
	w.e.Reset(nil)
	encoders.Put(w.e)
	rowBuffers.Put(&w.buf)
	w.e = nil
	return err
}

// RowReader reads a row stream.
type RowReader struct {
	d   *zstd.Decoder
	b   *bufio.Reader
	buf []byte
}

var readBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// NewRowReader reads the stream that r holds to its end.
func NewRowReader(r io.Reader) (*RowReader, error) {
	d := decoders.Get().(*zstd.Decoder)
	if err := d.Reset(r); err != nil {
		decoders.Put(d)
		return nil, fmt.Errorf("row stream: %w: %v", ErrDamaged, err)
	}
	b := readBuffers.Get().(*bufio.Reader)
	b.Reset(d)
	return &RowReader{d: d, b: b}, nil
}

// Next returns the next row, which holds until the call after it; io.EOF ends
// the stream. Errors: ErrDamaged.
func (r *RowReader) Next() ([]byte, error) {
	n, err := binary.ReadUvarint(r.b)
	if err == io.EOF {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("row stream: %w: %v", ErrDamaged, err)
	}
	if n > MaxRow {
		return nil, fmt.Errorf("row stream: %w: row of %d bytes", ErrDamaged, n)
	}
	if int(n) > cap(r.buf) {
		if r.buf, err = readLong(r.b, r.buf, int(n)); err != nil {
			return nil, fmt.Errorf("row stream: %w: %v", ErrDamaged, err)
		}
		return r.buf, nil
	}
	r.buf = r.buf[:n]
	if _, err := io.ReadFull(r.b, r.buf); err != nil {
		return nil, fmt.Errorf("row stream: %w: %v", ErrDamaged, err)
	}
	return r.buf, nil
}

// readLong grows the buffer as bytes arrive, so that a damaged length does not
// claim memory that no data stands behind.
func readLong(r io.Reader, buf []byte, n int) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < n {
		step := min(n-len(buf), max(64<<10, len(buf)))
		buf = append(buf, make([]byte, step)...)
		if _, err := io.ReadFull(r, buf[len(buf)-step:]); err != nil {
			return buf[:0], err
		}
	}
	return buf, nil
}

// Close gives the stream's memory back.
func (r *RowReader) Close() {
	if r.d == nil {
		return
	}
	r.b.Reset(nil)
	readBuffers.Put(r.b)
	if r.d.Reset(nil) == nil {
		decoders.Put(r.d)
	}
	r.d, r.b = nil, nil
}
