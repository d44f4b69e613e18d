package reporter

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// The plain re-computation: what a month comes to, from the events of the files that count, by loops
// and maps. It shares nothing with package accounting but the type of the rules.

// countedFile is a file that counts.
type countedFile struct {
	*usageFile
	locked, gone bool // as in wanted.go: not to be read again; not in the bucket
}

// plainCount is a tenant's month at an as-of.
type plainCount struct {
	tenant            schemas.Tenant
	from, asOf, until int64
	rules             accounting.Rules
	files             []countedFile // by key
	catalog           []heldSnapshot

	events   schemas.Events
	nodes    map[string]*schemas.NodeEvents
	restarts map[string]bool // nodes whose numbers do not ascend in time
	inputs   []countedFile   // with events of the tenant in the month
	near     []countedFile   // with events only shortly before it
	objects  map[string]*plainObject
	sessions []plainSession
	kept     []*eventRow // of the tenant, that count or are errors, before the as-of
}

// plainObject is an object's figures by column: counts as they are, seconds in µs.
type plainObject struct {
	sums    map[string]int64
	library *eventRow
	active  int
}

const (
	hour      = int64(time.Hour)
	lookback  = 31 * 24 * hour
	tooLong   = 499
	errorFrom = 400
)

func hourOf(at int64) int64 { return at - at%hour }

func (e *eventRow) status() int32 {
	if e.Status == nil {
		return 200
	}
	return *e.Status
}

func (e *eventRow) failed() bool { return e.status() >= errorFrom && e.status() != tooLong }

func value[T int32 | int64](p *T) T {
	if p == nil {
		return 0
	}
	return *p
}

// identity is what copies share; empty: the row has no copies.
func (e *eventRow) identity() string {
	switch {
	case e.reason != "":
		return ""
	case e.Seq != nil:
		return fmt.Sprintf("%s#%d@%d", e.NodeID, *e.Seq, e.Time)
	case e.EventID != "":
		return fmt.Sprintf("%s!%s@%d", e.NodeID, e.EventID, e.Time)
	}
	return ""
}

// count counts the month.
func (c *plainCount) count() {
	c.events = schemas.Events{Counted: make(map[string]int64), Rejected: make(map[string]int64)}
	c.nodes, c.objects = make(map[string]*schemas.NodeEvents), make(map[string]*plainObject)
	copies := c.copies()
	records := int64(0)
	for _, f := range c.files {
		in, near := c.places(f)
		if in {
			c.inputs = append(c.inputs, f)
		} else if near {
			c.near = append(c.near, f)
		}
		for i := range f.rows {
			e := &f.rows[i]
			if e.TenantID != string(c.tenant) {
				continue
			}
			_, isCopy := copies[e]
			if in {
				c.class(e, isCopy, copies[e], &records)
			}
			if e.reason == "" && !isCopy && e.Time < c.asOf {
				c.kept = append(c.kept, e)
			}
		}
	}
	c.numbers()
	c.joinSessions()
	for i := range c.sessions {
		c.addSession(&c.sessions[i])
	}
	c.events.Superseded = records - c.events.Counted["session"]
	if c.events.Counted["session"] == 0 {
		delete(c.events.Counted, "session")
	}
}

// places tells whether a file has rows of the tenant in the month, or shortly before it.
func (c *plainCount) places(f countedFile) (in, near bool) {
	for i := range f.rows {
		e := &f.rows[i]
		if e.TenantID == string(c.tenant) {
			in = in || e.Time >= c.from && e.Time < c.until
			near = near || e.Time >= c.from-lookback && e.Time < c.from
		}
	}
	return in, near
}

// copies finds the rows that are copies of others, and which of them say something else. Files are in the
// order of their keys: the first row met stands.
func (c *plainCount) copies() map[*eventRow]bool {
	first, out := make(map[string]*eventRow), make(map[*eventRow]bool)
	for _, f := range c.files {
		for i := range f.rows {
			e := &f.rows[i]
			id := e.identity()
			if id == "" {
				continue
			}
			if stands := first[id]; stands != nil {
				out[e] = string(stands.line(nil)) != string(e.line(nil))
			} else {
				first[id] = e
			}
		}
	}
	return out
}

// class puts a row into its class.
func (c *plainCount) class(e *eventRow, isCopy, differs bool, records *int64) {
	c.events.Read++
	switch {
	case e.reason != "":
		c.events.Rejected[e.reason]++
		return
	case e.Time < c.from || e.Time >= c.until:
		c.events.OutsidePeriod++
		return
	case e.Time >= c.asOf:
		c.events.AfterAsOf++
		return
	}
	node := c.nodes[e.NodeID]
	if node == nil {
		node = &schemas.NodeEvents{Node: e.NodeID}
		c.nodes[e.NodeID] = node
	}
	node.Events++
	if isCopy {
		c.events.Duplicates++
		node.Duplicates++
		if differs {
			c.events.Differing++
		}
		return
	}
	c.object(e, node, records)
}

// object counts a row that stands.
func (c *plainCount) object(e *eventRow, node *schemas.NodeEvents, records *int64) {
	o := c.find(e.ObjectID)
	if e.LibraryID != "" && (o.library == nil || before2(e, o.library, e.LibraryID, o.library.LibraryID)) {
		o.library = e
	}
	if e.failed() {
		c.events.Errors++
		o.sums["usage.error.occurrences"]++
		o.sums["usage.error.bytes"] += value(e.Bytes)
		if e.status() >= 500 {
			o.sums["usage.error.server_occurrences"]++
			o.sums["usage.error.server_bytes"] += value(e.Bytes)
		}
		return
	}
	if e.Kind == "session" {
		*records++
		o.active = 2
		return
	}
	node.Bytes.Add(value(e.Bytes))
	c.events.Counted[e.Kind]++
	if o.active = max(o.active, 1); e.Kind != "public_download" {
		o.active = 2
	}
	switch e.Kind {
	case "playout":
		o.sums["usage.playout.occurrences"]++
		o.sums["usage.playout.bytes"] += value(e.Bytes)
		c.seconds(o, e, e.micros())
	case "update":
		o.sums["usage.updated"]++
	case "ingest":
		o.sums["usage.ingest.occurrences"]++
		c.ingest(o, e)
	default:
		o.sums["usage."+e.Kind+".occurrences"]++
		o.sums["usage."+e.Kind+".bytes"] += value(e.Bytes)
	}
}

func (c *plainCount) find(id string) *plainObject {
	o := c.objects[id]
	if o == nil {
		o = &plainObject{sums: make(map[string]int64)}
		c.objects[id] = o
	}
	return o
}

// before2 is the order in which two events' values are taken (R2).
func before2(a, b *eventRow, x, y string) bool {
	seq := func(e *eventRow) uint64 {
		if e.Seq == nil {
			return 1 << 63
		}
		return uint64(*e.Seq)
	}
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(seq(a), seq(b)), strings.Compare(x, y)) < 0
}

// micros is the media time of a row that counts.
func (e *eventRow) micros() int64 {
	if e.status() == tooLong {
		return 0
	}
	return value(e.DurationMicros)
}

func (e *eventRow) isVideo() bool { return e.Track == "" || e.Track == "video" }

func (c *plainCount) tier(width, height int32) string {
	long, short, t := max(width, height), min(width, height), c.rules.Tiers
	switch {
	case short <= 0:
		return "unclassified"
	case long >= t.Hi.Long || short >= t.Hi.Short:
		return "hi"
	case long >= t.Md.Long || short >= t.Md.Short:
		return "md"
	}
	return "lo"
}

// seconds adds video or audio seconds of a row: those given, which a record's need not be.
func (c *plainCount) seconds(o *plainObject, e *eventRow, micros int64) {
	class := "clear"
	if strings.Contains(e.PlayoutFormat, "widevine") {
		class = "drm"
	}
	switch {
	case e.isVideo():
		o.sums["usage.playout.video_"+c.tier(value(e.Width), value(e.Height))+"_"+class+"_sec"] += micros
		o.sums["usage.playout.video_total_hrs"] += micros
	case e.Track == "audio":
		o.sums["usage.playout.audio_"+class+"_sec"] += micros
		o.sums["usage.playout.audio_total_hrs"] += micros
	}
}

func (c *plainCount) ingest(o *plainObject, e *eventRow) {
	track := e.Track
	if track == "" {
		track = "video"
		if e.Width == nil {
			track = "audio"
		}
	}
	switch {
	case e.status() == tooLong:
	case track == "audio":
		o.sums["usage.ingest.audio_"+e.Codec] += e.micros()
	case track == "video":
		width, height := value(e.Width), value(e.Height)
		if c.rules.DensityOf == accounting.DensityOfSource {
			width, height = value(e.SourceWidth), value(e.SourceHeight)
		}
		tier := c.tier(width, height)
		if tier == "unclassified" {
			o.sums["usage.ingest.density_unclassified_sec"] += e.micros()
			return
		}
		pair := "usage.ingest." + cmp.Or(e.SourceCodec, "unknown") + ":" + e.Codec + ".density_"
		for name, density := range map[string]string{"hi": "large", "md": "medium", "lo": "small"} {
			n := int64(0)
			if name == tier {
				n = e.micros()
			}
			o.sums[pair+density+"_sec"] += n // a pair has all its columns
		}
	}
}

// numbers finds what the nodes' sequence numbers tell of losses: over all tenants, in the hours up to the
// one that holds the as-of. The month before serves to know where the numbers stood.
func (c *plainCount) numbers() {
	c.restarts = make(map[string]bool)
	type number struct{ seq, at int64 }
	rows, stood := make(map[string]map[number]bool), make(map[string]map[number]bool)
	for _, f := range c.files {
		for i := range f.rows {
			e := &f.rows[i]
			if e.Seq == nil || e.Time < c.from-lookback || hourOf(e.Time) > hourOf(c.asOf-1) {
				continue
			}
			if rows[e.NodeID] == nil {
				rows[e.NodeID], stood[e.NodeID] = make(map[number]bool), make(map[number]bool)
			}
			rows[e.NodeID][number{*e.Seq, e.Time}] = true
			if e.reason == "" && e.Time >= c.from {
				stood[e.NodeID][number{*e.Seq, e.Time}] = true
			}
		}
	}
	for id, node := range c.nodes {
		seqs := make(map[int64]bool)
		for n := range stood[id] {
			seqs[n.seq] = true
		}
		node.SeqConflicts = int64(len(stood[id]) - len(seqs))
		all := slices.SortedFunc(maps.Keys(rows[id]), func(a, b number) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq)) })
		for i, n := range all {
			if i == 0 {
				continue
			}
			step := n.seq - all[i-1].seq
			if step <= 0 {
				c.restarts[id] = true
			}
			if n.at >= c.from {
				node.Missing += step - 1
			}
		}
	}
}
