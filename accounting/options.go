package accounting

import (
	"math"
	"time"

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
	// Excluded lists, ascending, rows that are copies of rows of another file.
	Excluded []int64
	// Workers is how many parts of a large file may be read at once; 0 is 1.
	Workers int
}

// overflow is where a 64-bit figure is written out and begun anew: far enough
// below the end that one more row can't reach it.
const overflow = math.MaxInt64 - 4*(1<<50)
