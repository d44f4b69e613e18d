package schemas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// readWindow is how much of a column chunk is fetched at once; a chunk of up
// to twice that is fetched whole.
const readWindow = 1 << 20

// maxPageHeader bounds the search for the end of a page's header, which holds
// the page's least and greatest value.
const maxPageHeader = 16 << 20

// pages walks the pages of one column chunk, from the first to the last, in
// bounded memory. Every page's checksum is compared where the writer wrote
// one, the dictionary's too.
//
// Source: the Parquet format's "README.md" and parquet.thrift.
type pages struct {
	src   *source
	codec format.CompressionCodec
	off   int64 // of the first byte not yet fetched
	end   int64

	window []byte // fetched and not yet taken
	spare  []byte // the window's whole memory
	body   []byte // the memory of decompressed data pages

	held *int64 // bytes of pages that this and other columns hold decompressed
	mine int64  // of these, this column's

	header format.PageHeader
	reader thrift.BytesReader
	decode *thrift.Decoder
}

// page is a data page or a dictionary page, decompressed. Its bytes hold until
// the next page.
type page struct {
	dictionary bool
	values     int // nulls included
	nulls      int // -1 where the page does not say
	encoding   format.Encoding
	repeats    []byte // runs of levels; nil when the column has none
	defined    []byte
	data       []byte
}

func (p *pages) open(src *source, chunk *format.ColumnMetaData) error {
	start := chunk.DataPageOffset
	if d := chunk.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	if chunk.TotalCompressedSize < 0 || start < 4 || start > src.size || chunk.TotalCompressedSize > src.size-start {
		return errors.New("lies outside of the file")
	}
	p.src, p.codec = src, chunk.Codec
	p.off, p.end = start, start+chunk.TotalCompressedSize
	p.window = nil
	if p.reader == nil {
		p.reader = new(thrift.CompactProtocol).NewReaderFromBytes(nil)
		p.decode = thrift.NewDecoder(p.reader)
	}
	return nil
}

// left is how many bytes of the chunk were not taken yet.
func (p *pages) left() int64 { return int64(len(p.window)) + p.end - p.off }

// peek returns the next n bytes of the chunk, or as many as there are.
func (p *pages) peek(n int) ([]byte, error) {
	n = int(min(int64(n), p.left()))
	if n > len(p.window) {
		if err := p.fetch(n); err != nil {
			return nil, err
		}
	}
	return p.window[:n], nil
}

func (p *pages) fetch(n int) error {
	size := max(n, len(p.window)+readWindow)
	if p.left() <= 2*readWindow {
		size = int(p.left())
	}
	size = int(min(int64(size), p.left()))
	buf := p.spare
	if cap(buf) < size+pagePadding {
		buf = make([]byte, size+pagePadding)
	}
	buf = buf[:cap(buf)]
	have := copy(buf, p.window)
	if _, err := p.src.ReadAt(buf[have:size], p.off); err != nil {
		return fmt.Errorf("read %d bytes at %d: %w", size-have, p.off, err)
	}
	p.off += int64(size - have)
	p.spare, p.window = buf, buf[:size]
	return nil
}

// next returns the next page, or io.EOF.
func (p *pages) next(levels bool, repeated bool) (page, error) {
	for p.left() > 0 {
		if err := p.readHeader(); err != nil {
			return page{}, fmt.Errorf("page header: %w", err)
		}
		body, err := p.peek(int(p.header.CompressedPageSize))
		if err != nil {
			return page{}, err
		}
		p.window = p.window[len(body):]
		if want := uint32(p.header.CRC); want != 0 && crc32.ChecksumIEEE(body) != want {
			return page{}, errors.New("page checksum does not match")
		}
		switch p.header.Type {
		case format.DictionaryPage:
			return p.dictionaryPage(body)
		case format.DataPage:
			return p.dataPageV1(body, levels, repeated)
		case format.DataPageV2:
			return p.dataPageV2(body, levels, repeated)
		case format.IndexPage:
		default:
			return page{}, fmt.Errorf("a page of unknown type %d", p.header.Type)
		}
	}
	return page{}, io.EOF
}

func (p *pages) readHeader() error {
	for size := 4 << 10; ; size *= 8 {
		b, err := p.peek(size)
		if err != nil {
			return err
		}
		p.header = format.PageHeader{}
		p.reader.ResetBytes(b)
		if err = p.decode.Decode(&p.header); err == nil {
			p.window = p.window[p.reader.BytesRead():]
			return p.checkHeader()
		}
		if int64(len(b)) == p.left() || size >= maxPageHeader {
			return err
		}
	}
}

func (p *pages) checkHeader() error {
	packed, plain := p.header.CompressedPageSize, p.header.UncompressedPageSize
	switch {
	case packed < 0 || plain < 0:
		return errors.New("negative size")
	case packed > maxPage || plain > maxPage:
		return errPageSize
	case int64(packed) > p.left():
		return fmt.Errorf("a page of %d bytes where %d are left", packed, p.left())
	}
	return nil
}

// oldDictionary is PLAIN_DICTIONARY, deprecated since format 2.0 and still what many
// writers write.
const oldDictionary format.Encoding = 2

func (p *pages) dictionaryPage(body []byte) (page, error) {
	h := p.header.DictionaryPageHeader
	if !h.Valid || h.V.NumValues < 0 {
		return page{}, errors.New("damaged header of a dictionary page")
	}
	if h.V.Encoding != format.Plain && h.V.Encoding != oldDictionary {
		return page{}, fmt.Errorf("a dictionary in %s encoding", h.V.Encoding)
	}
	// The dictionary outlives its page, so it gets memory of its own.
	data, err := p.unpack(nil, body, int(p.header.UncompressedPageSize))
	if err == nil && p.codec == format.Uncompressed {
		data = append(make([]byte, 0, len(data)+pagePadding), data...)
	}
	return page{dictionary: true, values: int(h.V.NumValues), encoding: format.Plain, data: data}, err
}

func (p *pages) dataPageV1(body []byte, levels, repeated bool) (page, error) {
	h := p.header.DataPageHeader
	if !h.Valid || h.V.NumValues < 0 {
		return page{}, errors.New("damaged header of a data page")
	}
	data, err := p.unpackData(body, int(p.header.UncompressedPageSize))
	if err != nil {
		return page{}, err
	}
	pg := page{values: int(h.V.NumValues), nulls: -1, encoding: h.V.Encoding}
	if repeated {
		if pg.repeats, data, err = cutLevels(data, h.V.RepetitionLevelEncoding); err != nil {
			return page{}, err
		}
	}
	if levels {
		if pg.defined, data, err = cutLevels(data, h.V.DefinitionLevelEncoding); err != nil {
			return page{}, err
		}
	}
	pg.data = data
	return pg, nil
}

// cutLevels cuts the runs of levels from the front of a page, where their
// length precedes them.
func cutLevels(data []byte, enc format.Encoding) (levels, rest []byte, err error) {
	if enc != format.RLE {
		return nil, nil, fmt.Errorf("levels in %s encoding, which is not supported", enc)
	}
	if len(data) < 4 {
		return nil, nil, errRunsShort
	}
	n := binary.LittleEndian.Uint32(data)
	if uint64(n) > uint64(len(data)-4) {
		return nil, nil, errRunsShort
	}
	return data[4 : 4+n : 4+n], data[4+n:], nil
}

func (p *pages) dataPageV2(body []byte, levels, repeated bool) (page, error) {
	h := p.header.DataPageHeaderV2
	r, d := int64(h.V.RepetitionLevelsByteLength), int64(h.V.DefinitionLevelsByteLength)
	size := int64(p.header.UncompressedPageSize) - r - d
	if !h.Valid || h.V.NumValues < 0 || h.V.NumNulls < 0 || h.V.NumNulls > h.V.NumValues ||
		r < 0 || d < 0 || r+d > int64(len(body)) || size < 0 {
		return page{}, errors.New("damaged header of a data page")
	}
	pg := page{values: int(h.V.NumValues), nulls: int(h.V.NumNulls), encoding: h.V.Encoding}
	if repeated {
		pg.repeats = body[:r:r]
	} else if h.V.NumRows != h.V.NumValues {
		return page{}, fmt.Errorf("a page of %d rows and %d values", h.V.NumRows, h.V.NumValues)
	}
	if levels {
		pg.defined = body[r : r+d : r+d]
	} else if pg.nulls != 0 {
		return page{}, errors.New("nulls in a required column")
	}
	var err error
	if body = body[r+d:]; h.V.IsCompressed.Valid && !h.V.IsCompressed.V {
		pg.data = body
	} else {
		pg.data, err = p.unpackData(body, int(size))
	}
	return pg, err
}

func (p *pages) unpackData(body []byte, size int) (data []byte, err error) {
	data, err = p.unpack(p.body, body, size)
	if p.codec != format.Uncompressed {
		p.body = data
	}
	return data, err
}

func (p *pages) unpack(dst, body []byte, size int) ([]byte, error) {
	if p.codec == format.Uncompressed {
		if len(body) != size {
			return nil, errPageLength
		}
		return body, nil
	}
	if err := p.hold(int64(size)); err != nil {
		return nil, err
	}
	data, err := decompress(dst, p.codec, body, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.codec, err)
	}
	return data, nil
}

// maxHeld bounds the pages of all columns that are in memory at one time.
const maxHeld = 1 << 30

// hold counts the largest page of this column, before memory is taken for it.
func (p *pages) hold(size int64) error {
	if more := size - p.mine; p.held != nil && more > 0 {
		if *p.held += more; *p.held > maxHeld {
			return fmt.Errorf("pages of more than %d MiB at once", maxHeld>>20)
		}
		p.mine = size
	}
	return nil
}

// maxRows is the most rows that a file is believed to have.
const maxRows = math.MaxUint32
