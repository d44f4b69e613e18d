package oracle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// A snapshotRow is one object of a catalog snapshot. What is nil is not known.
type snapshotRow struct {
	ObjectID               string   `parquet:"object_id" json:"object_id"`
	LibraryID              *string  `parquet:"library_id,optional" json:"library_id"`
	ObjectName             *string  `parquet:"object_name,optional" json:"object_name,omitempty"`
	IPTitleID              *string  `parquet:"ip_title_id,optional" json:"ip_title_id,omitempty"`
	Title                  *string  `parquet:"title,optional" json:"title"`
	TitleType              *string  `parquet:"title_type,optional" json:"title_type,omitempty"`
	AssetType              *string  `parquet:"asset_type,optional" json:"asset_type,omitempty"`
	StorageBytes           *int64   `parquet:"storage_bytes,optional" json:"storage_bytes"`
	MasterAudioCodec       *string  `parquet:"master_audio_codec,optional" json:"master_audio_codec,omitempty"`
	MasterVideoCodec       *string  `parquet:"master_video_codec,optional" json:"master_video_codec,omitempty"`
	MasterDuration         *int64   `parquet:"master_duration_us,optional" json:"master_duration_us,omitempty"`
	MasterResolution       *string  `parquet:"master_resolution,optional" json:"master_resolution,omitempty"`
	MezzanineAudioCodec    *string  `parquet:"mezzanine_audio_codec,optional" json:"mezzanine_audio_codec,omitempty"`
	MezzanineVideoCodec    *string  `parquet:"mezzanine_video_codec,optional" json:"mezzanine_video_codec,omitempty"`
	MezzanineDuration      *int64   `parquet:"mezzanine_duration_us,optional" json:"mezzanine_duration_us"`
	MezzaninePlayoutFormat []string `parquet:"mezzanine_playout_formats,list" json:"mezzanine_playout_formats"`
	VideoSegments          *int64   `parquet:"video_segments,optional" json:"video_segments,omitempty"`
}

// A joinedRow has its playout formats in one string, and no video_segments.
type joinedRow struct {
	MezzaninePlayoutFormat string  `parquet:"mezzanine_playout_formats,optional"`
	Title                  *string `parquet:"title,optional"`
	ObjectID               string  `parquet:"object_id"`
	LibraryID              *string `parquet:"library_id,optional"`
	ObjectName             *string `parquet:"object_name,optional"`
	IPTitleID              *string `parquet:"ip_title_id,optional"`
	StorageBytes           *int64  `parquet:"storage_bytes,optional"`
	MezzanineDuration      *int64  `parquet:"mezzanine_duration_us,optional"`
	Extra                  int32   `parquet:"something_else"`
}

// snapshots are the instants of the catalogs of the first, second and fourth
// tenant; the third has none.
var snapshots = [][]string{
	{"2026-08-30T12-00-00Z", "2026-09-28T06-30-15Z", "2026-10-09T11-59-59Z", "2026-10-20T00-00-00Z", "2026-10-25T23-00-01Z", "2026-11-01T00-00-00Z", "2026-11-05T08-00-00Z"},
	{"2026-09-30T23-59-59Z", "2026-10-01T00-00-00Z", "2026-10-14T09-17-00Z", "2026-10-31T23-59-59Z", "2026-12-01T00-00-00Z"},
	nil,
	{"2026-10-17T01-02-03Z"},
}

// emptySnapshot is one of the first tenant that says nothing: the one before
// stays in force.
const emptySnapshot = "2026-10-20T00-00-00Z"

func (g *generator) writeCatalogs(dir string) error {
	for i, times := range snapshots {
		tenant := g.houses[i].tenant
		known := g.census(g.houses[i])
		for n, at := range times {
			rows := g.snapshot(known)
			if at == emptySnapshot {
				rows = nil
			}
			form := []string{"list", "ndjson", "joined"}[(n+i)%3]
			key := tenant + "/" + at + map[bool]string{true: ".ndjson", false: ".parquet"}[form == "ndjson"]
			path := filepath.Join(dir, "catalog", filepath.FromSlash(key))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := writeSnapshot(path, form, rows); err != nil {
				return fmt.Errorf("catalog %s: %w", key, err)
			}
			g.w.Catalogs = append(g.w.Catalogs, File{key, path})
		}
	}
	return nil
}

// census is what the catalog will know of a tenant: most of its objects, some
// that are never used.
func (g *generator) census(h *house) []snapshotRow {
	var rows []snapshotRow
	for i, o := range h.objects {
		if i%8 == 6 {
			continue // in usage only
		}
		rows = append(rows, g.facts(o))
	}
	for i := range 4 {
		rows = append(rows, g.facts(&object{id: fmt.Sprintf("iq__stored%d", i), library: "ilibStored", segments: 10, length: 2_002_000}))
	}
	return rows
}

// facts invents what is known of an object; a field may be unknown.
func (g *generator) facts(o *object) snapshotRow {
	text := func(choices ...string) *string {
		if g.chance(12) {
			return nil
		}
		s := pick(g, choices)
		return &s
	}
	number := func(v int64) *int64 {
		switch n := g.IntN(20); n {
		case 0:
			return nil
		case 1:
			v = 0
		}
		return &v
	}
	r := snapshotRow{
		ObjectID: o.id, LibraryID: text(o.library), ObjectName: text(titles...), Title: text(titles...),
		IPTitleID: text("tt0123456", "=tt1", "+tt2", "-tt3", "10.5240/ABCD", "a,b"), TitleType: text("feature", "episode", "=type", "trailer"),
		AssetType: text("primary", "clip", "-clip", "image"), StorageBytes: number(g.Int64N(1 << uint(10+g.IntN(52)))),
		MasterAudioCodec: text("pcm_s24le", "=pcm", "-pcm"), MasterVideoCodec: text("prores", "jpeg2000, 12 bit"), MasterDuration: number(o.segments*o.length + g.Int64N(1000)),
		MasterResolution: text("3840x2160", "1920x1080"), MezzanineAudioCodec: text("aac"), MezzanineVideoCodec: text("h264", "hevc"),
		MezzanineDuration: number(o.segments*o.length - g.Int64N(o.length)),
	}
	for _, f := range []string{"hls-clear", "dash-widevine", "hls-sample-aes", "=odd", "hls-fairplay"}[:g.IntN(6)] {
		if g.chance(80) {
			r.MezzaninePlayoutFormat = append(r.MezzaninePlayoutFormat, f)
		}
	}
	if g.chance(40) {
		r.VideoSegments = number(o.segments)
	}
	if g.chance(25) {
		v := int64(1<<62) + g.Int64N(1<<61) // a few of these do not fit 64 bits
		r.StorageBytes = &v
	}
	return r
}

// snapshot is what there is at one time: some objects are missing, some have
// changed, one is listed twice.
func (g *generator) snapshot(known []snapshotRow) []snapshotRow {
	var rows []snapshotRow
	for _, r := range known {
		if g.chance(18) {
			continue
		}
		if g.chance(40) {
			r = g.facts(&object{id: r.ObjectID, library: "ilibMoved", segments: 20 + g.Int64N(50), length: 2_002_000})
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		rows = append(rows, known[0])
	}
	again := pick(g, rows)
	again.Title = nil
	more := int64(4096)
	again.StorageBytes = &more
	rows = append(rows, again)
	g.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

func writeSnapshot(path, form string, rows []snapshotRow) error {
	switch form {
	case "list":
		return parquet.WriteFile(path, rows, parquet.Compression(&parquet.Zstd))
	case "joined":
		joined := make([]joinedRow, len(rows))
		for i, r := range rows {
			joined[i] = joinedRow{
				ObjectID: r.ObjectID, LibraryID: r.LibraryID, ObjectName: r.ObjectName, IPTitleID: r.IPTitleID, Title: r.Title,
				StorageBytes: r.StorageBytes, MezzanineDuration: r.MezzanineDuration, MezzaninePlayoutFormat: strings.Join(r.MezzaninePlayoutFormat, ","),
			}
		}
		return parquet.WriteFile(path, joined)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	e := json.NewEncoder(f)
	for i, r := range rows {
		var line any = r
		if i%2 == 1 { // every other row has its formats in one string
			b, err := json.Marshal(r)
			if err != nil {
				return err
			}
			m := map[string]any{}
			if err := json.Unmarshal(b, &m); err != nil {
				return err
			}
			for _, k := range []string{"storage_bytes", "mezzanine_duration_us", "master_duration_us", "video_segments"} {
				delete(m, k) // a float would not do
			}
			m["storage_bytes"], m["mezzanine_duration_us"], m["master_duration_us"], m["video_segments"] = r.StorageBytes, r.MezzanineDuration, r.MasterDuration, r.VideoSegments
			m["mezzanine_playout_formats"] = strings.Join(r.MezzaninePlayoutFormat, ",")
			line = m
		}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return f.Close()
}

// snapshotTime reads the instant out of a catalog key, Unix seconds.
func snapshotTime(key string) (tenant string, at int64, ok bool) {
	tenant, name, found := strings.Cut(key, "/")
	if !found {
		return "", 0, false
	}
	t, err := time.Parse("2006-01-02T15-04-05Z", strings.TrimSuffix(strings.TrimSuffix(name, ".parquet"), ".ndjson"))
	return tenant, t.Unix(), err == nil
}
