package accounting

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// rows collects encoded rows with what they are sorted by.
type rows struct {
	entries []entry
	arena   []byte
	tenants []schemas.Tenant
	codes   map[schemas.Tenant]uint32
}

// entry is one encoded row: arena[at:at+size].
type entry struct {
	kind   rowKind
	record bool // a fragment of a server's own record
	tenant uint32
	day    schemas.Day
	hour   schemas.Hour
	key    [16]byte // fragments: session key; sums: first bytes of the object
	first  int64
	file   uint32
	at     uint32
	size   uint32
}

type rowKind uint8

const (
	rowSum rowKind = iota
	rowFragment
	rowSet
)

var blockKinds = [...]schemas.BlockKind{rowSum: schemas.BlockSums, rowFragment: schemas.BlockFragments, rowSet: schemas.BlockSets}

func newRows() *rows { return &rows{codes: make(map[schemas.Tenant]uint32)} }

// reset empties the rows and keeps their memory.
func (r *rows) reset() {
	r.entries, r.arena, r.tenants = r.entries[:0], r.arena[:0], r.tenants[:0]
	clear(r.codes)
}

func (r *rows) tenant(t schemas.Tenant) uint32 {
	code, ok := r.codes[t]
	if !ok {
		code = uint32(len(r.tenants))
		r.tenants = append(r.tenants, t)
		r.codes[t] = code
	}
	return code
}

func (r *rows) addSum(tenant schemas.Tenant, row *schemas.SumRow) {
	e := entry{kind: rowSum, tenant: r.tenant(tenant), day: row.Hour.Day(), hour: row.Hour, file: row.File, at: uint32(len(r.arena))}
	copy(e.key[:], row.Object)
	r.arena = schemas.AppendSumRow(r.arena, row)
	r.append(e)
}

func (r *rows) addFragment(tenant schemas.Tenant, f *schemas.Fragment) {
	e := entry{kind: rowFragment, tenant: r.tenant(tenant), day: f.Hour.Day(), key: f.Key, first: f.First, file: f.File, record: f.Kind == schemas.FragmentRecord, at: uint32(len(r.arena))}
	r.arena = schemas.AppendFragment(r.arena, f)
	r.append(e)
}

func (r *rows) addSet(row *schemas.SetRow) {
	e := entry{kind: rowSet, tenant: r.tenant(""), day: row.Hour.Day(), hour: row.Hour, file: row.File, at: uint32(len(r.arena))}
	copy(e.key[:], row.Node)
	r.arena = schemas.AppendSetRow(r.arena, row)
	r.append(e)
}

func (r *rows) append(e entry) {
	e.size = uint32(len(r.arena)) - e.at
	r.entries = append(r.entries, e)
}

// join appends the rows of t.
func (r *rows) join(t *rows) {
	codes := make([]uint32, len(t.tenants))
	for i, tenant := range t.tenants {
		codes[i] = r.tenant(tenant)
	}
	at := uint32(len(r.arena))
	r.arena = append(r.arena, t.arena...)
	r.entries = slices.Grow(r.entries, len(t.entries))
	for _, e := range t.entries {
		e.tenant = codes[e.tenant]
		e.at += at
		r.entries = append(r.entries, e)
	}
}

func (r *rows) row(e *entry) []byte { return r.arena[e.at : e.at+e.size] }

// size is about how much memory the rows take.
func (r *rows) size() int { return len(r.arena) + 72*len(r.entries) }

// sort puts the rows in the order of a pack: by kind, tenant and day, then as schemas.Block says.
func (r *rows) sort() {
	slices.SortFunc(r.entries, func(a, b entry) int {
		if a.kind != b.kind || a.tenant != b.tenant || a.day != b.day {
			return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(r.tenants[a.tenant], r.tenants[b.tenant]), cmp.Compare(a.day, b.day))
		}
		if a.hour != b.hour {
			return cmp.Compare(a.hour, b.hour)
		}
		if c := bytes.Compare(a.key[:], b.key[:]); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.file, b.file), bytes.Compare(r.row(&a), r.row(&b)))
	})
}

// spans notes, per tenant and hour, how many rows there were and when the last was.
type spans struct {
	all    map[schemas.Tenant]map[schemas.Hour]*schemas.HourSpan
	byCode map[tenantKey]*schemas.HourSpan
	last   tenantKey
	recent *schemas.HourSpan
	count  int // of tenants' hours
}

func (s *spans) reset() {
	s.all = make(map[schemas.Tenant]map[schemas.Hour]*schemas.HourSpan)
	s.renew()
}

func (s *spans) renew() {
	s.byCode = make(map[tenantKey]*schemas.HourSpan)
	s.recent = nil
}

func (s *spans) of(d *schemas.Dict, tenant uint32, hour schemas.Hour) *schemas.HourSpan {
	key := tenantKey{tenant, hour}
	if s.recent != nil && s.last == key {
		return s.recent
	}
	span := s.byCode[key]
	if span == nil {
		span = s.find(schemas.Tenant(d.Text(tenant)), hour)
		s.byCode[key] = span
	}
	s.last, s.recent = key, span
	return span
}

func (s *spans) find(tenant schemas.Tenant, hour schemas.Hour) *schemas.HourSpan {
	hours := s.all[tenant]
	if hours == nil {
		hours = make(map[schemas.Hour]*schemas.HourSpan)
		s.all[tenant] = hours
	}
	if hours[hour] == nil {
		hours[hour] = &schemas.HourSpan{Hour: hour}
		s.count++
	}
	return hours[hour]
}

// check refuses a file that would swell the index of its pack.
func (s *spans) check() error {
	if len(s.all) > MaxTenants {
		return fmt.Errorf("%w: it names more than %d tenants: is something else in the column tenant_id?", schemas.ErrUnreadable, MaxTenants)
	}
	if s.count > MaxTenantHours {
		return fmt.Errorf("%w: it holds more than %d hours of tenants: is something else in the column tenant_id or time?", schemas.ErrUnreadable, MaxTenantHours)
	}
	return nil
}

func (s *spans) join(t *spans) {
	for tenant, hours := range t.all {
		for hour, span := range hours {
			mine := s.find(tenant, hour)
			mine.Rows += span.Rows
			mine.Last = max(mine.Last, span.Last)
		}
	}
}

// tenants lists the spans by tenant, hours in order.
func (s *spans) tenants() map[schemas.Tenant]schemas.TenantSpan {
	out := make(map[schemas.Tenant]schemas.TenantSpan)
	for tenant, hours := range s.all {
		var span schemas.TenantSpan
		for _, h := range hours {
			span.Hours = append(span.Hours, *h)
		}
		slices.SortFunc(span.Hours, func(a, b schemas.HourSpan) int { return cmp.Compare(a.Hour, b.Hour) })
		out[tenant] = span
	}
	return out
}
