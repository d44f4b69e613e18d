package accounting

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// UsageReport is the usage report of a tenant: a statement beside what the
// tenant held (SPEC 4).
type UsageReport struct {
	TenantID  schemas.Tenant
	Name      string // of the tenant
	Statement *Statement
	Holdings  *Holdings
	Guard     bool
}

// usageLayout is which columns of varying number the report has.
type usageLayout struct {
	formats int
	audio   []string // codecs
	pairs   []string // "source codec:codec"
}

// UsageRow is what one row of the report shows.
type usageRow struct {
	id      string
	holding *Holding // nil: not in the catalog
	usage   *Object
	tenancy bool
	name    string
	storage schemas.Sum
	bytes   schemas.Sum // byte seconds
	active  Activity
}

var noUsage Object

// Write writes the report and returns its columns and number of data rows, the
// tenancy's included.
//
//   - Shape: the tenancy's aggregate, then the objects in byte order of their ids.
func (u *UsageReport) Write(w io.Writer) (columns []string, rows int64, err error) {
	ids := slices.Collect(maps.Keys(u.Statement.Objects))
	for id := range u.Holdings.Objects {
		if u.Statement.Objects[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	total := usageRow{id: string(u.TenantID), name: u.Name, tenancy: true, usage: new(Object)}
	layout := usageLayout{formats: 1}
	for _, id := range ids {
		row := u.row(id)
		total.usage.add(row.usage)
		total.storage.AddSum(row.storage)
		total.bytes.AddSum(row.bytes)
		total.active = max(total.active, row.active)
		if row.holding != nil {
			layout.formats = max(layout.formats, len(row.holding.Facts.PlayoutFormats))
		}
	}
	layout.audio = slices.Sorted(maps.Keys(total.usage.IngestAudio))
	layout.pairs = slices.Sorted(maps.Keys(total.usage.IngestVideo))
	columns = layout.columns()
	buf := schemas.AppendHeader(nil, columns)
	buf = u.append(buf, &layout, &total)
	for _, id := range ids {
		row := u.row(id)
		if buf = u.append(buf, &layout, &row); len(buf) > 256<<10 {
			if _, err := w.Write(buf); err != nil {
				return nil, 0, fmt.Errorf("write usage report: %w", err)
			}
			buf = buf[:0]
		}
	}
	if _, err := w.Write(buf); err != nil {
		return nil, 0, fmt.Errorf("write usage report: %w", err)
	}
	return columns, int64(len(ids)) + 1, nil
}

func (u *UsageReport) row(id string) usageRow {
	row := usageRow{id: id, holding: u.Holdings.Objects[id], usage: u.Statement.Objects[id]}
	if row.usage == nil {
		row.usage = &noUsage
	}
	row.active = row.usage.Activity()
	if row.holding != nil {
		row.storage = schemas.SumOf(u.Holdings.Storage(row.holding))
		row.bytes = row.holding.ByteSeconds
		row.name = row.holding.Facts.Name
	}
	return row
}

// columns lists the report's columns in the order of SPEC 4.
func (l *usageLayout) columns() []string {
	c := []string{"object_id", "info.library_id", "info.ip_title_id", "info.object_name", "info.title", "info.title_type",
		"info.asset_type", "storage", "info.active", "usage.playout.audio_clear_sec", "usage.playout.audio_drm_sec",
		"usage.playout.video_hi_clear_sec", "usage.playout.video_hi_drm_sec", "usage.playout.video_md_clear_sec",
		"usage.playout.video_md_drm_sec", "usage.playout.video_lo_clear_sec", "usage.playout.video_lo_drm_sec",
		"info.master", "info.master.codec.audio", "info.master.codec.video", "info.master.duration", "info.master.resolution",
		"info.mezzanine", "info.mezzanine.codec.audio", "info.mezzanine.codec.video", "info.mezzanine.duration"}
	for i := range l.formats {
		c = append(c, fmt.Sprintf("info.mezzanine.playout_formats.%d", i+1))
	}
	c = append(c, "usage.data_download.bytes", "usage.data_download.occurrences", "usage.error.bytes", "usage.error.occurrences")
	for _, codec := range l.audio {
		c = append(c, "usage.ingest.audio_"+codec)
	}
	for _, pair := range l.pairs {
		for _, density := range []string{"large", "medium", "small"} {
			c = append(c, "usage.ingest."+pair+".density_"+density+"_sec")
		}
	}
	return append(c, "usage.ingest.occurrences", "usage.media.bytes", "usage.media.occurrences", "usage.playout.audio_total_hrs",
		"usage.playout.bytes", "usage.playout.occurrences", "usage.playout.video_total_hrs", "usage.public_download.bytes",
		"usage.public_download.occurrences", "usage.updated", "usage.playout.video_unclassified_clear_sec",
		"usage.playout.video_unclassified_drm_sec", "usage.rep.bytes", "usage.rep.occurrences", "usage.ingest.density_unclassified_sec",
		"storage.byte_hours", "usage.playout.views", "usage.error.server_bytes", "usage.error.server_occurrences", "row")
}

// cells appends the cells of a row, a comma behind each.
type usageCells struct {
	b     []byte
	guard bool
}

func (c *usageCells) id(s string) { c.b = append(schemas.AppendID(c.b, []byte(s), c.guard), ',') }
func (c *usageCells) free(s string) {
	c.b = append(schemas.AppendFreeText(c.b, []byte(s), c.guard), ',')
}
func (c *usageCells) sum(s schemas.Sum) { c.b = append(s.Append(c.b), ',') }
func (c *usageCells) count(n int64)     { c.sum(schemas.SumOf(n)) }
func (c *usageCells) secs(s schemas.Sum) {
	c.b = append(s.AppendMicros(c.b), ',')
}
func (c *usageCells) quotient(s schemas.Sum, d int64) { c.b = append(s.AppendQuotient(c.b, d), ',') }

// known appends a duration that the catalog may not give.
func (c *usageCells) known(micros int64) {
	if micros == schemas.None {
		c.b = append(c.b, ',')
		return
	}
	c.secs(schemas.SumOf(micros))
}

func (u *UsageReport) append(b []byte, l *usageLayout, r *usageRow) []byte {
	c := &usageCells{b: b, guard: u.Guard}
	facts := schemas.CatalogObject{MasterDuration: schemas.None, MezzanineDuration: schemas.None}
	library := r.usage.Library
	if r.holding != nil {
		facts, library = r.holding.Facts, r.holding.Facts.Library
	}
	if r.tenancy {
		library = ""
	}
	c.id(r.id)
	c.id(library)
	c.free(facts.TitleID)
	c.free(r.name)
	c.free(facts.Title)
	c.free(facts.TitleType)
	c.free(facts.AssetType)
	c.sum(r.storage)
	c.id(r.active.String())
	appendPlayout(c, r.usage)
	appendFacts(c, l, &facts)
	appendUsage(c, l, r)
	kind := "object"
	if r.tenancy {
		kind = "tenancy"
	}
	return append(append(c.b, kind...), '\n')
}

func appendPlayout(c *usageCells, o *Object) {
	c.secs(o.Audio[0])
	c.secs(o.Audio[1])
	for _, tier := range []Tier{TierHi, TierMd, TierLo} {
		c.secs(o.Video[tier][0])
		c.secs(o.Video[tier][1])
	}
}

func appendFacts(c *usageCells, l *usageLayout, f *schemas.CatalogObject) {
	c.b = append(c.b, ',') // info.master
	c.id(f.MasterAudioCodec)
	c.id(f.MasterVideoCodec)
	c.known(f.MasterDuration)
	c.id(f.MasterResolution)
	c.b = append(c.b, ',') // info.mezzanine
	c.id(f.MezzanineAudioCodec)
	c.id(f.MezzanineVideoCodec)
	c.known(f.MezzanineDuration)
	for i := range l.formats {
		if i < len(f.PlayoutFormats) {
			c.id(f.PlayoutFormats[i])
		} else {
			c.b = append(c.b, ',')
		}
	}
}

const microsPerHour = 3_600_000_000

func appendUsage(c *usageCells, l *usageLayout, r *usageRow) {
	o := r.usage
	c.sum(o.DataBytes)
	c.count(o.Data)
	c.sum(o.ErrorBytes)
	c.count(o.Errors)
	for _, codec := range l.audio {
		c.secs(o.IngestAudio[codec])
	}
	for _, pair := range l.pairs {
		sums := o.IngestVideo[pair]
		if sums == nil {
			sums = new([NumTiers]schemas.Sum)
		}
		c.secs(sums[TierHi])
		c.secs(sums[TierMd])
		c.secs(sums[TierLo])
	}
	c.count(o.Ingests)
	c.sum(o.MediaBytes)
	c.count(o.Media)
	c.quotient(total(o.Audio[:]), microsPerHour)
	c.sum(o.PlayoutBytes)
	c.count(o.Playouts)
	c.quotient(total(slices.Concat(o.Video[0][:], o.Video[1][:], o.Video[2][:], o.Video[3][:])), microsPerHour)
	c.sum(o.PublicBytes)
	c.count(o.Public)
	c.count(o.Updates)
	c.secs(o.Video[TierNone][0])
	c.secs(o.Video[TierNone][1])
	c.sum(o.RepBytes)
	c.count(o.Rep)
	c.secs(o.IngestUnknown)
	c.quotient(r.bytes, 3600)
	c.count(o.Views)
	c.sum(o.ServerBytes)
	c.count(o.ServerErrs)
}

func total(sums []schemas.Sum) schemas.Sum {
	var t schemas.Sum
	for _, s := range sums {
		t.AddSum(s)
	}
	return t
}
