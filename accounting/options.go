package accounting

import (
	"math"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/playmeter/playmeter/schemas"
)

// Limits of a single event (SPEC 2.4): beyond them a row is implausible.
const (
	MaxBytes    = int64(1) << 50
	MaxDuration = 31 * 24 * 3600 * int64(1_000_000) // µs
)

// Idle is how long a client may be silent before its session ends (SPEC 5).
type Idle struct {
	WithID    time.Duration `json:"with_id"`
	WithoutID time.Duration `json:"without_id"`
}

// DefaultIdle is 24 hours with a session id, 30 minutes without.
var DefaultIdle = Idle{WithID: 24 * time.Hour, WithoutID: 30 * time.Minute}

// Cut restricts a tally to one hour and splits that hour at an as-of.
type Cut struct {
	Hour   schemas.Hour
	Before int64 // Unix ns; rows of the hour from here on count as after the as-of
}

// TallyOptions is everything but the bytes that a tally depends on.
type TallyOptions struct {
	Idle Idle
	// Cut, if not nil, counts one hour only.
	Cut *Cut
	// Excluded is the rows that are copies of rows which count, in this file or another, and
	// Differing those of them that say something else; nil: none.
	Excluded, Differing *roaring64.Bitmap
	// Stored, if not zero, is when the file was stored, by the store's clock: nodes whose clocks
	// run ahead of it are noted.
	Stored time.Time
	// Workers is how many parts of a large file may be read at once; 0 is 1.
	Workers int
}

// whole tells whether the file is counted as it is: then its sets are written.
func (o *TallyOptions) whole() bool { return o.Cut == nil && o.Excluded == nil }

// rowCursor tells of ascending rows whether a set holds them.
type rowCursor struct{ rest roaring64.IntPeekable64 }

func newRowCursor(b *roaring64.Bitmap) rowCursor {
	if b == nil {
		return rowCursor{}
	}
	return rowCursor{b.Iterator()}
}

func (c *rowCursor) holds(row int64) bool {
	if c.rest == nil {
		return false
	}
	c.rest.AdvanceIfNeeded(uint64(row))
	return c.rest.HasNext() && c.rest.PeekNext() == uint64(row)
}

// overflow is where a 64-bit figure is written out and begun anew: far enough
// below the end that one more row can't reach it.
const overflow = math.MaxInt64 - 4*(1<<50)
