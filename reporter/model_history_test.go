package reporter

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// history is what happens to an installation, step by step. It holds all that its steps
// need, so that any of them can be left out.
type history struct {
	seed   uint64
	limits Restate
	ticks  bool // every step falls into a second of its own, by the store's clock
	steps  []step
}

// step is one of them; op says which, and so which of the fields have a meaning.
type step struct {
	op       string // put, spoil, vanish, withdraw, snapshot, config, run, race, merge, restart
	key      string
	rows     []eventRow
	tenant   schemas.Tenant
	at       time.Time
	holdings []holdingRow // none: a snapshot that cannot be read
	config   siteConfig
	runs     []runStep // one, or two at once
	process  int
	choice   uint64 // of what is merged
}

// eventRow is a row of a usage file; reason is why it is to be rejected.
type eventRow struct {
	schemas.Event
	reason string
}

// holdingRow is an object of a catalog snapshot.
type holdingRow struct {
	id, name string
	storage  int64
	duration int64 // µs; 0: not given
}

// siteConfig is what can be configured between runs.
type siteConfig struct {
	second   bool // the second tenant is configured
	usage    bool // the first tenant's usage report has a recipient
	sessions bool // and its sessions report
	fabric   bool // tiers
	source   bool // density
	idle     accounting.Idle
}

func (c siteConfig) rules() accounting.Rules {
	r := accounting.DefaultRules()
	r.Idle = c.idle
	if c.fabric {
		r.Tiers = accounting.TiersFabric
	}
	if c.source {
		r.DensityOf = accounting.DensityOfSource
	}
	return r
}

type runStep struct {
	process int
	period  schemas.Period
	asOf    time.Time
	tenant  schemas.Tenant // empty: all
	current bool           // the configured rules
}

// String writes a history so that a reader can follow it.
func (h *history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, restatements every %s until %s, clock that ticks: %t\n", h.seed, h.limits.Every, h.limits.Until, h.ticks)
	for i := range h.steps {
		fmt.Fprintf(&b, "%2d %s\n", i+1, h.steps[i].String())
	}
	return b.String()
}

const noteTime = "01-02T15:04:05.999999999"

func (s *step) String() string {
	switch s.op {
	case "put":
		out := "put " + s.key
		for i := range s.rows {
			out += "\n     " + s.rows[i].note()
		}
		return out
	case "snapshot":
		return fmt.Sprintf("snapshot of %s at %s: %+v", s.tenant, s.at.Format(noteTime), s.holdings)
	case "config":
		return fmt.Sprintf("config %+v", s.config)
	case "run", "race":
		out := s.op
		for _, r := range s.runs {
			out += fmt.Sprintf(" [%s as of %s by process %d", r.period, r.asOf.Format(noteTime), r.process)
			if r.tenant != "" {
				out += " of " + string(r.tenant)
			}
			if r.current {
				out += " with the configured rules"
			}
			out += "]"
		}
		return out
	case "merge":
		return fmt.Sprintf("merge packs, choice %d, by process %d", s.choice, s.process)
	case "restart":
		return fmt.Sprintf("restart process %d", s.process)
	}
	return s.op + " " + s.key
}

// note writes what a row says.
func (e *eventRow) note() string {
	out := e.NodeID
	if e.Seq != nil {
		out += fmt.Sprint("#", *e.Seq)
	}
	if e.EventID != "" {
		out += "!" + e.EventID
	}
	out += fmt.Sprintf(" %s %s %s %s", e.when().Format(noteTime), e.TenantID, e.Kind, e.ObjectID)
	for _, part := range []struct{ sign, text string }{{"/", e.SessionID}, {"ip ", e.ClientIP}, {"token ", e.Token}, {"user ", e.UserID}, {"", e.Track}, {"", e.PlayoutFormat},
		{"library ", e.LibraryID}, {"codec ", e.Codec}, {"source ", e.SourceCodec}} {
		if part.text != "" {
			out += " " + part.sign + part.text
		}
	}
	if e.Width != nil {
		out += fmt.Sprintf(" %dx%d", *e.Width, *e.Height)
	}
	for _, part := range []struct {
		n    *int64
		unit string
	}{{e.Bytes, "B"}, {e.DurationMicros, "us"}} {
		if part.n != nil {
			out += fmt.Sprint(" ", *part.n, part.unit)
		}
	}
	if e.Segment != nil {
		out += fmt.Sprint(" segment ", *e.Segment)
	}
	if e.Status != nil {
		out += fmt.Sprint(" status ", *e.Status)
	}
	if e.Live != nil {
		out += fmt.Sprint(" live ", *e.Live)
	}
	for _, part := range []struct {
		name string
		at   *int64
	}{{"opened", e.OpenedAt}, {"closed", e.ClosedAt}} {
		if part.at != nil {
			out += " " + part.name + " " + time.Unix(0, *part.at).UTC().Format(noteTime)
		}
	}
	if e.reason != "" {
		out += " (" + e.reason + ")"
	}
	return out
}

func (e *eventRow) when() time.Time { return time.Unix(0, e.Time).UTC() }

// usageFile is a usage file as it is stored.
type usageFile struct {
	key, etag string
	size      int64
	rows      []eventRow
	readable  bool
}

// encode makes the bytes of a step's file, in the format that its key ends with.
func (s *step) encode() ([]byte, *usageFile) {
	var data []byte
	switch {
	case s.op == "spoil":
		data = []byte("PAR1 this is no Parquet file " + s.key)
	case strings.HasSuffix(s.key, ".parquet"):
		var out bytes.Buffer
		w := schemas.NewUsageWriter(&out)
		events := make([]schemas.Event, len(s.rows))
		for i := range s.rows {
			events[i] = s.rows[i].Event
		}
		if err := errors.Join(w.Write(events), w.Close()); err != nil {
			panic(err) // cannot happen: it goes to memory
		}
		data = out.Bytes()
	default:
		for i := range s.rows {
			data = append(s.rows[i].line(data), '\n')
		}
	}
	sum := md5.Sum(data)
	return data, &usageFile{key: s.key, etag: hex.EncodeToString(sum[:]), size: int64(len(data)), rows: slices.Clone(s.rows), readable: s.op == "put"}
}

// line appends the row as JSON.
func (e *eventRow) line(b []byte) []byte {
	sign := byte('{')
	value := func(name string, v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err) // cannot happen: texts and numbers
		}
		b = append(fmt.Appendf(append(b, sign), "%q:", name), raw...)
		sign = ','
	}
	for _, f := range []struct{ name, text string }{{"node_id", e.NodeID}, {"event_id", e.EventID}, {"tenant_id", e.TenantID}, {"kind", e.Kind}, {"object_id", e.ObjectID},
		{"library_id", e.LibraryID}, {"session_id", e.SessionID}, {"playout_format", e.PlayoutFormat}, {"track", e.Track}, {"codec", e.Codec}, {"source_codec", e.SourceCodec},
		{"client_ip", e.ClientIP}, {"user_id", e.UserID}, {"token", e.Token}} {
		if f.text != "" {
			value(f.name, f.text)
		}
	}
	for _, f := range []struct {
		name string
		n    *int64
	}{{"seq", e.Seq}, {"bytes", e.Bytes}, {"duration_us", e.DurationMicros}} {
		if f.n != nil {
			value(f.name, *f.n)
		}
	}
	for _, f := range []struct {
		name string
		n    *int32
	}{{"status", e.Status}, {"width", e.Width}, {"height", e.Height}, {"segment", e.Segment}, {"source_width", e.SourceWidth}, {"source_height", e.SourceHeight}} {
		if f.n != nil {
			value(f.name, *f.n)
		}
	}
	if e.Live != nil {
		value("live", *e.Live)
	}
	for _, f := range []struct {
		name string
		at   *int64
	}{{"time", &e.Time}, {"opened_at", e.OpenedAt}, {"closed_at", e.ClosedAt}} {
		if f.at != nil {
			value(f.name, time.Unix(0, *f.at).UTC())
		}
	}
	return append(b, '}')
}

// catalog makes the bytes of a step's snapshot.
func (s *step) catalog() []byte {
	var b []byte
	for _, o := range s.holdings {
		b = fmt.Appendf(b, `{"object_id":%q,"object_name":%q,"storage_bytes":%d`, o.id, o.name, o.storage)
		if o.duration > 0 {
			b = fmt.Appendf(b, `,"mezzanine_duration_us":%d`, o.duration)
		}
		b = append(b, "}\n"...)
	}
	return b
}
