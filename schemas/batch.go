package schemas

import (
	"math"
	"unsafe"
)

// StringColumn names a text column of a [Batch].
type StringColumn int

// The text columns of a usage event, in the order of SPEC 2. Their names are
// in [StringColumn.Name]. `event_id` is not among them: it is unique to its
// row, see [Batch.EventID].
const (
	ColNode StringColumn = iota
	ColTenant
	ColKind
	ColObject
	ColLibrary
	ColVersion
	ColSession
	ColOffering
	ColFormat
	ColProtocol
	ColTrack
	ColCodec
	ColSourceCodec
	ColClientIP
	ColUserAgent
	ColReferrer
	ColAuthIdentity
	ColAuthAddr
	ColAuthEmail
	ColUser
	ColToken
	ColNodeHost
	ColNodeIP
	ColNodeRegion
	ColClientCountry
	ColClientRegion
	ColClientCity
	NumStringColumns
)

var stringColumnNames = [NumStringColumns]string{
	"node_id", "tenant_id", "kind", "object_id", "library_id", "version_hash", "session_id",
	"offering", "playout_format", "protocol", "track", "codec", "source_codec",
	"client_ip", "user_agent", "referrer", "auth_identity", "auth_addr", "auth_email", "user_id", "token",
	"node_host", "node_ip", "node_region", "client_country", "client_region", "client_city",
}

// Name is the column's name in a usage file.
func (c StringColumn) Name() string { return stringColumnNames[c] }

// IntColumn names a whole-number or time column of a [Batch].
type IntColumn int

// The number columns of a usage event. Time, OpenedAt and ClosedAt are Unix
// nanoseconds.
const (
	IntTime IntColumn = iota
	IntSeq
	IntBytes
	IntStatus
	IntWidth
	IntHeight
	IntSegment
	IntDuration
	IntSourceWidth
	IntSourceHeight
	IntOpenedAt
	IntClosedAt
	IntDRM
	IntLive
	NumIntColumns
)

var intColumnNames = [NumIntColumns]string{
	"time", "seq", "bytes", "status", "width", "height", "segment", "duration_us",
	"source_width", "source_height", "opened_at", "closed_at", "drm", "live",
}

// Name is the column's name in a usage file.
func (c IntColumn) Name() string { return intColumnNames[c] }

// None is the value of a number that a row does not give (null, or a column
// that the file does not have). Readers do not fill in defaults.
const None = math.MinInt64

// Earliest and Latest bound the times that an event may bear (SPEC 8): from
// 2000-01-01 on and before 2100-01-01, in Unix nanoseconds. Readers leave a time outside of
// them, or one that cannot be read, as [None].
const (
	Earliest = int64(946684800) * 1e9
	Latest   = int64(4102444800) * 1e9
)

// Batch is n aligned rows of usage events, as they travel from a file to its
// tally.
//
//   - Shape: every slice of a present column has Len values; a column that the
//     file lacks, or that was not asked for, is nil and means empty or [None] in every row.
//   - Text: codes into Dict; code 0 is the empty string. Text is valid UTF-8.
//   - Numbers: int64 whatever the file's type; booleans are 0 and 1.
//   - Memory: a batch and its slices belong to the reader and hold until its
//     next call. Dict grows with the file; when it has grown past its bound
//     the reader begins a new one, so compare Dict pointers before trusting
//     codes remembered from an earlier batch.
type Batch struct {
	Len      int
	FirstRow int64 // index in the file of row 0
	Dict     *Dict
	Strings  [NumStringColumns][]uint32
	Ints     [NumIntColumns][]int64

	// EventID holds the rows' event ids; nil when the file has none. Row i is
	// EventID.At(i).
	EventID *Texts

	// Bad marks rows that hold something that does not convert: [ReasonNone],
	// [ReasonBadLine] or [ReasonBadValue]. nil when every row converted. A
	// row with a bad value has the rest of its columns filled. An unusable time is no bad value.
	Bad []Reason
}

// Texts is a column of texts that are not worth interning.
type Texts struct {
	data []byte
	ends []uint32 // data[ends[i-1]:ends[i]] is row i
}

// Reset empties the column and keeps its memory.
func (t *Texts) Reset() { t.data, t.ends = t.data[:0], t.ends[:0] }

// Append adds a row.
func (t *Texts) Append(b []byte) {
	t.data = append(t.data, b...)
	t.ends = append(t.ends, uint32(len(t.data)))
}

// Len is the number of rows.
func (t *Texts) Len() int { return len(t.ends) }

// At is row i; the bytes belong to the batch.
func (t *Texts) At(i int) []byte {
	if i == 0 {
		return t.data[:t.ends[0]]
	}
	return t.data[t.ends[i-1]:t.ends[i]]
}

// Dict interns the texts of a file: one code per distinct text. Code 0 is the
// empty text.
type Dict struct {
	codes map[string]uint32
	texts []string
	size  int
}

// NewDict returns a dictionary that holds the empty text only.
func NewDict() *Dict {
	return &Dict{codes: map[string]uint32{"": 0}, texts: []string{""}}
}

// Code interns b and returns its code.
func (d *Dict) Code(b []byte) uint32 {
	if c, ok := d.codes[string(b)]; ok {
		return c
	}
	return d.add(string(b))
}

// CodeOf interns s and returns its code.
func (d *Dict) CodeOf(s string) uint32 {
	if c, ok := d.codes[s]; ok {
		return c
	}
	return d.add(s)
}

func (d *Dict) add(s string) uint32 {
	c := uint32(len(d.texts))
	d.texts = append(d.texts, s)
	d.codes[s] = c
	d.size += len(s) + 64
	return c
}

// Text returns the text of a code that Code returned.
func (d *Dict) Text(code uint32) string { return d.texts[code] }

// Bytes is the text of a code without a copy: it must not be written to.
func (d *Dict) Bytes(code uint32) []byte {
	s := d.texts[code]
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// Len is the number of texts, the empty one included.
func (d *Dict) Len() int { return len(d.texts) }

// Size is about how many bytes of memory the dictionary holds.
func (d *Dict) Size() int { return d.size }
