package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// TestKilledDaemonKeepsPosts kills the daemon again and again while clients post to it. What was answered 200 is in the
// report once; what was not, at most once; nothing else is.
func TestKilledDaemonKeepsPosts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	kills := 20
	if os.Getenv("PLAYMETER_LONG") != "" {
		kills = 200
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newPostWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i, p := range postings {
		for k := range 2 {
			c := &postClient{w: w, name: fmt.Sprint(p.name, k), posting: p, dice: rand.New(rand.NewPCG(seed, uint64(10*i+k+1))), pause: time.Duration(kills) * 3 * time.Millisecond / 2}
			clients.Go(func() { c.run(ctx) })
		}
	}
	dice, cut := rand.New(rand.NewPCG(seed, 0)), 0
	for n := range kills {
		w.lapse()
		daemon, said := w.start()
		w.await(dice)
		daemon.Process.Kill()
		daemon.Wait()
		files := w.intakeFiles()
		if files-w.filed > said.told() {
			cut++
		}
		w.filed = files
		t.Logf("kill %d: %d posts acknowledged, %d files", n, w.acknowledged.Load(), w.filed)
	}
	t.Logf("%d kills came between a file and what follows it", cut)
	w.lapse()
	daemon, said := w.start()
	stop()
	clients.Wait()
	daemon.Process.Signal(syscall.SIGTERM)
	if err := daemon.Wait(); err != nil {
		t.Errorf("left alone, the daemon ended with %v:\n%s", err, said.text())
	}
	w.check()
}

// A posting is a way to post events. Each post is of an object of its own; its event k has 1<<k bytes, so that the sum
// tells which events were counted, and their number whether any was twice.
type posting struct {
	name   string
	path   string
	kind   string // of content
	listed bool   // in a JSON list; else one a line
	event  func(c *postClient, object string, k int) map[string]any
}

var postings = []posting{
	{"seq", "/intake/events", "application/x-ndjson", false, func(c *postClient, object string, k int) map[string]any {
		c.seq++
		return c.event(object, k, "seq", c.seq)
	}},
	{"id", "/intake/events", "application/json", true, func(c *postClient, object string, k int) map[string]any {
		return c.event(object, k, "event_id", fmt.Sprint(object, "-", k))
	}},
	{"bare", "/intake/events", "application/x-ndjson", false, func(c *postClient, object string, k int) map[string]any {
		return c.event(object, k, "user_id", "none")
	}},
	{"ce", "/intake/events", "application/cloudevents-batch+json", true, func(c *postClient, object string, k int) map[string]any {
		data := c.event(object, k, "user_id", "none")
		delete(data, "node_id")
		delete(data, "time")
		return map[string]any{"specversion": "1.0", "id": fmt.Sprint(object, "-", k), "source": c.name, "type": "usage", "time": c.at().Format(time.RFC3339Nano), "data": data}
	}},
	{"flussonic", "/intake/flussonic", "application/json", true, nil}, // see sessions
}

// at is the time of a post's events.
func (c *postClient) at() time.Time { return c.w.from.Add(time.Duration(c.posts) * time.Millisecond) }

// event is event k of a post of an object.
func (c *postClient) event(object string, k int, name string, value any) map[string]any {
	return map[string]any{"node_id": c.name, "time": c.at().UnixMilli(), "kind": "data_download", "object_id": object, "bytes": 1 << k, name: value}
}

// postClient posts one body after the other, each until it is answered 200.
type postClient struct {
	w     *postWorld
	name  string
	dice  *rand.Rand
	pause time.Duration
	posting
	posts, seq int
}

func (c *postClient) run(ctx context.Context) {
	for last := false; !last; c.posts++ {
		last = ctx.Err() != nil
		if c.posting.event == nil {
			c.sessions(last)
		} else {
			c.objects()
		}
		time.Sleep(time.Duration(c.dice.Int64N(int64(2 * c.pause))))
	}
}

// objects posts some events of a new object.
func (c *postClient) objects() {
	object, n := fmt.Sprintf("iq__%s.%d", c.name, c.posts), 1+c.dice.IntN(40)
	events := make([]map[string]any, n)
	for k := range events {
		events[k] = c.posting.event(c, object, k)
	}
	mayGiveUp := c.posting.name != "seq" // the numbers of a node have no gap
	c.w.sent.Store(object, sent{events: n, acknowledged: c.post(events, mayGiveUp)})
}

// sessions posts that a session begins, and how those before it go on.
func (c *postClient) sessions(last bool) {
	var events []map[string]any
	say := func(name string, session, bytes int) {
		if session >= 0 {
			opened := c.w.from.Add(time.Duration(session) * time.Millisecond)
			events = append(events, map[string]any{"event": name, "id": fmt.Sprintf("s%d", session), "media": fmt.Sprintf("%s.%d", c.name, session), "server": c.name,
				"opened_at": opened.UnixMilli(), "utc_ms": opened.Add(time.Duration(bytes) * time.Millisecond).UnixMilli(), "bytes": bytes, "duration": 10})
		}
	}
	say("play_opened", c.posts, 0)
	say("play_updated", c.posts-1, 500)
	say("play_closed", c.posts-2, 1000+c.posts-2)
	if last {
		say("play_closed", c.posts, 1000+c.posts)
		say("play_closed", c.posts-1, 1000+c.posts-1)
	}
	c.post(events, false)
	c.w.sent.Store(fmt.Sprintf("%s.%d", c.name, c.posts), sent{events: 1, acknowledged: true, session: true, bytes: 1000 + c.posts})
}

// post sends one body until it is answered 200, and now and then once more. After a failure it may give up
// instead, and then nobody knows whether the events are kept.
func (c *postClient) post(events []map[string]any, mayGiveUp bool) (acknowledged bool) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	if c.listed {
		_ = e.Encode(events)
	} else {
		for _, one := range events {
			_ = e.Encode(one)
		}
	}
	for {
		switch err := c.try(body.Bytes()); {
		case err == nil && c.dice.IntN(5) > 0:
			if !acknowledged {
				c.w.acknowledged.Add(1)
			}
			return true
		case err == nil:
			acknowledged = true // and once more
		case !acknowledged && mayGiveUp && c.dice.IntN(20) == 0:
			return false
		default:
			time.Sleep(time.Duration(c.dice.IntN(20)) * time.Millisecond)
		}
	}
}

func (c *postClient) try(body []byte) error {
	address, _ := c.w.address.Load().(string)
	req, err := http.NewRequest(http.MethodPost, address+c.path+"?tenant="+postTenant, bytes.NewReader(body))
	if err != nil {
		return err // nobody has listened yet
	}
	req.Header.Set("Content-Type", c.posting.kind)
	res, err := c.w.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusOK {
		return nil // whatever becomes of the rest of the answer
	}
	if res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests {
		c.w.t.Errorf("%s: answered %d %s", c.name, res.StatusCode, text)
		return nil
	}
	return fmt.Errorf("answered %d: %w", res.StatusCode, err)
}

const postTenant = "itenposts"

// sent is what is known of a post.
type sent struct {
	events       int
	acknowledged bool
	session      bool
	bytes        int // of a session
}

// postWorld is an installation that events are posted to.
type postWorld struct {
	*killWorld
	from         time.Time // of the first event
	client       *http.Client
	address      atomic.Value // of the page, a string
	acknowledged atomic.Int64 // posts
	sent         sync.Map     // of sent, by object
	filed        int          // usage files there were at the last kill
}

func newPostWorld(t *testing.T) *postWorld {
	from := time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Hour)
	w := &postWorld{killWorld: &killWorld{t: t, dir: t.TempDir(), month: schemas.PeriodOf(from), tenants: []string{postTenant}}, from: from, client: &http.Client{Timeout: 20 * time.Second}}
	w.disturbed = filepath.Join(w.dir, "disturbed.yaml")
	public := strings.TrimSpace(string(w.must("keygen", "-o", filepath.Join(w.dir, postTenant+".key"))))
	text := fmt.Sprintf("data_dir: disturbed-data\nlisten: {http: \"127.0.0.1:0\", s3: \"127.0.0.1:0\"}\nintake: {every: 1s, size: 1MiB}\ntenants:\n"+
		"  - id: %s\n    schedule: \"@every 1s\"\n    grants: [{recipient: %s, reports: [usage, sessions]}]\n", postTenant, public)
	if err := os.WriteFile(w.disturbed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// transcript is what a daemon says.
type transcript struct {
	mu    sync.Mutex
	all   bytes.Buffer
	ready chan string // its address
}

var readyLine = regexp.MustCompile(`playmeter is ready: page (http://[^/ ]+)/`)

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(p)
	if s.ready != nil {
		if m := readyLine.FindSubmatch(s.all.Bytes()); m != nil {
			s.ready <- string(m[1])
			s.ready = nil
		}
	}
	return len(p), nil
}

func (s *transcript) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// told is how many usage files it said to have made.
func (s *transcript) told() int { return strings.Count(s.text(), "posted events are in a usage file") }

// start begins a daemon, and waits until it answers.
func (w *postWorld) start() (*exec.Cmd, *transcript) {
	ready := make(chan string, 1)
	said := &transcript{ready: ready}
	c := w.command("serve", "--config", w.disturbed)
	c.Stderr = said
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	select {
	case address := <-ready:
		w.address.Store(address)
	case <-time.After(time.Minute):
		c.Process.Kill()
		w.t.Fatalf("the daemon does not begin:\n%s", said.text())
	}
	return c, said
}

// await waits for the moment to kill: any, or shortly after the daemon decided on a file, or after it has put one.
func (w *postWorld) await(dice *rand.Rand) {
	after := time.Duration(dice.IntN(1500)) * time.Millisecond
	over, seen := time.Now().Add(100*time.Millisecond+after), func() int64 { return 0 }
	switch dice.IntN(3) {
	case 1:
		seen = w.decided
	case 2:
		seen = func() int64 { return int64(w.intakeFiles()) }
	}
	for began := seen(); time.Now().Before(over); time.Sleep(200 * time.Microsecond) {
		if seen() != began {
			time.Sleep(time.Duration(dice.IntN(4000)) * time.Microsecond)
			return
		}
	}
}

// decided grows whenever a usage file is decided on.
func (w *postWorld) decided() (bytes int64) {
	files, _ := filepath.Glob(filepath.Join(w.dir, "disturbed-data", "intake", "jetstream", "*", "streams", "playmeter-files", "msgs", "*.blk"))
	for _, name := range files {
		if about, err := os.Stat(name); err == nil {
			bytes += about.Size()
		}
	}
	return bytes
}

// intakeFiles counts the usage files that the daemon made.
func (w *postWorld) intakeFiles() (n int) {
	_ = filepath.WalkDir(filepath.Join(w.dir, "disturbed-data", "objects", "usage", "intake"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".parquet") {
			n++
		}
		return nil
	})
	return n
}

// check holds the report against what was sent.
func (w *postWorld) check() {
	w.lapse()
	var result struct {
		Tenants []struct{ Manifest schemas.Manifest }
	}
	if err := json.Unmarshal(w.must("run", "--json", "--config", w.disturbed, "--month", w.month.String()), &result); err != nil {
		w.t.Fatal(err)
	}
	text, err := w.fetch(w.disturbed, postTenant, schemas.ReportUsage)
	if err != nil {
		w.t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		w.t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	number := func(row []string, name string) int {
		n, err := strconv.Atoi(row[column[name]])
		if err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	var events, sessions, acknowledged, unknown, found int
	for _, row := range rows[2:] { // below the header and the aggregate
		object := row[column["object_id"]]
		value, known := w.sent.LoadAndDelete(object)
		if !known {
			w.t.Errorf("nobody sent %s", object)
			continue
		}
		s := value.(sent)
		if s.session {
			sessions++
			if number(row, "usage.playout.occurrences") != 1 || number(row, "usage.playout.bytes") != s.bytes {
				w.t.Errorf("session of %s: %s records, %s bytes; want 1, %d", object, row[column["usage.playout.occurrences"]], row[column["usage.playout.bytes"]], s.bytes)
			}
			continue
		}
		n, sum := number(row, "usage.data_download.occurrences"), number(row, "usage.data_download.bytes")
		events += n
		switch {
		case s.acknowledged:
			acknowledged++
			if n != s.events || sum != 1<<s.events-1 {
				w.t.Errorf("%s was acknowledged: %d events, sum %b; want each of %d once", object, n, sum, s.events)
			}
		default:
			found++
			if n > s.events || n != bits.OnesCount(uint(sum)) {
				w.t.Errorf("%s was given up: %d events, sum %b; want each of %d at most once", object, n, sum, s.events)
			}
		}
	}
	w.sent.Range(func(object, value any) bool {
		if value.(sent).acknowledged {
			w.t.Errorf("%s was acknowledged and is not in the report: %+v", object, value)
		}
		unknown++
		return true
	})
	w.t.Logf("%d posts acknowledged, %d given up (%d of them kept), %d sessions, %d events", acknowledged, found+unknown, found, sessions, events)
	m := result.Tenants[0].Manifest
	w.t.Logf("manifest: %+v, %d files", m.Events, m.Inputs.Files)
	if int(m.Events.Counted["data_download"]) != events || int(m.Events.Counted["session"]) != sessions || !m.Complete || m.SetAside != 0 {
		w.t.Errorf("the manifest counts %+v, complete %v; the report %d and %d", m.Events, m.Complete, events, sessions)
	}
	for _, node := range m.Nodes {
		if node.Missing != 0 {
			w.t.Errorf("node %s misses %d events", node.Node, node.Missing)
		}
	}
	if acknowledged < 100 || sessions < 100 || m.Events.Duplicates == 0 {
		w.t.Errorf("%d posts, %d sessions, %d duplicates; that proves little", acknowledged, sessions, m.Events.Duplicates)
	}
}
