package sample

import (
	"iter"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Catalogs yields the month's catalog snapshots: their keys and their objects.
//
//   - Shape: by time; at the period's first instant and every second day, each time
//     one a tenant. Objects are added and removed in between, and grow.
//   - Key: <tenant_id>/<YYYY-MM-DDTHH-MM-SSZ>.parquet (SPEC 3).
func (m *Month) Catalogs() iter.Seq2[string, []schemas.CatalogObject] {
	return func(yield func(string, []schemas.CatalogObject) bool) {
		for hour := 0; hour < m.hours; hour += 48 {
			at := m.period.Start().Add(time.Duration(hour) * time.Hour)
			if at.UnixNano() >= m.until() && hour > 0 {
				return
			}
			for b, biz := range businesses {
				if !yield(schemas.CatalogName(schemas.Tenant(biz.ID), at, ".parquet"), m.snapshot(b, hour)) {
					return
				}
			}
		}
	}
}

// snapshot is a business's catalog in an hour.
func (m *Month) snapshot(b, hour int) []schemas.CatalogObject {
	var all []schemas.CatalogObject
	for _, o := range m.objects[b] {
		if hour > o.added && hour < o.removed {
			all = append(all, o.row(hour))
		}
	}
	return all
}

// row is an object as the catalog of an hour has it.
func (o *object) row(hour int) schemas.CatalogObject {
	c := schemas.CatalogObject{
		ID: schemas.Object(o.id), Library: businesses[o.business].Library, Name: o.name, TitleID: o.titleID,
		Title: o.title, TitleType: o.kind, AssetType: o.asset, StorageBytes: o.storageAt(hour),
		MezzanineAudioCodec: o.audioCodec, MezzanineVideoCodec: o.videoCodec, PlayoutFormats: o.formats,
		MasterDuration: schemas.None, MezzanineDuration: schemas.None, VideoSegments: schemas.None,
	}
	if o.live != nil {
		return c
	}
	c.MasterAudioCodec, c.MasterVideoCodec, c.MasterResolution = "pcm_s24le", pairs[o.index%len(pairs)].source, o.resolution
	c.MasterDuration, c.MezzanineDuration = o.duration, o.duration
	if o.index%2 == 0 {
		c.VideoSegments = o.segments()
	}
	return c
}
