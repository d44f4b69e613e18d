package logs

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// Lines is how a log is cut into records.
type Lines string

// The ways. Text may be compressed with gzip or zstd, which its first bytes tell.
const (
	LinesNDJSON  Lines = "ndjson"  // a JSON object a line; a field within another is named by both: request.uri
	LinesW3C     Lines = "w3c"     // values between tabs (or blanks), named by a line "#Fields:" that goes before them
	LinesParquet Lines = "parquet" // columns of text
)

// AllLines lists the ways to cut a log.
var AllLines = []Lines{LinesNDJSON, LinesW3C, LinesParquet}

// Times is how times are written.
type Times string

// The ways. Auto tells them apart: a number has the unit that puts it into our century.
const (
	TimesAuto   Times = "auto"
	TimesISO    Times = "iso8601"
	TimesSecond Times = "epoch_s" // a fraction may follow; no digit of it is lost
	TimesMilli  Times = "epoch_ms"
	TimesMicro  Times = "epoch_us"
	TimesNano   Times = "epoch_ns"
)

// AllTimes lists the ways to write times.
var AllTimes = []Times{TimesAuto, TimesISO, TimesSecond, TimesMilli, TimesMicro, TimesNano}

// Format says how a log is read.
type Format struct {
	// Letters, digits, . _ and -: it becomes a part of keys.
	Name string

	Lines Lines
	Times Times // empty: auto

	// What the log's fields are called. Of several names, separated by |, the first counts that has a value.
	Fields map[Column]string

	// What columns have where the line says nothing.
	Constants map[Column]string

	// The log's writer has percent-encoded the values.
	Encoded bool

	// The value that stands for none, besides the empty one.
	None string

	// The first pattern that fits a request says what it is.
	URLs []URL

	// What renditions look like.
	Renditions []Rendition
}

// URL is a pattern of requests and what they are.
type URL struct {
	// A regular expression (RE2) for the path, without query and percent-encoding. Groups with these names are
	// taken: tenant, object, version, library, offering, format, protocol, rendition, segment, track, session,
	// user, codec, width, height. A track is one of the tracks' names, or begins like one: audio_2.
	Match string

	// Another one for the host; both must fit.
	Host string

	// The methods that are usage. Default: GET and HEAD
	Methods []string

	// What fits is no usage.
	Skip bool

	// What groups do not say.
	Kind     string
	Format   string
	Protocol string
	Track    string

	// on or off; empty: what the format's name, or the playlist, says.
	DRM  string
	Live string

	// Every range of a file is a segment of its own, as in DASH's on-demand profile.
	OwnRanges bool
}

// Rendition is what a rendition looks like.
type Rendition struct {
	// As the URL pattern's group says it; empty: it goes by bitrate alone.
	Name string

	// The bitrates (kbit/s, both included) that a player's CMCD may say for it. A MaxKbps of 0 is no limit, and both 0 are none at all.
	MinKbps, MaxKbps int

	Width, Height int32
	Codec         string
}

// groups are the names that a URL pattern may use.
var groups = []string{"tenant", "object", "version", "library", "offering", "format", "protocol", "rendition",
	"segment", "track", "session", "user", "codec", "width", "height"}

var (
	formatName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$`)
	methodName = regexp.MustCompile(`^[A-Z]{1,20}$`)
)

const (
	maxURLs       = 200
	maxRenditions = 1000
	maxPattern    = 4096
)

// Validate names everything that is wrong with a format.
func (f *Format) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !formatName.MatchString(f.Name) {
		wrong("name: %q: write 1 to 64 of A-Z a-z 0-9 . -, the first a letter or digit", f.Name)
	}
	if !slices.Contains(AllLines, f.Lines) {
		wrong("lines: %q is not known; write ndjson, w3c or parquet", f.Lines)
	}
	if f.Times != "" && !slices.Contains(AllTimes, f.Times) {
		wrong("times: %q is not known; write auto, iso8601, epoch_s, epoch_ms, epoch_us or epoch_ns", f.Times)
	}
	f.validateColumns(wrong)
	if len(f.URLs) > maxURLs {
		wrong("urls: %d patterns, of %d at most", len(f.URLs), maxURLs)
	}
	for i := range f.URLs {
		f.URLs[i].validate(func(format string, args ...any) { wrong(fmt.Sprintf("urls[%d].", i)+format, args...) })
	}
	if len(f.Renditions) > maxRenditions {
		wrong("renditions: %d of them, of %d at most", len(f.Renditions), maxRenditions)
	}
	for i, r := range f.Renditions {
		r.validate(func(format string, args ...any) { wrong(fmt.Sprintf("renditions[%d]", i)+format, args...) })
	}
	return errors.Join(errs...)
}

func (f *Format) validateColumns(wrong func(string, ...any)) {
	for _, c := range slices.Sorted(maps.Keys(f.Fields)) {
		if c.find() < 0 {
			wrong("fields.%s: is no column", c)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(f.Constants)) {
		switch at := c.find(); {
		case at < 0:
			wrong("constants.%s: is no column", c)
		case at == ofText(schemas.ColKind):
			checkKind(f.Constants[c], func(format string, args ...any) { wrong("constants.kind: "+format, args...) })
		case at == ofText(schemas.ColTrack):
			checkTrack(f.Constants[c], func(format string, args ...any) { wrong("constants.track: "+format, args...) })
		}
	}
	if f.Fields["time"] == "" {
		wrong("fields.time: is missing; name the field that says when a request was served")
	}
}

func (u *URL) validate(wrong func(string, ...any)) {
	if u.Match == "" && u.Host == "" {
		wrong("match: is missing; write a regular expression for the path")
	}
	for _, p := range []struct{ key, text string }{{"match", u.Match}, {"host", u.Host}} {
		if len(p.text) > maxPattern {
			wrong("%s: is longer than %d bytes", p.key, maxPattern)
			continue
		}
		re, err := regexp.Compile(p.text)
		if err != nil {
			wrong("%s: %v", p.key, err)
			continue
		}
		for _, name := range re.SubexpNames() {
			if name != "" && !slices.Contains(groups, name) {
				wrong("%s: there is no group %q; the groups are %s", p.key, name, strings.Join(groups, ", "))
			}
		}
	}
	for _, m := range u.Methods {
		if !methodName.MatchString(m) {
			wrong("methods: %q is no method; write it in capitals, such as POST", m)
		}
	}
	if u.Kind != "" {
		checkKind(u.Kind, func(format string, args ...any) { wrong("kind: "+format, args...) })
	}
	if u.Track != "" {
		checkTrack(u.Track, func(format string, args ...any) { wrong("track: "+format, args...) })
	}
	for _, s := range []struct{ key, text string }{{"drm", u.DRM}, {"live", u.Live}} {
		if s.text != "" && s.text != "on" && s.text != "off" {
			wrong("%s: %q is neither on nor off", s.key, s.text)
		}
	}
}

func checkKind(s string, wrong func(string, ...any)) {
	switch schemas.ParseKind(s) {
	case schemas.KindPlayout, schemas.KindDataDownload, schemas.KindPublicDownload, schemas.KindRep, schemas.KindMedia, schemas.KindUpdate:
	default:
		wrong("%q is no kind of request; write playout, data_download, public_download, rep, media or update", s)
	}
}

func checkTrack(s string, wrong func(string, ...any)) {
	if t := schemas.ParseTrack(s); t == schemas.TrackInvalid || t == schemas.TrackNone {
		wrong("%q is no track; write video, audio, muxed, text, manifest or init", s)
	}
}

func (r *Rendition) validate(wrong func(string, ...any)) {
	if r.Name == "" && r.MinKbps == 0 && r.MaxKbps == 0 {
		wrong(": needs a name or a range of bitrates")
	}
	if r.MinKbps < 0 || r.MaxKbps < 0 || r.MaxKbps > 0 && r.MaxKbps < r.MinKbps {
		wrong(".kbps: %d to %d is no range of bitrates", r.MinKbps, r.MaxKbps)
	}
	if (r.Width > 0) != (r.Height > 0) || r.Width < 0 || r.Height < 0 {
		wrong(": width and height belong together, got %d and %d", r.Width, r.Height)
	}
}
