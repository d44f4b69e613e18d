package accounting

import (
	"fmt"

	"github.com/playmeter/playmeter/schemas"
)

// Statement is what one tenant's period adds up to at an as-of, before the
// catalog is put beside it.
type Statement struct {
	Objects map[string]*Object `json:"objects"`
	Events  schemas.Events     `json:"events"`
	Nodes   map[string]*Node   `json:"nodes"`
	Formats map[string]int64   `json:"formats,omitempty"` // unrecognised playout formats
}

// Balance checks that every event is in one class (SPEC 2.1).
func Balance(e *schemas.Events) error {
	sum := e.Errors + e.Superseded + e.Duplicates + e.OutsidePeriod + e.AfterAsOf
	for _, n := range e.Counted {
		sum += n
	}
	for _, n := range e.Rejected {
		sum += n
	}
	if sum != e.Read {
		return fmt.Errorf("the classes of events add up to %d, but %d events were read: this is a bug, nothing was published", sum, e.Read)
	}
	return nil
}

// Node is what a node's events of the tenant in the period come to.
type Node struct {
	Events     int64       `json:"events"`
	Duplicates int64       `json:"duplicates"`
	Bytes      schemas.Sum `json:"bytes"`
}

// Object is what one object's usage comes to. Seconds are in microseconds, by
// tier and clear (0) or DRM (1).
type Object struct {
	Video        [NumTiers][2]schemas.Sum `json:"video"`
	Audio        [2]schemas.Sum           `json:"audio"`
	PlayoutBytes schemas.Sum              `json:"playout_bytes"`
	Playouts     int64                    `json:"playouts"`
	Views        int64                    `json:"views"`

	DataBytes   schemas.Sum `json:"data_bytes"`
	Data        int64       `json:"data"`
	PublicBytes schemas.Sum `json:"public_bytes"`
	Public      int64       `json:"public"`
	ErrorBytes  schemas.Sum `json:"error_bytes"`
	Errors      int64       `json:"errors"`
	ServerBytes schemas.Sum `json:"server_bytes"`
	ServerErrs  int64       `json:"server_errors"`
	MediaBytes  schemas.Sum `json:"media_bytes"`
	Media       int64       `json:"media"`
	RepBytes    schemas.Sum `json:"rep_bytes"`
	Rep         int64       `json:"rep"`
	Updates     int64       `json:"updates"`
	Records     int64       `json:"records"` // `session` records, standing or superseded

	Ingests       int64                             `json:"ingests"`
	IngestAudio   map[string]schemas.Sum            `json:"ingest_audio,omitempty"`   // by codec
	IngestVideo   map[string]*[NumTiers]schemas.Sum `json:"ingest_video,omitempty"`   // by "source codec:codec", known sizes
	IngestUnknown schemas.Sum                       `json:"ingest_unknown,omitempty"` // sizes not known

	Library     string `json:"library,omitempty"` // of the earliest event that names one
	LibraryTime int64  `json:"library_time,omitempty"`
	LibrarySeq  int64  `json:"library_seq,omitempty"`
}

// Activity is the value of info.active (SPEC 4).
type Activity int

// From the least active to the most.
const (
	Inactive Activity = iota
	Poked
	Active
)

// String is the word in the report.
func (a Activity) String() string { return [...]string{"inactive", "poked", "active"}[a] }

// Activity tells how an object was accessed; an error is no access.
func (o *Object) Activity() Activity {
	switch {
	case o.Playouts|o.Data|o.Media|o.Rep|o.Updates|o.Ingests|o.Records != 0:
		return Active
	case o.Public != 0:
		return Poked
	}
	return Inactive
}

// add puts the figures of p into o: the tenancy's aggregate.
func (o *Object) add(p *Object) {
	for t := range p.Video {
		for drm := range p.Video[t] {
			o.Video[t][drm].AddSum(p.Video[t][drm])
		}
	}
	for drm := range p.Audio {
		o.Audio[drm].AddSum(p.Audio[drm])
	}
	for _, pair := range [][2]*schemas.Sum{{&o.PlayoutBytes, &p.PlayoutBytes}, {&o.DataBytes, &p.DataBytes}, {&o.PublicBytes, &p.PublicBytes},
		{&o.ErrorBytes, &p.ErrorBytes}, {&o.ServerBytes, &p.ServerBytes}, {&o.MediaBytes, &p.MediaBytes}, {&o.RepBytes, &p.RepBytes},
		{&o.IngestUnknown, &p.IngestUnknown}} {
		pair[0].AddSum(*pair[1])
	}
	for _, pair := range [][2]*int64{{&o.Playouts, &p.Playouts}, {&o.Views, &p.Views}, {&o.Data, &p.Data}, {&o.Public, &p.Public}, {&o.Errors, &p.Errors},
		{&o.ServerErrs, &p.ServerErrs}, {&o.Media, &p.Media}, {&o.Rep, &p.Rep}, {&o.Updates, &p.Updates}, {&o.Records, &p.Records}, {&o.Ingests, &p.Ingests}} {
		*pair[0] += *pair[1]
	}
	for codec, sum := range p.IngestAudio {
		total := o.ingestAudio(codec)
		total.AddSum(sum)
		o.IngestAudio[codec] = total
	}
	for pair, sums := range p.IngestVideo {
		total := o.ingestVideo(pair)
		for t := range sums {
			total[t].AddSum(sums[t])
		}
	}
}

func (o *Object) ingestAudio(codec string) schemas.Sum {
	if o.IngestAudio == nil {
		o.IngestAudio = make(map[string]schemas.Sum)
	}
	return o.IngestAudio[codec]
}

func (o *Object) ingestVideo(pair string) *[NumTiers]schemas.Sum {
	if o.IngestVideo == nil {
		o.IngestVideo = make(map[string]*[NumTiers]schemas.Sum)
	}
	if o.IngestVideo[pair] == nil {
		o.IngestVideo[pair] = new([NumTiers]schemas.Sum)
	}
	return o.IngestVideo[pair]
}
