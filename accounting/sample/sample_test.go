package sample

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

func october(t testing.TB) schemas.Period {
	t.Helper()
	p, err := schemas.ParsePeriod("2026-10")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// digest hashes all that a month hands out.
func digest(m *Month) string {
	h := sha256.New()
	for key, events := range m.Files() {
		fmt.Fprintln(h, key)
		for i := range events {
			fmt.Fprintln(h, line(&events[i]))
		}
	}
	for key, objects := range m.Catalogs() {
		fmt.Fprintln(h, key, fmt.Sprintf("%+v", objects))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// line writes an event without the addresses of its pointers.
func line(e *schemas.Event) string {
	return fmt.Sprintf("%s %d %d %s %s %s %s %s %d %d %d", e.NodeID, num(e.Seq), e.Time, e.TenantID, e.Kind, e.ObjectID,
		e.SessionID, e.UserAgent, num(e.Bytes), num(e.DurationMicros), num(e.Status))
}

func num[T int32 | int64](p *T) T {
	if p == nil {
		return -1
	}
	return *p
}

func TestAMonthFollowsFromItsSeed(t *testing.T) {
	p := october(t)
	a, b, c := digest(New(p, 7, 15_000)), digest(New(p, 7, 15_000)), digest(New(p, 8, 15_000))
	if a != b {
		t.Error("the same seed made two months")
	}
	if a == c {
		t.Error("two seeds made the same month")
	}
	m := New(p, 7, 15_000)
	for range 2 {
		if digest(m) != a {
			t.Error("handed out twice, the month changed")
		}
	}
}

func TestUntilCutsAndChangesNothingElse(t *testing.T) {
	p := october(t)
	whole := map[string][]schemas.Event{}
	for key, events := range New(p, 7, 40_000).Files() {
		whole[key] = events
	}
	m := New(p, 7, 40_000)
	m.Until = time.Date(2026, 10, 14, 19, 37, 0, 0, time.UTC)
	files, cut := 0, 0
	for key, events := range m.Files() {
		files++
		want := whole[key]
		if len(events) > len(want) {
			t.Fatalf("%s has %d events, more than the whole month's %d", key, len(events), len(want))
		}
		for i := range events {
			if line(&events[i]) != line(&want[i]) {
				t.Fatalf("%s differs at row %d", key, i)
			}
			if events[i].Time >= m.Until.UnixNano() {
				t.Fatalf("%s holds an event at or after the bound", key)
			}
		}
		if len(events) < len(want) {
			cut++
			if !strings.HasPrefix(key, "dt=2026-10-14/hour=19/") {
				t.Errorf("%s is cut", key)
			}
		}
	}
	if files == 0 || files >= len(whole) || cut == 0 {
		t.Errorf("%d of %d files, %d cut", files, len(whole), cut)
	}
	for key := range m.Catalogs() {
		if _, at, _ := strings.Cut(key, "/"); at >= "2026-10-14T19-37" {
			t.Errorf("snapshot %s is after the bound", key)
		}
	}
}

func TestCountsComeNear(t *testing.T) {
	for _, n := range []int{50_000, 100_000} {
		count := 0
		for _, events := range New(october(t), 3, n).Files() {
			count += len(events)
		}
		if off := float64(count-n) / float64(n); off > 0.03 || off < -0.03 {
			t.Errorf("asked for %d events, got %d", n, count)
		}
	}
}

// TestEverythingOccurs checks, on one month, that it shows all there is to
// show and that each event is one that a strict reader takes.
func TestEverythingOccurs(t *testing.T) {
	m := New(october(t), 1, 120_000)
	c := newCensus(t, m)
	for key, events := range m.Files() {
		c.file(key, events)
	}
	for kind := schemas.KindPlayout; kind < schemas.NumKinds; kind++ {
		c.want("kind", kind.String())
	}
	for _, s := range []string{"200", "403", "404", "499", "500", "503"} {
		c.want("status", s)
	}
	for _, s := range []string{"video", "audio", "muxed", "text", "manifest", "init", ""} {
		c.want("track", s)
	}
	for _, s := range []string{"hls-clear", "dash-clear", "hls-fairplay", "dash-widevine", "hls-aes128", "dash-widevine-audio-clear"} {
		c.want("format", s)
	}
	for _, s := range []string{"hi", "md", "lo", "portrait", "scope", "live", "vod", "with session", "without session", "large", "medium", "small"} {
		c.want("trait", s)
	}
	c.states()
}

// census counts what occurs and checks every event.
type census struct {
	*testing.T
	m       *Month
	seen    map[string]int
	seq     map[string]int64
	known   map[string]*object
	used    map[string]string // object to its state
	catalog map[string]bool
}

func newCensus(t *testing.T, m *Month) *census {
	c := &census{t, m, map[string]int{}, map[string]int64{}, map[string]*object{}, map[string]string{}, map[string]bool{}}
	for _, all := range m.objects {
		for _, o := range all {
			c.known[o.id] = o
		}
	}
	return c
}

func (c *census) see(what, which string) { c.seen[what+" "+which]++ }

// once checks a text the first time it is seen.
func (c *census) once(what, text string, holds func() bool) {
	if c.see(what, text); c.seen[what+" "+text] == 1 && !holds() {
		c.Fatalf("%s %q", what, text)
	}
}

func (c *census) want(what, which string) {
	c.Helper()
	if c.seen[what+" "+which] == 0 {
		c.Errorf("no %s %q in the month", what, which)
	}
}

func (c *census) file(key string, events []schemas.Event) {
	if !strings.HasSuffix(key, fmt.Sprintf("/%s-%d.parquet", events[0].NodeID, *events[0].Seq)) {
		c.Fatalf("key %s does not name its node and first seq", key)
	}
	at := time.Unix(0, events[0].Time).UTC().Truncate(time.Hour)
	if !strings.HasPrefix(key, at.Format("dt=2006-01-02/hour=15/")) {
		c.Fatalf("%s holds events of %s", key, at)
	}
	for i := range events {
		e := &events[i]
		if c.seq[e.NodeID]++; *e.Seq != c.seq[e.NodeID] {
			c.Fatalf("%s: seq %d of %s follows %d", key, *e.Seq, e.NodeID, c.seq[e.NodeID]-1)
		}
		if e.Time >= at.Add(time.Hour).UnixNano() || i > 0 && e.Time < events[i-1].Time {
			c.Fatalf("%s: row %d is out of its place", key, i)
		}
		c.event(e)
	}
}

func (c *census) event(e *schemas.Event) {
	o := c.known[e.ObjectID]
	if o == nil {
		c.Fatalf("unknown object: %s", line(e))
	}
	if _, err := schemas.ParseTenant(e.TenantID); err != nil || e.TenantID != businesses[o.business].ID || e.TenantID == e.ObjectID {
		c.Fatalf("tenant: %s", line(e))
	}
	if schemas.ParseKind(e.Kind) == schemas.KindUnknown || schemas.ParseTrack(e.Track) == schemas.TrackInvalid {
		c.Fatalf("kind or track: %s %s", line(e), e.Track)
	}
	if *e.Bytes < 0 || *e.Bytes > 1<<40 || e.DurationMicros != nil && (*e.DurationMicros <= 0 || *e.DurationMicros > 601_000_000) && e.Kind != "session" {
		c.Fatalf("implausible: %s", line(e))
	}
	c.once("hash", e.VersionHash, func() bool { return e.VersionHash == "" || idOfHash(e.VersionHash) == e.ObjectID })
	if o.live == nil && e.Segment != nil && e.Track != "audio" && int64(*e.Segment) >= o.segments() {
		c.Fatalf("segment %d of %d: %s", *e.Segment, o.segments(), line(e))
	}
	c.once("address", e.ClientIP, func() bool { return documentation(e.ClientIP) })
	c.once("address", e.NodeIP, func() bool { return documentation(e.NodeIP) })
	if e.AuthEmail != "" && !strings.HasSuffix(e.AuthEmail, "@example.com") && !strings.HasSuffix(e.AuthEmail, "@example.org") {
		c.Fatalf("e-mail %s", e.AuthEmail)
	}
	c.traits(e)
}

func (c *census) traits(e *schemas.Event) {
	c.see("kind", e.Kind)
	c.see("status", fmt.Sprint(*e.Status))
	c.see("track", e.Track)
	c.see("format", e.PlayoutFormat)
	if *e.Status < 400 || *e.Status == 499 {
		if e.Kind != "public_download" {
			c.used[e.ObjectID] = "active"
		} else if c.used[e.ObjectID] == "" {
			c.used[e.ObjectID] = "poked"
		}
	}
	if e.Kind == "playout" {
		c.see("trait", map[bool]string{true: "live", false: "vod"}[e.Live != nil])
		c.see("trait", map[bool]string{true: "with session", false: "without session"}[e.SessionID != ""])
	}
	if e.Width == nil {
		return
	}
	long, short := max(*e.Width, *e.Height), min(*e.Width, *e.Height)
	tier := 2
	if long >= 3200 || short >= 1800 {
		tier = 0
	} else if long >= 1280 || short >= 720 {
		tier = 1
	}
	c.see("trait", map[bool][]string{true: {"large", "medium", "small"}, false: {"hi", "md", "lo"}}[e.Kind == "ingest"][tier])
	if *e.Height > *e.Width {
		c.see("trait", "portrait")
	}
	if *e.Width > 2**e.Height {
		c.see("trait", "scope")
	}
}

// states checks that objects are active, poked and inactive, that the first
// and the last catalog differ both ways, and that what is used was stored.
func (c *census) states() {
	var first, last map[string]int64
	stored := map[string]bool{}
	for _, objects := range c.m.Catalogs() {
		for _, o := range objects {
			stored[string(o.ID)] = true
		}
		if objects[0].Library != businesses[0].Library {
			continue
		}
		now := map[string]int64{}
		for _, o := range objects {
			now[string(o.ID)] = o.StorageBytes
		}
		if first == nil {
			first = now
		}
		last = now
	}
	states := map[string]int{}
	for id := range stored {
		states[c.used[id]]++
	}
	if states["active"] == 0 || states["poked"] == 0 || states[""] == 0 {
		c.Errorf("states of the objects: %v", states)
	}
	for id := range c.used {
		if !stored[id] {
			c.Errorf("%s was used, and no catalog has it", id)
		}
	}
	added, removed, grown := 0, 0, 0
	for id, size := range last {
		if _, old := first[id]; !old {
			added++
		} else if size > first[id] {
			grown++
		}
	}
	for id := range first {
		if _, left := last[id]; !left {
			removed++
		}
	}
	if added == 0 || removed == 0 || grown == 0 {
		c.Errorf("%d objects added, %d removed, %d grown", added, removed, grown)
	}
}

// idOfHash is the object id inside of a version hash (SPEC 1).
func idOfHash(hash string) string {
	n, radix := new(big.Int), big.NewInt(58)
	for _, c := range strings.TrimPrefix(hash, "hq__") {
		n.Add(n.Mul(n, radix), big.NewInt(int64(strings.IndexRune(base58Alphabet, c))))
	}
	b := n.Bytes()
	return "iq__" + base58(b[len(b)-20:])
}

func documentation(ip string) bool {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	for _, p := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		if netip.MustParsePrefix(p).Contains(addr) {
			return true
		}
	}
	return false
}

func TestSegmentsAddUpExactly(t *testing.T) {
	o := &object{segNum: 752, segDen: 375}
	sum := int64(0)
	for i := range int64(375) {
		sum += o.boundary(i+1) - o.boundary(i)
	}
	if sum != 752_000_000 {
		t.Errorf("375 segments of 752/375 s are %d µs", sum)
	}
}

func TestLaddersKeepTheirShape(t *testing.T) {
	for _, tt := range []struct {
		w, h int32
		want string
	}{
		{3840, 2160, "640x360 960x540 1280x720 1920x1080 2560x1440 3840x2160"},
		{3840, 1608, "640x268 960x402 1280x536 1920x804 2560x1072 3840x1608"},
		{1080, 1920, "360x640 540x960 720x1280 1080x1920"},
		{1440, 1080, "480x360 720x540 960x720 1440x1080"},
	} {
		var got []string
		for _, r := range ladderOf(tt.w, tt.h, "") {
			got = append(got, fmt.Sprintf("%dx%d", r.width, r.height))
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("ladderOf(%d, %d) = %s, want %s", tt.w, tt.h, g, tt.want)
		}
	}
}

func TestFilesAreUsageFiles(t *testing.T) {
	files := 0
	for key, events := range New(october(t), 1, 20_000).Files() {
		if files++; files > 40 {
			break
		}
		var b bytes.Buffer
		w := schemas.NewUsageWriter(&b)
		if err := w.Write(events); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if rows := rowsOf(t, key, b.Bytes()); rows != len(events) {
			t.Fatalf("%s: %d rows of %d events", key, rows, len(events))
		}
	}
}

// rowsOf reads a usage file and counts its rows; a bad one is an error.
func rowsOf(t *testing.T, key string, data []byte) int {
	t.Helper()
	f, err := schemas.OpenUsage(key, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for part := range f.Parts() {
		r := f.Part(part)
		defer r.Close()
		for {
			batch, err := r.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if batch.Bad != nil {
				t.Fatalf("%s: bad rows %v", key, batch.Bad)
			}
			rows += batch.Len
		}
	}
	return rows
}

func TestCatalogsAreCatalogs(t *testing.T) {
	last := ""
	for key, objects := range New(october(t), 1, 2_000).Catalogs() {
		if _, at, ok := schemas.ParseCatalogName(key); !ok || at.Format(schemas.Stamp) < last {
			t.Fatalf("the key %s after %s", key, last)
		} else {
			last = at.Format(schemas.Stamp)
		}
		var b bytes.Buffer
		if err := schemas.WriteCatalog(&b, objects); err != nil {
			t.Fatal(err)
		}
		c, err := schemas.ReadCatalog(key, bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Objects) != len(objects) || c.Repeated+c.Skipped+c.BadValues != 0 {
			t.Fatalf("%s: %d of %d objects, %d repeated, %d skipped, %d bad", key, len(c.Objects), len(objects), c.Repeated, c.Skipped, c.BadValues)
		}
	}
}

func BenchmarkMonth(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			made := 0
			for b.Loop() {
				made = 0
				for _, events := range New(october(b), 1, n).Files() {
					made += len(events)
				}
			}
			b.ReportMetric(float64(made)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
