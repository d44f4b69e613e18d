package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// eachSum visits the sum rows that the run was folded from, each with the index of its input.
func (p *past) eachSum(ctx context.Context, visit func(file uint32, r *schemas.SumRow)) error {
	files := make(map[location]uint32, len(p.inputs))
	for i, in := range p.inputs {
		files[in.at] = uint32(i)
		if in.cut.pack != nil {
			files[in.cut] = uint32(i)
		}
	}
	f := p.r.newFold(p.tenant.ID, p.bounds, p.rules, p.inputs)
	var row schemas.SumRow
	for n, from := range f.packs {
		p.r.progress(Progress{Stage: "explain", Tenant: p.tenant.ID, Done: int64(n), Total: int64(len(f.packs)), Unit: "packs"})
		for _, b := range from.index.Blocks {
			if b.Kind != schemas.BlockSums || b.Tenant != p.tenant.ID {
				continue
			}
			err := eachRow(ctx, from.pack, b, func(encoded []byte) error {
				if err := schemas.DecodeSumRow(encoded, &row); err != nil {
					return err
				}
				if f.wants(from, row.File, row.Hour, useSums) {
					visit(files[location{from.pack, row.File}], &row)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// maxSessions bounds an object of finished sessions.
const maxSessions = 2 << 30

// eachSession visits the finished sessions of the run, which must be the current one: only its
// are kept.
func (p *past) eachSession(ctx context.Context, visit func(*schemas.Session) error) error {
	for n, o := range p.commit.Sessions {
		p.r.progress(Progress{Stage: "explain", Tenant: p.tenant.ID, Done: int64(n), Total: int64(len(p.commit.Sessions)), Unit: "parts of sessions"})
		data, _, err := p.r.Buckets.Metering.Get(ctx, o.Name, "", maxSessions)
		if errors.Is(err, bucket.ErrNotExist) {
			return fmt.Errorf("the finished sessions of %s are gone: %w; those of a month whose time is over (privacy.keep.sessions) stay gone, and a run that folds the month again writes others anew", o.Day, err)
		} else if err != nil {
			return err
		}
		if err := schemas.ReadSessionFile(bytes.NewReader(data), int64(len(data)), visit); err != nil {
			return fmt.Errorf("read %s: %w", o.Name, err)
		}
	}
	return nil
}

// SnapshotShare is what a catalog snapshot says of an object, and what of its byte hours comes
// from the time in which it was in force.
type SnapshotShare struct {
	Snapshot string    `json:"snapshot"`
	From     time.Time `json:"from"` // in force, within the period
	Until    time.Time `json:"until"`
	Listed   bool      `json:"listed"`
	Storage  string    `json:"storage"`      // bytes
	Value    string    `json:"byte_seconds"` // storage × time in force

	value schemas.Sum
}

// heldObject follows an object, or all, through the snapshots of a catalog.
type heldObject struct {
	id        string
	all       bool
	bounds    accounting.Bounds
	snapshots []SnapshotShare
	last      int // the snapshot that lists it last
}

// see takes the next snapshot, in force from at until next.
func (h *heldObject) see(c *schemas.Catalog, at, next time.Time) {
	s := SnapshotShare{Snapshot: at.UTC().Format(schemas.Stamp)}
	alone := accounting.NewHoldings(h.bounds)
	alone.Add(c, at, next)
	storage := schemas.Sum{}
	take := func(o *accounting.Holding) {
		s.Listed = true
		storage.Add(alone.Storage(o))
		s.value.AddSum(o.ByteSeconds)
	}
	if h.all {
		for _, o := range alone.Objects {
			take(o)
		}
	} else if o := alone.Objects[h.id]; o != nil {
		take(o)
	}
	from, until := max(at.UnixNano(), h.bounds.From), min(h.bounds.AsOf, h.bounds.Until)
	if !next.IsZero() {
		until = min(until, next.UnixNano())
	}
	s.From, s.Until = time.Unix(0, from).UTC(), time.Unix(0, max(from, until)).UTC()
	s.Storage, s.Value = storage.String(), s.value.String()
	h.snapshots = append(h.snapshots, s)
	if s.Listed {
		h.last = len(h.snapshots) - 1
	}
}

// explain says which snapshots a column of the catalog comes from.
func (h *heldObject) explain(e *ExplainedColumn, c *accounting.Explained) {
	listed := false
	for _, s := range h.snapshots {
		listed = listed || s.Listed
	}
	switch {
	case !listed && c.Column == "info.library_id" && c.Cell != "":
		e.Source, e.Note = SourceUsage, "no catalog snapshot lists the object; the library is that of its earliest event that names one"
		return
	case len(h.snapshots) == 0:
		e.Source, e.Note = SourceCatalog, "the run had no catalog"
		return
	case !listed:
		e.Source, e.Note = SourceCatalog, "no catalog snapshot lists the object"
		return
	}
	e.Source = SourceCatalog
	switch {
	case c.Column == "storage.byte_hours":
		e.Unit = unitName(c.Column, c.Unit)
		var total schemas.Sum
		for _, s := range h.snapshots {
			if total.AddSum(s.value); s.Listed {
				e.Snapshots = append(e.Snapshots, s)
			}
		}
		e.Exact, e.Sum, e.AddsUp = c.Value.String(), total.String(), total == c.Value
	case c.Column == "storage":
		newest := h.snapshots[len(h.snapshots)-1]
		e.Unit, e.Exact, e.Sum = unitName(c.Column, c.Unit), c.Value.String(), newest.Storage
		e.AddsUp, e.Snapshots = e.Exact == e.Sum, []SnapshotShare{newest}
		if !newest.Listed {
			e.Note = "the newest snapshot no longer lists the object"
		}
	case h.all && strings.HasPrefix(c.Column, "info."):
		e.Note = "facts of objects are empty in the tenancy's row"
	default:
		e.Snapshots = []SnapshotShare{h.snapshots[h.last]}
		e.Note = "the last snapshot that lists the object says so"
	}
}
