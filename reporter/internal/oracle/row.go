package oracle

// Text columns of a usage row, by index into row.text.
const (
	cNode = iota
	cEventID
	cTenant
	cKind
	cObject
	cLibrary
	cHash
	cSession
	cOffering
	cFormat
	cProtocol
	cTrack
	cCodec
	cSourceCodec
	cIP
	cAgent
	cReferrer
	cIdentity
	cAddr
	cEmail
	cUser
	cToken
	cHost
	cNodeIP
	cNodeRegion
	cCountry
	cRegion
	cCity
	numTexts
)

// Number columns, by index into row.number. Flags are 0 or 1, instants are
// Unix nanoseconds.
const (
	nSeq = iota
	nBytes
	nStatus
	nWidth
	nHeight
	nSegment
	nDuration
	nSourceWidth
	nSourceHeight
	nDRM
	nLive
	nTime
	nOpened
	nClosed
	numNumbers
)

var textNames = [numTexts]string{
	"node_id", "event_id", "tenant_id", "kind", "object_id", "library_id", "version_hash", "session_id", "offering",
	"playout_format", "protocol", "track", "codec", "source_codec", "client_ip", "user_agent", "referrer",
	"auth_identity", "auth_addr", "auth_email", "user_id", "token", "node_host", "node_ip", "node_region",
	"client_country", "client_region", "client_city",
}

var numberNames = [numNumbers]string{
	"seq", "bytes", "status", "width", "height", "segment", "duration_us", "source_width", "source_height",
	"drm", "live", "time", "opened_at", "closed_at",
}

// isFlag says that number column i is a boolean.
func isFlag(i int) bool { return i == nDRM || i == nLive }

// isInstant says that number column i is a timestamp.
func isInstant(i int) bool { return i == nTime || i == nOpened || i == nClosed }

// isNarrow says that number column i is an int32 by the contract.
func isNarrow(i int) bool {
	switch i {
	case nStatus, nWidth, nHeight, nSegment, nSourceWidth, nSourceHeight:
		return true
	}
	return false
}

// A row is one line of a usage file, before it is decided which file and how
// it is written there.
type row struct {
	text   [numTexts]string
	number [numNumbers]int64
	has    uint32 // which numbers are given
	bad    *badCell
	line   string // an NDJSON line that is no object; nothing else counts then
	leap   bool   // time was read from a second of 60
}

// A badCell is a value of a number column that does not convert.
type badCell struct {
	column int
	text   string
}

func (r *row) set(column int, v int64) { r.number[column] = v; r.has |= 1 << column }
func (r *row) unset(column int)        { r.number[column] = 0; r.has &^= 1 << column }
func (r *row) given(column int) bool   { return r.has&(1<<column) != 0 }

// A group is rows that stay in one file, in this order: copies of one event.
type group []row

// grain is the coarsest unit, in nanoseconds, that all times of g are whole
// multiples of.
func (g group) grain() int64 {
	unit := int64(1e6)
	for i := range g {
		for _, c := range []int{nTime, nOpened, nClosed} {
			for g[i].number[c]%unit != 0 {
				unit /= 1000
			}
		}
	}
	return unit
}
