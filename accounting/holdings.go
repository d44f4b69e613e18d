package accounting

import (
	"math/bits"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Holdings is what the catalog's snapshots say of a tenant's objects over a
// period: facts, storage and byte hours (SPEC 3, R14, R15).
type Holdings struct {
	Objects map[string]*Holding
	bounds  Bounds
	added   int
	objects int // of the snapshot added last
	// Shrunk tells that a snapshot lost more than half of the objects of the one before.
	Shrunk []string
	// Repeated counts rows of snapshots that a later row with the same id replaced.
	Repeated int
}

// Holding is one object's.
type Holding struct {
	Facts       schemas.CatalogObject
	ByteSeconds schemas.Sum
	snapshot    int // the last that lists it
}

// NewHoldings begins with no snapshot.
func NewHoldings(bounds Bounds) *Holdings {
	return &Holdings{Objects: make(map[string]*Holding), bounds: bounds}
}

// Add takes the next snapshot in time, in force from at until next (for the
// last: the zero time).
func (h *Holdings) Add(c *schemas.Catalog, at, next time.Time) {
	h.added++
	h.Repeated += c.Repeated
	if h.added > 1 && 2*len(c.Objects) < h.objects {
		h.Shrunk = append(h.Shrunk, at.UTC().Format(schemas.Stamp))
	}
	h.objects = len(c.Objects)
	from, until := max(at.UnixNano(), h.bounds.From), min(h.bounds.AsOf, h.bounds.Until)
	if !next.IsZero() {
		until = min(until, next.UnixNano())
	}
	seconds := max(0, until-from) / int64(time.Second)
	for i := range c.Objects {
		o := &c.Objects[i]
		mine := h.Objects[string(o.ID)]
		if mine == nil {
			mine = new(Holding)
			h.Objects[string(o.ID)] = mine
		}
		mine.Facts, mine.snapshot = *o, h.added
		if o.StorageBytes > 0 {
			hi, lo := bits.Mul64(uint64(o.StorageBytes), uint64(seconds))
			mine.ByteSeconds.AddSum(schemas.Sum{Hi: hi, Lo: lo})
		}
	}
}

// Storage is the bytes that an object occupies at the as-of: none once the
// newest snapshot no longer lists it.
func (h *Holdings) Storage(o *Holding) int64 {
	if o.snapshot != h.added || o.Facts.StorageBytes < 0 {
		return 0
	}
	return o.Facts.StorageBytes
}

// Facts is what sessions show of the objects.
func (h *Holdings) Facts() map[string]Facts {
	out := make(map[string]Facts, len(h.Objects))
	for id, o := range h.Objects {
		title := o.Facts.Title
		if title == "" {
			title = o.Facts.Name
		}
		out[id] = Facts{Title: title, TitleID: o.Facts.TitleID, Duration: o.Facts.MezzanineDuration, VideoSegments: o.Facts.VideoSegments}
	}
	return out
}
