package logs

import (
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// Column is what a field of a log says. Most are columns of usage events under their own names (node_id, bytes,
// client_ip, …); the others are those that requests have:
//
//   - time, and date where the time is one of day.
//   - url, or path and query; host; method.
//   - range: the request's Range header; or range_start and range_end: which bytes were sent.
//   - cmcd_object, cmcd_request, cmcd_session, cmcd_status: the headers of CMCD; cmcd: its query argument.
//   - cmcd_sid, cmcd_cid, cmcd_ot, cmcd_d, cmcd_br, cmcd_sf, cmcd_st: single keys of CMCD.
type Column string

// column is a [Column] as the index of its value in a record.
type column int

const (
	colTime column = iota
	colDate
	colURL
	colPath
	colQuery
	colHost
	colMethod
	colRange
	colRangeStart
	colRangeEnd
	colCMCD
	colCMCDObject
	colCMCDRequest
	colCMCDSession
	colCMCDStatus
	colCMCDSid
	colCMCDCid
	colCMCDOt
	colCMCDD
	colCMCDBr
	colCMCDSf
	colCMCDSt
	colEventID
	colBytes
	colStatus
	colWidth
	colHeight
	colSegment
	colDuration
	colDRM
	colLive
	colFirstText // the text columns of usage events follow, in their order
)

const numColumns = colFirstText + column(schemas.NumStringColumns)

var columnNames = func() []Column {
	names := []Column{"time", "date", "url", "path", "query", "host", "method", "range", "range_start", "range_end",
		"cmcd", "cmcd_object", "cmcd_request", "cmcd_session", "cmcd_status",
		"cmcd_sid", "cmcd_cid", "cmcd_ot", "cmcd_d", "cmcd_br", "cmcd_sf", "cmcd_st",
		"event_id", "bytes", "status", "width", "height", "segment", "duration_us", "drm", "live"}
	for c := range schemas.NumStringColumns {
		names = append(names, Column(c.Name()))
	}
	return names
}()

// Columns lists all columns that a format may name.
func Columns() []Column { return slices.Clone(columnNames) }

// find is the index of a column, or -1.
func (c Column) find() column { return column(slices.Index(columnNames, c)) }

// ofText is the index of a text column of usage events.
func ofText(c schemas.StringColumn) column { return colFirstText + column(c) }

// record is what one line says, by column; nil is nothing. It holds until the next line is read.
type record struct {
	values [numColumns][]byte
	ranks  [numColumns]uint8 // of the fields that values come from
	memory []byte
}

func (r *record) reset() {
	clear(r.values[:])
	r.memory = r.memory[:0]
}

// set keeps a copy of a value.
func (r *record) set(c column, value []byte) {
	from := len(r.memory)
	r.memory = append(r.memory, value...)
	r.values[c] = r.memory[from:len(r.memory):len(r.memory)]
}

func (r *record) text(c schemas.StringColumn) []byte { return r.values[ofText(c)] }
