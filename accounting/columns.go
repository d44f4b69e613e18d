package accounting

import (
	"math/bits"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// columns is a batch with every column present.
type columns struct {
	text [schemas.NumStringColumns][]uint32
	num  [schemas.NumIntColumns][]int64
	id   *schemas.Texts
	bad  []schemas.Reason
}

// absent holds what stands in for columns that a file lacks.
type absent struct {
	codes []uint32
	none  []int64
}

func (a *absent) fill(c *columns, b *schemas.Batch) {
	if len(a.codes) < b.Len {
		a.codes = make([]uint32, b.Len)
		a.none = slices.Repeat([]int64{schemas.None}, b.Len)
	}
	for i := range c.text {
		if c.text[i] = b.Strings[i]; c.text[i] == nil {
			c.text[i] = a.codes
		}
		c.text[i] = c.text[i][:b.Len]
	}
	for i := range c.num {
		if c.num[i] = b.Ints[i]; c.num[i] == nil {
			c.num[i] = a.none
		}
		c.num[i] = c.num[i][:b.Len]
	}
	c.id, c.bad = b.EventID, b.Bad
}

// facts is what is known of a text by its code, worked out once per distinct text
// and use; zero means not yet.
type facts struct {
	tenant []uint8 // as a tenant id: 1 good, 2 bad
	long   []uint8 // as an id: 1 fits, 2 too long
	kind   []uint8 // schemas.Kind + 1
	track  []uint8 // schemas.Track + 1
	format []uint8 // drmClass + 1
	proto  []uint32
	object []uint32 // of a version hash: code of its object id + 1; 1 is none
	codec  []uint32 // lower-cased, + 1
	ref    []uint32 // of a referrer: without secrets, + 1
}

func (f *facts) grow(n int) {
	grow8 := func(s *[]uint8) { *s = append(*s, make([]uint8, n-len(*s))...) }
	grow32 := func(s *[]uint32) { *s = append(*s, make([]uint32, n-len(*s))...) }
	if n <= len(f.tenant) {
		return
	}
	n = max(n, 2*len(f.tenant), 1024)
	grow8(&f.tenant)
	grow8(&f.long)
	grow8(&f.kind)
	grow8(&f.track)
	grow8(&f.format)
	grow32(&f.proto)
	grow32(&f.object)
	grow32(&f.codec)
	grow32(&f.ref)
}

// sizes interns picture sizes (and, for ingest, codec pairs) as small numbers.
type sizes struct {
	codes map[dims]uint32
	list  []dims
	cache [256]struct {
		dims dims
		code uint32
	}
}

// dims are the dimensions of a cell besides its measure; codecs are dictionary codes.
type dims struct {
	width, height             int32
	codec, sourceCodec        uint32
	sourceWidth, sourceHeight int32
}

func (s *sizes) reset() {
	*s = sizes{codes: map[dims]uint32{{}: 0}, list: []dims{{}}}
}

func (s *sizes) code(d dims) uint32 {
	h := uint64(uint32(d.width))*0x9E3779B97F4A7C15 ^ uint64(uint32(d.height))*0xC2B2AE3D27D4EB4F ^
		uint64(d.codec)*0x165667B19E3779F9 ^ uint64(d.sourceCodec)*0x27D4EB2F165667C5 ^ uint64(uint32(d.sourceHeight))<<17
	e := &s.cache[bits.RotateLeft64(h, 8)&255]
	if e.dims == d {
		return e.code
	}
	c, ok := s.codes[d]
	if !ok {
		c = uint32(len(s.list))
		s.codes[d] = c
		s.list = append(s.list, d)
	}
	e.dims, e.code = d, c
	return c
}
