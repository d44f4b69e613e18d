package schemas

import (
	"bytes"
	"encoding/binary"
	"time"
)

// CSV cells (SPEC 4): UTF-8, LF, quoted if and only if they hold a comma, a quote, CR or LF.

// AppendCell appends a text as a cell.
func AppendCell(b, text []byte) []byte {
	if !wantsQuotes(text) {
		return append(b, text...)
	}
	b = append(b, '"')
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			b = append(b, text...)
			return append(b, '"')
		}
		b = append(append(b, text[:i+1]...), '"')
		text = text[i+1:]
	}
}

var quotable = [256]bool{',': true, '"': true, '\r': true, '\n': true}

// wantsQuotes looks for the four bytes that make a cell quoted, eight bytes at a time: cells
// are most of a report.
func wantsQuotes(text []byte) bool {
	for ; len(text) >= 8; text = text[8:] {
		w := binary.LittleEndian.Uint64(text)
		if hasZero(w^(ones*','))|hasZero(w^(ones*'"'))|hasZero(w^(ones*'\r'))|hasZero(w^(ones*'\n')) != 0 {
			return true
		}
	}
	for _, c := range text {
		if quotable[c] {
			return true
		}
	}
	return false
}

const ones = 0x0101010101010101

// hasZero is not zero if and only if a byte of w is.
func hasZero(w uint64) uint64 { return (w - ones) &^ w & (ones << 7) }

// AppendFreeText appends a text that people wrote; guarded, a spreadsheet will not take it
// for a formula (R16).
func AppendFreeText(b, text []byte, guard bool) []byte {
	if guard && len(text) > 0 && formulaText[text[0]] {
		return appendGuarded(b, text)
	}
	return AppendCell(b, text)
}

// AppendID appends an identifier; guarded against formulas, but an id that begins
// with + or - stays joinable.
func AppendID(b, text []byte, guard bool) []byte {
	if guard && len(text) > 0 && formulaID[text[0]] {
		return appendGuarded(b, text)
	}
	return AppendCell(b, text)
}

var (
	formulaText = [256]bool{'=': true, '+': true, '-': true, '@': true, '\t': true, '\r': true}
	formulaID   = [256]bool{'=': true, '@': true, '\t': true, '\r': true}
)

func appendGuarded(b, text []byte) []byte {
	return AppendCell(b, append([]byte{'\''}, text...))
}

// AppendHeader appends the header row.
func AppendHeader(b []byte, columns []string) []byte {
	for i, c := range columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendCell(b, []byte(c))
	}
	return append(b, '\n')
}

// SessionColumns are the columns of the sessions report (SPEC 5).
var SessionColumns = []string{
	"auth_identity", "auth_addr", "auth_email", "client_ip", "client_location", "client_city", "client_country", "client_region",
	"platform", "OS", "referrer", "id", "ip_title_id", "title", "view_date", "view_start", "duration_secs", "watched_secs", "pct_watched",
	"session_id", "object_id", "offering", "playout_format", "protocol", "user_id", "user_agent", "bytes", "audio_secs", "requests",
	"errors", "view_end", "node_id", "node_host", "node_ip", "device",
}

// SessionWriter writes rows of the sessions report.
type SessionWriter struct {
	Guard bool
	date  datePrefix
}

// datePrefix formats instants; most rows share the day of the row before.
type datePrefix struct {
	day  Day
	text string
}

func (d *datePrefix) append(b []byte, day Day) []byte {
	if d.text == "" || d.day != day {
		d.day, d.text = day, day.String()
	}
	return append(b, d.text...)
}

// Append appends one row.
func (w *SessionWriter) Append(b []byte, s *Session) []byte {
	id := func(text []byte) { b = append(AppendID(b, text, w.Guard), ',') }
	free := func(text []byte) { b = append(AppendFreeText(b, text, w.Guard), ',') }
	id(s.Fields[FieldAuthIdentity])
	id(s.Fields[FieldAuthAddr])
	free(s.Fields[FieldAuthEmail])
	id(s.Fields[FieldClientIP])
	id(s.Fields[FieldNodeRegion])
	free(s.Fields[FieldClientCity])
	id(s.Fields[FieldClientCountry])
	free(s.Fields[FieldClientRegion])
	id(s.Platform)
	id(s.OS)
	free(s.Fields[FieldReferrer])
	id(s.Fields[FieldVersion])
	free(s.TitleID)
	free(s.Title)
	b = append(w.date.append(b, DayOf(s.Start)), ',')
	b = append(appendClock(b, s.Start), ',')
	if s.Duration != None {
		b = SumOf(s.Duration).AppendMicros(b)
	}
	b = append(b, ',')
	b = append(s.Watched().AppendMicros(b), ',')
	if s.Percent != None {
		b = SumOf(s.Percent * 10_000).AppendMicros(b)
	}
	b = append(b, ',')
	id(s.SessionID)
	id(s.Object)
	id(s.Fields[FieldOffering])
	id(s.Fields[FieldFormat])
	id(s.Fields[FieldProtocol])
	id(s.Fields[FieldUser])
	free(s.Fields[FieldUserAgent])
	b = append(s.Bytes.Append(b), ',')
	b = append(s.Audio.AppendMicros(b), ',')
	b = append(SumOf(s.Requests).Append(b), ',')
	b = append(SumOf(s.Errors).Append(b), ',')
	b = append(w.date.append(b, DayOf(s.End)), 'T')
	b = append(appendClock(b, s.End), ',')
	id(s.Fields[FieldNode])
	id(s.Fields[FieldNodeHost])
	id(s.Fields[FieldNodeIP])
	b = AppendID(b, s.Device, w.Guard)
	return append(b, '\n')
}

// appendClock appends HH:MM:SS.mmmZ, cut to the millisecond.
func appendClock(b []byte, ns int64) []byte {
	ms := (ns - DayOf(ns).Start()) / int64(time.Millisecond)
	h, m, s, ms := ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000
	return append(b, byte('0'+h/10), byte('0'+h%10), ':', byte('0'+m/10), byte('0'+m%10), ':', byte('0'+s/10), byte('0'+s%10),
		'.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}
