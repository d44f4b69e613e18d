package schemas

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Catalog is a snapshot of what the platform knows of a tenant's objects (SPEC 3).
type Catalog struct {
	Objects   []CatalogObject // sorted by ID, each once
	Repeated  int             // rows that a later row of the same id replaced
	Skipped   int             // rows left out: an empty id, one of more than MaxID bytes, a line that is no object
	BadValues int             // values that do not convert, or are negative; they are not given
}

// CatalogObject is what a catalog says of one object. A text that is not given
// is empty, a number that is not given is [None]; durations are microseconds.
type CatalogObject struct {
	ID                  Object
	Library             string
	Name                string
	TitleID             string
	Title               string
	TitleType           string
	AssetType           string
	StorageBytes        int64
	MasterAudioCodec    string
	MasterVideoCodec    string
	MasterDuration      int64
	MasterResolution    string
	MezzanineAudioCodec string
	MezzanineVideoCodec string
	MezzanineDuration   int64
	PlayoutFormats      []string
	VideoSegments       int64
}

// catalogField is a column of a catalog: a text or a number. The playout
// formats are neither.
type catalogField struct {
	name   string
	text   func(*CatalogObject) *string
	number func(*CatalogObject) *int64
}

const formatsColumn = "mezzanine_playout_formats"

var catalogFields = []catalogField{
	{"object_id", func(o *CatalogObject) *string { return (*string)(&o.ID) }, nil},
	{"library_id", func(o *CatalogObject) *string { return &o.Library }, nil},
	{"object_name", func(o *CatalogObject) *string { return &o.Name }, nil},
	{"ip_title_id", func(o *CatalogObject) *string { return &o.TitleID }, nil},
	{"title", func(o *CatalogObject) *string { return &o.Title }, nil},
	{"title_type", func(o *CatalogObject) *string { return &o.TitleType }, nil},
	{"asset_type", func(o *CatalogObject) *string { return &o.AssetType }, nil},
	{"storage_bytes", nil, func(o *CatalogObject) *int64 { return &o.StorageBytes }},
	{"master_audio_codec", func(o *CatalogObject) *string { return &o.MasterAudioCodec }, nil},
	{"master_video_codec", func(o *CatalogObject) *string { return &o.MasterVideoCodec }, nil},
	{"master_duration_us", nil, func(o *CatalogObject) *int64 { return &o.MasterDuration }},
	{"master_resolution", func(o *CatalogObject) *string { return &o.MasterResolution }, nil},
	{"mezzanine_audio_codec", func(o *CatalogObject) *string { return &o.MezzanineAudioCodec }, nil},
	{"mezzanine_video_codec", func(o *CatalogObject) *string { return &o.MezzanineVideoCodec }, nil},
	{"mezzanine_duration_us", nil, func(o *CatalogObject) *int64 { return &o.MezzanineDuration }},
	{"video_segments", nil, func(o *CatalogObject) *int64 { return &o.VideoSegments }},
}

func findCatalogField(name string) int {
	return slices.IndexFunc(catalogFields, func(f catalogField) bool { return f.name == name })
}

// emptyObject is an object of which nothing is given.
func emptyObject() CatalogObject {
	var o CatalogObject
	for _, f := range catalogFields {
		if f.number != nil {
			*f.number(&o) = None
		}
	}
	return o
}

// ReadCatalog reads a catalog snapshot; the key says by its ending (.parquet,
// .ndjson, .ndjson.gz, .ndjson.zst) what kind of file it is.
//
// Errors: ErrUnreadable, also for a snapshot without an object; what r said.
func ReadCatalog(key string, r io.ReaderAt, size int64) (c *Catalog, err error) {
	src := &source{r: r, size: size}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder panic: %v", p)
		}
		if broken := src.failure(); err != nil && broken != nil {
			c, err = nil, fmt.Errorf("catalog %q: %w", key, broken)
		} else if err != nil {
			c, err = nil, fmt.Errorf("catalog %q: %w: %w", key, ErrUnreadable, err)
		}
	}()
	c = new(Catalog)
	switch ending := usageEnding(key); ending {
	case "":
		return nil, errors.New("the name must end in .parquet, .ndjson, .ndjson.gz or .ndjson.zst")
	case ".parquet":
		err = c.readParquet(src)
	default:
		err = c.readLines(src, linePacking(ending))
	}
	if err != nil {
		return nil, err
	}
	if len(c.Objects) == 0 {
		return nil, errors.New("holds no object")
	}
	c.settle()
	return c, nil
}

// add takes a row.
func (c *Catalog) add(o CatalogObject) {
	if o.ID == "" || len(o.ID) > MaxID {
		c.Skipped++
		return
	}
	c.Objects = append(c.Objects, o)
}

// amount is a number of a row: what is negative is not given.
func (c *Catalog) amount(v int64) int64 {
	if v < 0 && v != None {
		c.BadValues++
		return None
	}
	return v
}

// settle sorts the objects and keeps the last of each id.
func (c *Catalog) settle() {
	order := make([]int32, len(c.Objects))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(c.Objects[a].ID, c.Objects[b].ID) })
	sorted := make([]CatalogObject, 0, len(order))
	for _, i := range order {
		if n := len(sorted); n > 0 && sorted[n-1].ID == c.Objects[i].ID {
			sorted[n-1] = c.Objects[i]
			c.Repeated++
		} else {
			sorted = append(sorted, c.Objects[i])
		}
	}
	c.Objects = sorted
}

// splitFormats cuts a comma-separated list of playout formats.
func splitFormats(text string) []string {
	var formats []string
	for f := range strings.SplitSeq(text, ",") {
		formats = appendFormat(formats, f)
	}
	return formats
}

func appendFormat(formats []string, f string) []string {
	if f = strings.TrimSpace(f); f != "" {
		formats = append(formats, f)
	}
	return formats
}
