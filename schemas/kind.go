package schemas

// Kind is what sort of usage an event is (SPEC 2.1).
type Kind uint8

// The kinds.
const (
	KindUnknown Kind = iota
	KindPlayout
	KindDataDownload
	KindPublicDownload
	KindIngest
	KindMedia
	KindUpdate
	KindRep
	KindSession
	NumKinds
)

var kindNames = [NumKinds]string{"", "playout", "data_download", "public_download", "ingest", "media", "update", "rep", "session"}

// String is the kind's name in usage files.
func (k Kind) String() string { return kindNames[k] }

// ParseKind returns KindUnknown for a text that names none.
func ParseKind(s string) Kind {
	for k := KindPlayout; k < NumKinds; k++ {
		if kindNames[k] == s {
			return k
		}
	}
	return KindUnknown
}

// Track is which part of a rendition was requested (SPEC 2).
type Track uint8

// The tracks; TrackNone is an event that names none.
const (
	TrackNone Track = iota
	TrackVideo
	TrackAudio
	TrackMuxed
	TrackText
	TrackManifest
	TrackInit
	TrackInvalid
)

var trackNames = [...]string{"", "video", "audio", "muxed", "text", "manifest", "init"}

// ParseTrack returns TrackInvalid for a text that names none.
func ParseTrack(s string) Track {
	for i, name := range trackNames {
		if name == s {
			return Track(i)
		}
	}
	return TrackInvalid
}

// Reason is why a row was rejected (SPEC 8). The order is the order in which
// the checks apply: a row is rejected for the first of its faults.
type Reason uint8

// The reasons. Rows of the first four belong to no tenant's statement.
const (
	ReasonNone Reason = iota
	ReasonBadLine
	ReasonNoTenant
	ReasonBadTenant
	ReasonBadTime
	ReasonBadValue
	ReasonNoNode
	ReasonUnknownKind
	ReasonUnknownTrack
	ReasonNoObject
	ReasonIDTooLong
	ReasonObjectIsTenant
	ReasonNegativeBytes
	ReasonNegativeDuration
	ReasonNegativeValue
	ReasonImplausible
	NumReasons
)

var reasonNames = [NumReasons]string{"", "bad_line", "no_tenant", "bad_tenant", "bad_time", "bad_value", "no_node",
	"unknown_kind", "unknown_track", "no_object", "id_too_long", "object_is_tenant", "negative_bytes",
	"negative_duration", "negative_value", "implausible"}

// String is the reason's name in manifests and `playmeter status`.
func (r Reason) String() string { return reasonNames[r] }

// Placeless tells whether a row rejected for this reason has no tenant or no
// time, and so belongs to no statement.
func (r Reason) Placeless() bool { return r >= ReasonBadLine && r <= ReasonBadTime }
