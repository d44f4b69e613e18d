package flussonic

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// SinkName is what our event sink is called in a server, unless one says otherwise.
const SinkName = "playmeter"

// IntakePath is where we take in what servers post.
const IntakePath = "/intake/flussonic"

// SinkEvents are the events that a server should send: the others are of no concern.
var SinkEvents = []string{"play_opened", "play_started", "play_updated", "play_closed"}

// Sink is an event sink of a server that posts to us.
type Sink struct {
	// Name is what it is called in the server. Empty: SinkName.
	Name string

	// To is the address of our intake, as the server reaches it. Without a path it is that of IntakePath.
	To string

	// Tenant is whose the streams are. Empty: the stream rules say, or the token.
	Tenant schemas.Tenant

	// Token is one of role node.
	Token crypto.Secret

	// SignKey is the key with which the server signs what it posts.
	SignKey crypto.Secret
}

var sinkNamePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// Validate lists what is wrong with a sink.
func (s Sink) Validate() error {
	var errs []error
	if !sinkNamePattern.MatchString(s.name()) {
		errs = append(errs, fmt.Errorf("the sink's name %q: must be 1 to 64 of A-Z a-z 0-9 _ . -", s.Name))
	}
	if _, err := s.address(); err != nil {
		errs = append(errs, err)
	}
	if s.Tenant != "" {
		if _, err := schemas.ParseTenant(string(s.Tenant)); err != nil {
			errs = append(errs, err)
		}
	}
	if !plain(s.Token.Reveal()) {
		errs = append(errs, errors.New("the token: has characters that no token of ours has"))
	}
	if !plain(s.SignKey.Reveal()) {
		errs = append(errs, errors.New(`the sign key: must be of printable ASCII without spaces, quotes, ; { } and \, which the server's configuration file would not keep`))
	}
	return errors.Join(errs...)
}

// plain tells whether a text stays itself in a server's configuration file.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"';{}\\#", r) }) < 0
}

func (s Sink) name() string {
	if s.Name == "" {
		return SinkName
	}
	return s.Name
}

// address is where the server is to post, without tenant and token.
func (s Sink) address() (*url.URL, error) {
	u, err := url.Parse(s.To)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("the intake's address: write it like https://playmeter.example.com:8080, as the server reaches it")
	case u.User != nil:
		return nil, errors.New("the intake's address: has a user in it; the server signs in with a token")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the intake's address: has a query; tenant and token are given apart")
	case !plain(u.String()):
		return nil, errors.New("the intake's address: has characters that the server's configuration file would not keep")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = IntakePath
	}
	return u, nil
}

// URL is where the server is to post, token included.
func (s Sink) URL() (crypto.Secret, error) {
	u, err := s.address()
	if err != nil {
		return "", err
	}
	q := url.Values{}
	if s.Tenant != "" {
		q.Set("tenant", string(s.Tenant))
	}
	if s.Token != "" {
		q.Set("token", s.Token.Reveal())
	}
	u.RawQuery = q.Encode()
	return crypto.Secret(u.String()), nil
}

// Private tells whether nobody on the way can read what is sent to an address: because of HTTPS, or because
// it stays on one machine.
func Private(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || Loopback(address))
}

// Loopback tells whether an address is one of this machine's alone.
func Loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback()
}

// Block is the sink as flussonic.conf has it, secrets included.
func (s Sink) Block() (crypto.Secret, error) {
	if err := s.Validate(); err != nil {
		return "", err
	}
	to, err := s.URL()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "event_sink %s {\n  url %s;\n  only event=%s;\n", s.name(), to.Reveal(), strings.Join(SinkEvents, ","))
	if s.SignKey != "" {
		fmt.Fprintf(&b, "  sign_key %s;\n", s.SignKey.Reveal())
	}
	b.WriteString("}\n")
	return crypto.Secret(b.String()), nil
}

// body is the sink as the server's API takes it.
func (s Sink) body() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	to, err := s.URL()
	if err != nil {
		return nil, err
	}
	m := map[string]any{"url": to.Reveal(), "only": []map[string][]string{{"event": SinkEvents}}}
	if s.SignKey != "" {
		m["sign_key"] = s.SignKey.Reveal()
	}
	return json.Marshal(m)
}

// SinkState is a sink as a server has it.
type SinkState struct {
	Name   string   `json:"name"`
	URL    string   `json:"url"`    // without its secrets
	Events []string `json:"events"` // that it is restricted to; none: all
	Signed bool     `json:"signed"`

	// How many events were sent, sent again, and given up, since the server started; nil where it does not say.
	Sent    *int64 `json:"sent"`
	Resent  *int64 `json:"resent"`
	Dropped *int64 `json:"dropped"`

	// Stats are all its counters by the server's own names.
	Stats map[string]int64 `json:"stats,omitempty"`
}

// parseSink reads a sink as the server's API gives it.
func parseSink(name string, body []byte) (*SinkState, error) {
	var raw struct {
		URL     string
		Sink    string // what url was called before
		Only    json.RawMessage
		SignKey json.RawMessage `json:"sign_key"`
		Stats   map[string]json.RawMessage
	}
	if json.Unmarshal(body, &raw) != nil { // its error may quote the answer
		return nil, errors.New("the answer is no event sink; is this the server's API?")
	}
	if raw.URL == "" {
		raw.URL = raw.Sink
	}
	s := &SinkState{Name: name, URL: redactURL(raw.URL), Events: onlyEvents(raw.Only), Signed: value(raw.SignKey).text() != ""}
	s.counters("", raw.Stats)
	return s, nil
}

// onlyEvents are the events that a filter lets through. It is a list of objects, or one, of a text or several.
func onlyEvents(only json.RawMessage) []string {
	var filters []map[string]json.RawMessage
	if json.Unmarshal(only, &filters) != nil {
		var one map[string]json.RawMessage
		if json.Unmarshal(only, &one) == nil && one != nil {
			filters = []map[string]json.RawMessage{one}
		}
	}
	events := []string{}
	for _, f := range filters {
		var several []string
		if json.Unmarshal(f["event"], &several) != nil {
			var one string
			if json.Unmarshal(f["event"], &one) != nil {
				continue
			}
			several = strings.Split(one, ",")
		}
		events = append(events, several...)
	}
	return events
}

// counters sorts what a server counts of a sink. The names differ between versions: what they are made of tells
// what is meant. Of several of one meaning the largest is told.
func (s *SinkState) counters(prefix string, stats map[string]json.RawMessage) {
	for _, name := range slices.Sorted(maps.Keys(stats)) {
		v := value(stats[name])
		if v.given() && v[0] == '{' && prefix == "" {
			var inner map[string]json.RawMessage
			if json.Unmarshal(v, &inner) == nil {
				s.counters(name+".", inner)
			}
			continue
		}
		n, exact, ok, err := v.number(0)
		if err != nil || !ok || !exact {
			continue
		}
		if s.Stats == nil {
			s.Stats = map[string]int64{}
		}
		s.Stats[prefix+name] = n
		if to := s.counter(prefix + name); to != nil && (*to == nil || **to < n) {
			*to = &n
		}
	}
}

// counter is what a counter's name means; nil: something else.
func (s *SinkState) counter(name string) **int64 {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	switch {
	case has("_at", "time", "limit", "delay", "size", "bytes", "depth"):
		return nil
	case has("drop", "lost", "discard", "overflow"):
		return &s.Dropped
	case has("resen", "retr", "repeat"):
		return &s.Resent
	case has("sent", "deliver"):
		return &s.Sent
	}
	return nil
}

// secretParameters are parameters of an address that are nobody's to see.
var secretParameters = []string{"token", "key", "sign", "signature", "password", "secret", "auth"}

// redactURL is an address without its secrets.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "[redacted]"
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	var parts []string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, valued := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); valued && (err != nil || isSecret(plain)) {
			part = name + "=[redacted]"
		}
		parts = append(parts, part)
	}
	u.RawQuery = strings.Join(parts, "&")
	return u.String()
}

func isSecret(parameter string) bool {
	return slices.ContainsFunc(secretParameters, func(s string) bool { return strings.Contains(strings.ToLower(parameter), s) })
}

// differs says what of a sink the server has not taken over; empty: nothing. Tokens and keys may come back masked,
// so they are not compared.
func (s Sink) differs(in *SinkState) string {
	want, err := s.URL()
	if err != nil {
		return err.Error()
	}
	if a, b := redactURL(want.Reveal()), in.URL; a != b {
		return fmt.Sprintf("it posts to %s", b)
	}
	if missing := in.Missing(); len(missing) > 0 {
		return "it leaves out " + strings.Join(missing, ", ")
	}
	return ""
}

// Missing are the events of ours that the sink's filter leaves out.
func (s *SinkState) Missing() []string {
	var missing []string
	for _, e := range SinkEvents {
		named := slices.ContainsFunc(s.Events, func(p string) bool { return matches(p, e) })
		if len(s.Events) > 0 && !named {
			missing = append(missing, e)
		}
	}
	return missing
}
