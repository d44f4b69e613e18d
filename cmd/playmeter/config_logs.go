package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/playmeter/playmeter/intake/logs"
)

// LogSettings is a format of access logs, for "playmeter import --format NAME".
type LogSettings struct {
	// What --format calls it.
	Name string `yaml:"name"`

	// The preset that it starts from: nginx, cloudfront, cloudfront-json, cloudfront-parquet or ndjson. Default: nginx
	Like string `yaml:"like"`

	// How lines are cut: ndjson, w3c or parquet. Default: as the preset
	Lines string `yaml:"lines"`

	// How times are written: auto, iso8601, epoch_s, epoch_ms, epoch_us or epoch_ns. Default: as the preset
	Times string `yaml:"times"`

	// Which field of the log is which column, such as client_ip: remote_addr. Those that are not given are the preset's; of
	// several names, separated by |, the first counts that has a value.
	Fields logColumns `yaml:"fields"`

	// What columns have where the log says nothing, such as node_id: edge-7.
	Constants logColumns `yaml:"constants"`

	// Patterns of requests; the first that fits says what they are.
	URLs []LogURL `yaml:"urls"`

	// What renditions look like.
	Renditions []LogRendition `yaml:"renditions"`
}

// LogURL is a pattern of requests and what they are.
type LogURL struct {
	// A regular expression (RE2) for the path, decoded and without the query. Its groups say what a request is, such as
	// ^/(?P<object>[^/]+)/(?P<rendition>[^/]+)/seg(?P<segment>\d+)\.ts$; the names are tenant, object, version, library,
	// offering, format, protocol, rendition, segment, track, session, user, codec, width and height.
	Match string `yaml:"match"`

	// Another one for the host, with the same groups; where both are given, both must fit.
	Host string `yaml:"host"`

	// The methods that are usage. Default: GET and HEAD
	Methods []string `yaml:"methods"`

	// Whether such requests are no usage. Default: off
	Skip bool `yaml:"skip"`

	// playout, data_download, public_download, rep, media or update. Default: playout
	Kind string `yaml:"kind"`

	// The playout format, such as hls-clear or dash-widevine, which decides between clear and DRM.
	Format string `yaml:"format"`

	// hls, dash, …. Default: what the player, the playlist or the file's ending says
	Protocol string `yaml:"protocol"`

	// video, audio, muxed, text, manifest or init, where the player does not say.
	Track string `yaml:"track"`

	// on or off. Default: what the format's name, or the playlist, says
	DRM string `yaml:"drm"`

	// on or off. Default: what the player or the playlist says
	Live string `yaml:"live"`

	// Whether every range of a file is a segment of its own, as in DASH's on-demand profile. Default: off
	OwnRanges bool `yaml:"own_ranges"`
}

// LogRendition is what a rendition looks like.
type LogRendition struct {
	// As the group rendition of a URL pattern says it.
	Name string `yaml:"name"`

	// The bitrates (kbit/s) of which a player may speak where the URL has no name, such as {min: 2000, max: 3500}. Without max: no limit
	Kbps LogRates `yaml:"kbps"`

	// Its size in pixels.
	Width  int32 `yaml:"width"`
	Height int32 `yaml:"height"`

	// Such as avc1.64001f.
	Codec string `yaml:"codec"`
}

// LogRates are the bitrates of a rendition in kbit/s, both included.
type LogRates struct {
	// Default: 0
	Min int `yaml:"min"`

	// Default: no limit
	Max int `yaml:"max"`
}

// logColumns are texts by the name of a column.
type logColumns map[logs.Column]string

// decodeNode takes a mapping of columns.
func (c *logColumns) decodeNode(d *configDecoder, path string, n ast.Node) {
	pairs, ok := pairsOf(n)
	if !ok {
		d.problem(path, "must hold columns and what they are, such as client_ip: remote_addr")
		return
	}
	*c = logColumns{}
	for _, pair := range pairs {
		name := logs.Column(pair.Key.GetToken().Value)
		key := path + "." + string(name)
		d.note(key, pair.Key.GetToken().Position.Line)
		if _, twice := (*c)[name]; twice {
			d.problem(key, "is given twice")
			continue
		}
		if !slices.Contains(logs.Columns(), name) {
			d.problem(key, "is no column%s", didYouMean(string(name), columnTexts()))
			continue
		}
		var text string
		d.decode(key, pair.Value, &text)
		(*c)[name] = text
	}
}

func columnTexts() []string {
	var names []string
	for _, c := range logs.Columns() {
		names = append(names, string(c))
	}
	return names
}

// format is the format that the settings make of their preset.
func (s *LogSettings) format() (f logs.Format, known bool) {
	like := s.Like
	if like == "" {
		like = "nginx"
	}
	if f, known = logs.Preset(like); !known {
		return f, false
	}
	f.Name = s.Name
	if s.Lines != "" {
		f.Lines = logs.Lines(s.Lines)
	}
	if s.Times != "" {
		f.Times = logs.Times(s.Times)
	}
	for c, field := range s.Fields {
		f.Fields[c] = field
	}
	f.Constants = s.Constants
	for _, u := range s.URLs {
		f.URLs = append(f.URLs, logs.URL(u))
	}
	for _, r := range s.Renditions {
		f.Renditions = append(f.Renditions, logs.Rendition{Name: r.Name, MinKbps: r.Kbps.Min, MaxKbps: r.Kbps.Max, Width: r.Width, Height: r.Height, Codec: r.Codec})
	}
	return f, known
}

// checkLogs notes what is wrong with the formats of logs.
func (c *Config) checkLogs(n *notes) {
	seen := map[string]bool{}
	for i := range c.Logs {
		key := fmt.Sprintf("logs[%d]", i)
		f, known := c.Logs[i].format()
		if !known {
			n.problem(key+".like", "%q is no preset; write %s", c.Logs[i].Like, alternatives(logs.Presets()))
			continue
		}
		if seen[f.Name] {
			n.problem(key+".name", "%q is the name of another format, too", f.Name)
		}
		seen[f.Name] = true
		joined, _ := f.Validate().(interface{ Unwrap() []error })
		if joined == nil {
			continue
		}
		for _, err := range joined.Unwrap() {
			at, text, _ := strings.Cut(err.Error(), ": ")
			n.problem(key+"."+at, "%s", text)
		}
	}
}

// logFormat is the format of a name: of the configuration, else a preset.
func (c *Config) logFormat(name string) (logs.Format, error) {
	names := logs.Presets()
	for i := range c.Logs {
		if c.Logs[i].Name == name {
			f, _ := c.Logs[i].format()
			return f, nil
		}
		names = append(names, c.Logs[i].Name)
	}
	if f, ok := logs.Preset(name); ok {
		return f, nil
	}
	return logs.Format{}, usagef("--format %q is not known; write %s, or describe it under logs: in the configuration", name, alternatives(names))
}
