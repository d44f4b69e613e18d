package accounting

import (
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Bounds is the stretch of time that a statement speaks of: a period up to an
// as-of.
//
//   - Units: Unix ns. From and Until are the period, AsOf is at most Until.
type Bounds struct {
	Period schemas.Period
	From   int64
	Until  int64
	AsOf   int64
	Idle   Idle
}

// NewBounds bounds a period by an as-of, cut to the second (R15).
func NewBounds(p schemas.Period, asOf time.Time, idle Idle) Bounds {
	b := Bounds{Period: p, From: p.Start().UnixNano(), Until: p.End().UnixNano(), Idle: idle}
	b.AsOf = max(b.From, min(b.Until, asOf.Truncate(time.Second).UnixNano()))
	return b
}

// place is where an hour lies.
type place int

const (
	placeBefore place = iota // before the period
	placeIn                  // counted
	placeAfter               // in the period, at or after the as-of
	placeBeyond              // after the period
)

// place tells where an hour lies. The hour that holds the as-of counts: its rows from
// the as-of on are left to [Cut].
func (b *Bounds) place(h schemas.Hour) place {
	start := h.Start()
	switch {
	case start < b.From:
		return placeBefore
	case start < b.AsOf:
		return placeIn
	case start < b.Until:
		return placeAfter
	}
	return placeBeyond
}

// CutHour is the hour that the as-of divides; ok is false where it divides none.
func (b *Bounds) CutHour() (h schemas.Hour, ok bool) {
	if b.AsOf >= b.Until {
		return 0, false
	}
	h = schemas.HourOf(b.AsOf)
	return h, h.Start() < b.AsOf
}

// Divides tells whether the as-of lies inside a day: its hours then differ in where they belong.
func (b *Bounds) Divides(day schemas.Day) bool {
	return day.Start() < b.AsOf && b.AsOf < (day+1).Start()
}

// recordLookback is how far before the period records of servers are looked for (R8).
const recordLookback = 31 * 24 * time.Hour

// SetHours are the hours whose copies and numbers a period's statement depends on: its own, and those
// that sessions and numbers may run in from.
func SetHours(p schemas.Period) (from, until schemas.Hour) {
	return schemas.HourOf(p.Start().Add(-recordLookback).UnixNano()), schemas.HourOf(p.End().UnixNano())
}

// Hours are those of the period up to the as-of, the one that it divides included.
func (b *Bounds) Hours() (from, until schemas.Hour) {
	return schemas.HourOf(b.From), schemas.HourOf(b.AsOf-1) + 1
}

// WantsFragments tells whether a block of fragments of a day may hold some that matter;
// records tells whether servers' own records are among them.
func (b *Bounds) WantsFragments(day schemas.Day, records bool) bool {
	from := b.From - int64(max(b.Idle.WithID, b.Idle.WithoutID)+time.Hour)
	if records {
		from = b.From - int64(recordLookback)
	}
	return (day+1).Start() > from && day.Start() < b.AsOf
}

// Holds tells whether an hour lies in the period, also after the as-of (R19).
func (b *Bounds) Holds(h schemas.Hour) bool {
	p := b.place(h)
	return p == placeIn || p == placeAfter
}

// NearBefore tells whether an hour lies close enough before the period that its
// fragments may matter.
func (b *Bounds) NearBefore(h schemas.Hour) bool {
	return b.place(h) == placeBefore && h.Start() >= b.From-int64(recordLookback)
}

// wants tells whether a fragment matters: in the period, or near enough before it to show
// where a session began (R18) or stood (R8).
func (b *Bounds) wants(f *schemas.Fragment) bool {
	switch b.place(f.Hour) {
	case placeIn:
		return true
	case placeBefore:
		return f.Hour.Start() >= b.From-b.lookback(f)
	}
	return false
}

func (b *Bounds) lookback(f *schemas.Fragment) int64 {
	if f.Kind == schemas.FragmentRecord {
		return int64(recordLookback)
	}
	idle := b.Idle.WithID
	if len(f.SessionID) == 0 {
		idle = b.Idle.WithoutID
	}
	return int64((idle + time.Hour - 1).Truncate(time.Hour))
}
