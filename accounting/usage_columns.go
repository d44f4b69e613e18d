package accounting

import (
	"fmt"
	"strings"
	"sync"

	"github.com/playmeter/playmeter/schemas"
)

// Unit says what the cells of a column of the usage report are, and in what
// their exact values are counted.
type Unit int

// The units. Texts have no exact value.
const (
	UnitID        Unit = iota // a text that is guarded as an id
	UnitText                  // a text that people wrote
	UnitWhole                 // bytes or occurrences, as they are
	UnitSeconds               // µs; the cell is in seconds
	UnitHours                 // µs; the cell is in hours, rounded
	UnitByteHours             // byte seconds; the cell is in byte hours, rounded
	UnitDuration              // seconds that the catalog may not give: then the cell is empty
)

// IsNumber tells whether cells of the unit are numbers that add up.
func (u Unit) IsNumber() bool {
	return u == UnitWhole || u == UnitSeconds || u == UnitHours || u == UnitByteHours
}

// AppendExact appends an exact value of the unit: seconds of what the report shows in
// seconds or hours, byte seconds of byte hours, else the number as it is.
func (u Unit) AppendExact(b []byte, s schemas.Sum) []byte {
	if u == UnitSeconds || u == UnitHours {
		return s.AppendMicros(b)
	}
	return s.Append(b)
}

// usageColumn is a column of the usage report: one of text, sum and known says what is
// in its cells.
type usageColumn struct {
	name  string
	unit  Unit
	text  func(*usageRow) string
	sum   func(*usageRow) schemas.Sum
	known func(*usageRow) int64 // µs, or None
	// usage is set where sum is of the object's usage alone: then it is what events add up to.
	usage func(*Object) schemas.Sum
}

const microsPerHour = 3_600_000_000

// append appends a cell of the report.
func (c *usageColumn) append(b []byte, r *usageRow, guard bool) []byte {
	switch c.unit {
	case UnitID:
		return schemas.AppendID(b, []byte(c.text(r)), guard)
	case UnitText:
		return schemas.AppendFreeText(b, []byte(c.text(r)), guard)
	}
	return c.appendNumber(b, r)
}

// appendPlain appends what a cell says, neither quoted nor guarded.
func (c *usageColumn) appendPlain(b []byte, r *usageRow) []byte {
	if c.text != nil {
		return append(b, c.text(r)...)
	}
	return c.appendNumber(b, r)
}

func (c *usageColumn) appendNumber(b []byte, r *usageRow) []byte {
	switch c.unit {
	case UnitSeconds:
		return c.sum(r).AppendMicros(b)
	case UnitHours:
		return c.sum(r).AppendQuotient(b, microsPerHour)
	case UnitByteHours:
		return c.sum(r).AppendQuotient(b, 3600)
	case UnitDuration:
		if micros := c.known(r); micros != schemas.None {
			return schemas.SumOf(micros).AppendMicros(b)
		}
		return b
	}
	return c.sum(r).Append(b)
}

func idColumn(name string, text func(*usageRow) string) usageColumn {
	return usageColumn{name: name, unit: UnitID, text: text}
}

func textColumn(name string, text func(*usageRow) string) usageColumn {
	return usageColumn{name: name, unit: UnitText, text: text}
}

// factColumn is what the catalog says of an object.
func factColumn(name string, text func(*schemas.CatalogObject) string) usageColumn {
	return idColumn(name, func(r *usageRow) string { return text(r.facts) })
}

func durationColumn(name string, micros func(*schemas.CatalogObject) int64) usageColumn {
	return usageColumn{name: name, unit: UnitDuration, known: func(r *usageRow) int64 { return micros(r.facts) }}
}

func sumColumn(name string, unit Unit, usage func(*Object) schemas.Sum) usageColumn {
	return usageColumn{name: name, unit: unit, usage: usage, sum: func(r *usageRow) schemas.Sum { return usage(r.usage) }}
}

func secColumn(name string, usage func(*Object) schemas.Sum) usageColumn {
	return sumColumn(name, UnitSeconds, usage)
}

func bytesColumn(name string, usage func(*Object) schemas.Sum) usageColumn {
	return sumColumn(name, UnitWhole, usage)
}

func countColumn(name string, usage func(*Object) int64) usageColumn {
	return sumColumn(name, UnitWhole, func(o *Object) schemas.Sum { return schemas.SumOf(usage(o)) })
}

func separator(name string) usageColumn {
	return idColumn(name, func(*usageRow) string { return "" })
}

// usageLayout is which columns of varying number the report has.
type usageLayout struct {
	formats int
	audio   []string // codecs
	pairs   []string // "source codec:codec"
}

// columns lists the report's columns in the order of SPEC 4.
func (l *usageLayout) columns() []usageColumn {
	c := []usageColumn{
		idColumn("object_id", func(r *usageRow) string { return r.id }),
		idColumn("info.library_id", func(r *usageRow) string { return r.library }),
		textColumn("info.ip_title_id", func(r *usageRow) string { return r.facts.TitleID }),
		textColumn("info.object_name", func(r *usageRow) string { return r.name }),
		textColumn("info.title", func(r *usageRow) string { return r.facts.Title }),
		textColumn("info.title_type", func(r *usageRow) string { return r.facts.TitleType }),
		textColumn("info.asset_type", func(r *usageRow) string { return r.facts.AssetType }),
		{name: "storage", unit: UnitWhole, sum: func(r *usageRow) schemas.Sum { return r.storage }},
		idColumn("info.active", func(r *usageRow) string { return r.active.String() }),
		secColumn("usage.playout.audio_clear_sec", func(o *Object) schemas.Sum { return o.Audio[0] }),
		secColumn("usage.playout.audio_drm_sec", func(o *Object) schemas.Sum { return o.Audio[1] }),
	}
	for _, t := range []struct {
		name string
		tier Tier
	}{{"hi", TierHi}, {"md", TierMd}, {"lo", TierLo}} {
		c = append(c, videoColumns(t.name, t.tier)...)
	}
	c = append(c,
		separator("info.master"),
		factColumn("info.master.codec.audio", func(f *schemas.CatalogObject) string { return f.MasterAudioCodec }),
		factColumn("info.master.codec.video", func(f *schemas.CatalogObject) string { return f.MasterVideoCodec }),
		durationColumn("info.master.duration", func(f *schemas.CatalogObject) int64 { return f.MasterDuration }),
		factColumn("info.master.resolution", func(f *schemas.CatalogObject) string { return f.MasterResolution }),
		separator("info.mezzanine"),
		factColumn("info.mezzanine.codec.audio", func(f *schemas.CatalogObject) string { return f.MezzanineAudioCodec }),
		factColumn("info.mezzanine.codec.video", func(f *schemas.CatalogObject) string { return f.MezzanineVideoCodec }),
		durationColumn("info.mezzanine.duration", func(f *schemas.CatalogObject) int64 { return f.MezzanineDuration }),
	)
	for i := range l.formats {
		c = append(c, factColumn(fmt.Sprintf("%s%d", formatsColumn, i+1), func(f *schemas.CatalogObject) string {
			if i < len(f.PlayoutFormats) {
				return f.PlayoutFormats[i]
			}
			return ""
		}))
	}
	c = append(c,
		bytesColumn("usage.data_download.bytes", func(o *Object) schemas.Sum { return o.DataBytes }),
		countColumn("usage.data_download.occurrences", func(o *Object) int64 { return o.Data }),
		bytesColumn("usage.error.bytes", func(o *Object) schemas.Sum { return o.ErrorBytes }),
		countColumn("usage.error.occurrences", func(o *Object) int64 { return o.Errors }),
	)
	c = append(c, l.ingestColumns()...)
	return append(c, lastColumns()...)
}

const formatsColumn = "info.mezzanine.playout_formats."

func videoColumns(name string, tier Tier) []usageColumn {
	return []usageColumn{
		secColumn("usage.playout.video_"+name+"_clear_sec", func(o *Object) schemas.Sum { return o.Video[tier][0] }),
		secColumn("usage.playout.video_"+name+"_drm_sec", func(o *Object) schemas.Sum { return o.Video[tier][1] }),
	}
}

func (l *usageLayout) ingestColumns() (c []usageColumn) {
	for _, codec := range l.audio {
		c = append(c, secColumn("usage.ingest.audio_"+codec, func(o *Object) schemas.Sum { return o.IngestAudio[codec] }))
	}
	for _, pair := range l.pairs {
		for _, t := range []struct {
			name string
			tier Tier
		}{{"large", TierHi}, {"medium", TierMd}, {"small", TierLo}} {
			c = append(c, secColumn("usage.ingest."+pair+".density_"+t.name+"_sec", func(o *Object) schemas.Sum {
				if sums := o.IngestVideo[pair]; sums != nil {
					return sums[t.tier]
				}
				return schemas.Sum{}
			}))
		}
	}
	return c
}

// viewsColumn is the one column that only finished sessions add up to.
const viewsColumn = "usage.playout.views"

func lastColumns() []usageColumn {
	c := []usageColumn{
		countColumn("usage.ingest.occurrences", func(o *Object) int64 { return o.Ingests }),
		bytesColumn("usage.media.bytes", func(o *Object) schemas.Sum { return o.MediaBytes }),
		countColumn("usage.media.occurrences", func(o *Object) int64 { return o.Media }),
		sumColumn("usage.playout.audio_total_hrs", UnitHours, func(o *Object) schemas.Sum { return total(o.Audio) }),
		bytesColumn("usage.playout.bytes", func(o *Object) schemas.Sum { return o.PlayoutBytes }),
		countColumn("usage.playout.occurrences", func(o *Object) int64 { return o.Playouts }),
		sumColumn("usage.playout.video_total_hrs", UnitHours, func(o *Object) schemas.Sum { return total(o.Video[:]...) }),
		bytesColumn("usage.public_download.bytes", func(o *Object) schemas.Sum { return o.PublicBytes }),
		countColumn("usage.public_download.occurrences", func(o *Object) int64 { return o.Public }),
		countColumn("usage.updated", func(o *Object) int64 { return o.Updates }),
	}
	c = append(c, videoColumns("unclassified", TierNone)...)
	return append(c,
		bytesColumn("usage.rep.bytes", func(o *Object) schemas.Sum { return o.RepBytes }),
		countColumn("usage.rep.occurrences", func(o *Object) int64 { return o.Rep }),
		secColumn("usage.ingest.density_unclassified_sec", func(o *Object) schemas.Sum { return o.IngestUnknown }),
		usageColumn{name: "storage.byte_hours", unit: UnitByteHours, sum: func(r *usageRow) schemas.Sum { return r.bytes }},
		countColumn(viewsColumn, func(o *Object) int64 { return o.Views }),
		bytesColumn("usage.error.server_bytes", func(o *Object) schemas.Sum { return o.ServerBytes }),
		countColumn("usage.error.server_occurrences", func(o *Object) int64 { return o.ServerErrs }),
		idColumn("row", func(r *usageRow) string { return kindOfRow(r.tenancy) }),
	)
}

// kindOfRow is the value of the column row.
func kindOfRow(tenancy bool) string {
	if tenancy {
		return "tenancy"
	}
	return "object"
}

// total adds up pairs of clear and DRM.
func total(pairs ...[2]schemas.Sum) schemas.Sum {
	var t schemas.Sum
	for _, p := range pairs {
		t.AddSum(p[0])
		t.AddSum(p[1])
	}
	return t
}

// UnitOf is the unit of a column of the usage report, by its name; of a name that no
// report has, UnitText.
func UnitOf(column string) Unit {
	if unit, ok := fixedUnits()[column]; ok {
		return unit
	}
	switch {
	case strings.HasPrefix(column, formatsColumn):
		return UnitID
	case strings.HasPrefix(column, "usage.ingest."):
		return UnitSeconds
	}
	return UnitText
}

var fixedUnits = sync.OnceValue(func() map[string]Unit {
	units := make(map[string]Unit)
	layout := usageLayout{formats: 1}
	for _, c := range layout.columns() {
		units[c.name] = c.unit
	}
	return units
})
