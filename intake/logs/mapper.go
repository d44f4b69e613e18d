package logs

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/playmeter/playmeter/schemas"
)

// mapper makes events of records.
type mapper struct {
	format     *Format
	options    Options
	patterns   *matcher
	renditions renditions
	constants  record
	firsts     firstWindow
	ordinals   ordinals

	// of the record at hand
	request request
	said    cmcd
	match   match
	file    fileKind
	listed  *listed
	path    string

	texts   map[string]string // that repeat from line to line
	known   map[string]match  // what patterns say of paths
	decoded []byte
	hashed  []byte
}

func newMapper(f *Format, o Options) (*mapper, error) {
	m := &mapper{format: f, options: o, renditions: newRenditions(f.Renditions), texts: map[string]string{}, known: map[string]match{}}
	var err error
	if m.patterns, err = newMatcher(f.URLs); err != nil {
		return nil, err
	}
	for name, value := range f.Constants {
		if at := name.find(); at >= 0 && value != "" {
			m.constants.set(at, []byte(value))
		}
	}
	if o.Tenant != "" {
		if _, err := schemas.ParseTenant(string(o.Tenant)); err != nil {
			return nil, err
		}
	}
	if len(o.Node) > schemas.MaxID {
		return nil, fmt.Errorf("node %.40q…: is longer than %d bytes", o.Node, schemas.MaxID)
	}
	return m, nil
}

const (
	maxTexts      = 1 << 15 // kept texts, after which they are forgotten
	maxTextBytes  = 2048    // a longer text is kept by its event alone
	maxKnownPaths = 1 << 14
	maxPath       = 1 << 14 // bytes of the longest path that patterns are asked about; servers take no longer ones
)

// string is a text as a valid string, shared by the events that have it.
func (m *mapper) string(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := m.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(b) <= maxTextBytes {
		if len(m.texts) >= maxTexts {
			clear(m.texts)
		}
		m.texts[string(b)] = s
	}
	return s
}

// event fills an event, or says why there is none.
func (m *mapper) event(r *record, identity []byte, e *schemas.Event, sum *Summary) Reason {
	for c, v := range m.constants.values {
		if v != nil && r.values[c] == nil {
			r.values[c] = v
		}
	}
	m.request.read(r, m.format.Encoded)
	m.cmcd(r)
	m.look()
	if why := m.refused(r); why != "" {
		return why
	}
	var ok bool
	if e.Time, ok = parseTime(m.format.Times, r.values[colDate], r.values[colTime]); !ok {
		return BadTime
	}
	if why := m.who(r, e); why != "" {
		return why
	}
	if !m.numbers(r, e) {
		return BadValue
	}
	m.what(r, e)
	e.EventID = m.eventID(r, identity)
	m.count(r, e, sum)
	return ""
}

// look asks patterns and playlists about the path.
func (m *mapper) look() {
	m.path = m.string(m.request.path)
	m.file = ofPath(m.path)
	m.listed = m.options.Playlists.find(m.request.path)
	m.match = match{}
	if len(m.patterns.patterns) == 0 || len(m.path) > maxPath {
		return
	}
	if m.patterns.byHost {
		m.match = m.patterns.find(m.string(m.request.host), m.path)
		return
	}
	known, ok := m.known[m.path]
	if !ok {
		known = m.patterns.find("", m.path)
		if len(m.known) >= maxKnownPaths {
			clear(m.known)
		}
		if len(m.path) <= maxTextBytes {
			m.known[m.path] = known
		}
	}
	m.match = known
}

// refused says why a request is no usage, or nothing.
func (m *mapper) refused(r *record) Reason {
	u := m.match.url
	if u != nil && u.Skip {
		return Excluded
	}
	claimed := u != nil || m.said.given || m.listed != nil || m.file.media || len(r.text(schemas.ColObject)) > 0 || len(r.text(schemas.ColVersion)) > 0
	if !claimed {
		return NotMedia
	}
	method := r.values[colMethod]
	switch {
	case method == nil:
	case u != nil && len(u.Methods) > 0:
		if !slices.ContainsFunc(u.Methods, func(s string) bool { return s == string(method) }) {
			return Method
		}
	case string(method) != "GET" && string(method) != "HEAD":
		return Method
	}
	return ""
}

// given is the first text that is there.
func (m *mapper) given(group int, others ...[]byte) string {
	if m.match.url != nil && m.match.groups[group] != "" {
		return m.match.groups[group]
	}
	for _, b := range others {
		if len(b) > 0 {
			return m.string(b)
		}
	}
	return ""
}

// who fills in the tenant, the node, the object and the session, all of which ids are bounded.
func (m *mapper) who(r *record, e *schemas.Event) Reason {
	e.TenantID = m.given(groupTenant, r.text(schemas.ColTenant))
	if e.TenantID == "" {
		e.TenantID = string(m.options.Tenant)
	}
	if e.NodeID = m.options.Node; e.NodeID == "" {
		e.NodeID = m.string(r.text(schemas.ColNode))
	}
	e.VersionHash = m.given(groupVersion, r.text(schemas.ColVersion))
	e.ObjectID = m.given(groupObject, r.text(schemas.ColObject))
	if e.ObjectID == "" && e.VersionHash == "" {
		e.ObjectID = m.string(m.said.cid)
	}
	e.SessionID = m.given(groupSession, r.text(schemas.ColSession), m.said.sid)
	switch _, err := schemas.ParseTenant(e.TenantID); {
	case e.ObjectID == "" && e.VersionHash == "":
		return NoObject
	case e.TenantID == "":
		return NoTenant
	case err != nil:
		return BadTenant
	case e.NodeID == "":
		return NoNode
	case max(len(e.ObjectID), len(e.VersionHash), len(e.NodeID), len(e.SessionID)) > schemas.MaxID:
		return IDTooLong
	case e.ObjectID == e.TenantID:
		return ObjectIsTenant
	}
	return ""
}

// clientGone is the status of a request whose client went away before the answer began.
const clientGone = 499

// numbers fills in bytes and status; false where they are no numbers.
func (m *mapper) numbers(r *record, e *schemas.Event) bool {
	if b := r.values[colBytes]; b != nil {
		n, ok := parseDecimal(b, 0)
		if !ok || bytes.IndexByte(b, '.') >= 0 {
			return false
		}
		e.Bytes = &n
	}
	if b := r.values[colStatus]; b != nil {
		n, ok := parseDecimal(b, 0)
		if !ok || n > 999 {
			return false
		}
		if n == 0 { // 000: the connection ended before there was one
			n = clientGone
		}
		status := int32(n)
		e.Status = &status
	}
	return true
}

// what fills in all that needs no reckoning.
func (m *mapper) what(r *record, e *schemas.Event) {
	u := m.match.url
	if u == nil {
		u = &URL{}
	}
	e.Kind = either(u.Kind, m.string(r.text(schemas.ColKind)), "playout")
	e.LibraryID = m.given(groupLibrary, r.text(schemas.ColLibrary))
	e.Offering = m.given(groupOffering, r.text(schemas.ColOffering))
	e.PlayoutFormat = either(m.given(groupFormat), u.Format, m.string(r.text(schemas.ColFormat)), m.listedFormat())
	e.Protocol = m.protocol(r, u)
	e.Track = m.track(r, u)
	e.DRM = m.drm(r, u, e.PlayoutFormat)
	e.Live = m.live(r, u)
	m.size(r, e)
	e.ClientIP = m.string(r.text(schemas.ColClientIP))
	e.UserAgent = m.string(r.text(schemas.ColUserAgent))
	e.Referrer = m.string(r.text(schemas.ColReferrer))
	e.UserID = m.given(groupUser, r.text(schemas.ColUser))
	e.AuthIdentity = m.string(r.text(schemas.ColAuthIdentity))
	e.AuthAddr = m.string(r.text(schemas.ColAuthAddr))
	e.AuthEmail = m.string(r.text(schemas.ColAuthEmail))
	e.Token = m.string(r.text(schemas.ColToken))
	e.NodeHost = m.string(r.text(schemas.ColNodeHost))
	e.NodeIP = m.string(r.text(schemas.ColNodeIP))
	e.NodeRegion = m.string(r.text(schemas.ColNodeRegion))
	e.ClientCountry = m.string(r.text(schemas.ColClientCountry))
	e.ClientRegion = m.string(r.text(schemas.ColClientRegion))
	e.ClientCity = m.string(r.text(schemas.ColClientCity))
}

// either is the first text that is not empty.
func either(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// eventID is the id that the log gives the request, else one made of the line and of how many
// like it came before.
func (m *mapper) eventID(r *record, identity []byte) string {
	if id := r.values[colEventID]; len(id) > 0 && len(id) <= schemas.MaxID {
		return strings.ToValidUTF8(string(id), "\uFFFD")
	}
	key := hashOf(&m.hashed, identity)
	n := m.ordinals.next(key)
	var b [36]byte
	hex.Encode(b[:32], key[:])
	if n == 0 {
		return string(b[:32])
	}
	return fmt.Sprintf("%s-%d", b[:32], n)
}
