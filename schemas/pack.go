package schemas

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// TallyFormat is the version of what a tally counts and how. A change of it
// makes new names, so that every file is counted again while old packs stay
// readable.
const TallyFormat = 2

// TallyName is the name of what a usage file adds up to: a digest of
// everything that the result depends on.
type TallyName string

// NameTally makes the name of a tally.
//
//   - idle: the two idle times that split sessions.
//   - excluded: the digest of the rows left out as copies of rows in other files, or
//     empty.
func NameTally(key, etag string, idleWithID, idleWithoutID time.Duration, excluded string) TallyName {
	h := sha256.New()
	for _, s := range []string{fmt.Sprint("playmeter.tally/", TallyFormat), key, etag, idleWithID.String(), idleWithoutID.String(), excluded} {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return TallyName(hex.EncodeToString(h.Sum(nil)[:16]))
}

// Member is one usage file of a pack.
type Member struct {
	Key   string    `json:"key"`
	ETag  string    `json:"etag"`
	Size  int64     `json:"size"`
	Tally TallyName `json:"tally,omitempty"` // empty: an attempt whose rows count for nothing
	Rows  int64     `json:"rows"`
	// Modified is when the object was stored, by the store's clock.
	Modified time.Time `json:"modified"`
	// Counted is when the tally was made; of two objects that a key had within one second, the one
	// counted later was there later.
	Counted time.Time `json:"counted"`

	// Unreadable is why the file was set aside; its rows count for nothing.
	Unreadable string `json:"unreadable,omitempty"`
	// Placeless counts the rejected rows without a usable tenant or time.
	Placeless map[string]int64 `json:"placeless,omitempty"`
	// Excluded, if not empty, is the rows that were left out as copies, and Differing those of
	// them that say something else than the row that counts: 64-bit roaring bitmaps of row numbers.
	Excluded  []byte `json:"excluded,omitempty"`
	Differing []byte `json:"differing,omitempty"`
	// Ahead tells, per node whose clock runs ahead, by how many ns its newest event lies
	// after the moment when the file was stored.
	Ahead map[string]int64 `json:"ahead,omitempty"`
	// Extra names columns that are not ours.
	Extra []string `json:"extra,omitempty"`
	// Tenants says what the file holds of each tenant.
	Tenants map[Tenant]TenantSpan `json:"tenants,omitempty"`
}

// TenantSpan is where one tenant's rows of a file lie in time.
type TenantSpan struct {
	Hours []HourSpan `json:"hours"` // by hour
}

// HourSpan is the rows of one hour: how many, and when the last of them was
// (Unix ns), so that an as-of in the hour needs the file again only when it cuts.
type HourSpan struct {
	Hour Hour  `json:"hour"`
	Rows int64 `json:"rows"`
	Last int64 `json:"last"`
}

// BlockKind says which rows a block holds.
type BlockKind string

// The kinds of blocks.
const (
	BlockSums      BlockKind = "sums"
	BlockFragments BlockKind = "fragments"
	BlockSets      BlockKind = "sets"
	// BlockDays is sums of whole days, over all files of the pack: made when packs are
	// merged, of use where all of the pack's files with rows of that tenant and day are wanted.
	BlockDays BlockKind = "days"
)

// Block is a run of rows of one tenant and day in a pack: one zstd frame of
// length-prefixed rows. Sums are sorted by hour, object and file, fragments by
// key and first request. There may be several blocks of one kind, tenant and day.
// Blocks of sets are of one hour each, sorted by node and file.
type Block struct {
	Kind   BlockKind `json:"kind"`
	Tenant Tenant    `json:"tenant,omitempty"` // empty for sets
	Day    Day       `json:"day"`
	Hour   Hour      `json:"hour,omitempty"` // of sets
	Offset int64     `json:"offset"`
	Length int64     `json:"length"`
	Rows   int64     `json:"rows"`
	SHA256 string    `json:"sha256"` // of the compressed bytes
	// Records tells whether fragments of servers' own records are among the rows.
	Records bool `json:"records,omitempty"`
}

// PackIndex describes a pack: which files it adds up and where the rows are.
type PackIndex struct {
	Schema string `json:"schema"`
	// Level is 0 for a pack of counted files, above that of its sources for a merged one.
	Level int `json:"level,omitempty"`
	// Stripped tells, by tenant, that fragments of days before may have been left out: no period that begins
	// earlier can be folded from the pack.
	Stripped map[Tenant]Day `json:"stripped,omitempty"`
	Members  []Member       `json:"members"`
	Blocks   []Block        `json:"blocks"`
}

const (
	packSchema  = "playmeter.pack/2"
	packMagic   = "PLAYPACK"
	packTrailer = 8 + 8 + 8 // offset and length of the index, magic
	// MaxPackIndex bounds the size of an index, compressed and not.
	MaxPackIndex = 256 << 20
)

// AppendPackEnd appends what closes a pack whose blocks take offset bytes: the
// index as a zstd frame of JSON, and a trailer that says where it is.
func AppendPackEnd(b []byte, offset int64, index *PackIndex) ([]byte, error) {
	index.Schema = packSchema
	raw, err := json.Marshal(index)
	if err != nil {
		return nil, fmt.Errorf("encode pack index: %w", err)
	}
	if len(raw) > MaxPackIndex {
		return nil, fmt.Errorf("encode pack index: %d bytes are more than the %d that can be read back", len(raw), MaxPackIndex)
	}
	packed := compressZstd(raw)
	b = append(b, packed...)
	b = binary.LittleEndian.AppendUint64(b, uint64(offset))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(packed)))
	return append(b, packMagic...), nil
}

// PackTail is how many bytes at a pack's end are worth reading at first.
const PackTail = 64 << 10

// ParsePackTail reads the index from the last bytes of a pack of size bytes.
// Where tail is too short to hold it, need is how many bytes from the end do.
func ParsePackTail(tail []byte, size int64) (index *PackIndex, need int64, err error) {
	if len(tail) < packTrailer || string(tail[len(tail)-8:]) != packMagic {
		return nil, 0, fmt.Errorf("pack: %w: no trailer", ErrDamaged)
	}
	end := tail[len(tail)-packTrailer:]
	offset, length := binary.LittleEndian.Uint64(end), binary.LittleEndian.Uint64(end[8:])
	if length > MaxPackIndex || offset > uint64(size) || offset+length+packTrailer != uint64(size) {
		return nil, 0, fmt.Errorf("pack: %w: trailer does not fit", ErrDamaged)
	}
	if need = int64(length) + packTrailer; need > int64(len(tail)) {
		return nil, need, nil
	}
	packed := tail[int64(len(tail))-need : len(tail)-packTrailer]
	raw, err := decompressZstd(packed, MaxPackIndex)
	if err != nil {
		return nil, 0, fmt.Errorf("pack index: %w: %v", ErrDamaged, err)
	}
	index = new(PackIndex)
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(index); err != nil {
		return nil, 0, fmt.Errorf("pack index: %w: %v", ErrDamaged, err)
	}
	return index, 0, index.check(int64(offset))
}

func (x *PackIndex) check(blocks int64) error {
	if x.Schema != packSchema {
		return fmt.Errorf("pack index: %w: schema %q is not %q", ErrDamaged, x.Schema, packSchema)
	}
	for _, b := range x.Blocks {
		if b.Offset < 0 || b.Length < 0 || b.Offset > blocks || b.Length > blocks-b.Offset {
			return fmt.Errorf("pack index: %w: block out of bounds", ErrDamaged)
		}
	}
	return nil
}
