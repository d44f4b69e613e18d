package intake

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// syncDirEnv names the folder of the log that this program serves for TestAnswersComeAfterSync.
const syncDirEnv = "PLAYMETER_TEST_SYNC_DIR"

// TestServeForSyncs is no test: it is the program that TestAnswersComeAfterSync looks at. It takes posts until
// its standard input ends.
func TestServeForSyncs(t *testing.T) {
	dir := os.Getenv(syncDirEnv)
	if dir == "" {
		t.Skip("is run by TestAnswersComeAfterSync")
	}
	l := openLog(t, dir, Config{Most: 24 << 20}) // so that it has blocks of 4 MB
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler(New(l))}
	go s.Serve(listener)
	fmt.Printf("\naddress=%s\n", listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Close()
	closeLog(t, l)
}

// handler answers posts as the site does, as far as these tests care.
func handler(in *Intake) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		take := in.Events
		if r.URL.Path == "/intake/flussonic" {
			take = in.Flussonic
		}
		receipt, err := take(r.Context(), &Post{Header: r.Header, Body: r.Body, Tenant: "iten1", Trusted: true})
		switch {
		case errors.Is(err, ErrBusy), errors.Is(err, ErrFull):
			w.Header().Set("Retry-After", strconv.Itoa(int(RetryAfter(err).Seconds())))
			http.Error(w, err.Error(), http.StatusTooManyRequests)
		case err != nil:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		default:
			_ = json.NewEncoder(w).Encode(receipt)
		}
	})
}

// TestAnswersComeAfterSync looks, with strace, at what the operating system is asked to do for a post: the write of its
// message, then the sync of the file that it went into (and of the folder, where that file is new), and only then the
// write of the answer.
func TestAnswersComeAfterSync(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.Command("strace", "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not look at programs here: %v: %s", err, out)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	c := exec.Command("strace", "-f", "-y", "-s", "1100000", "-o", trace, "-e", "trace=fsync,fdatasync,write,pwrite64,openat,sendto,writev",
		os.Args[0], "-test.run", "^TestServeForSyncs$")
	c.Env = append(os.Environ(), syncDirEnv+"="+filepath.Join(t.TempDir(), "log"))
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	address, lines := "", bufio.NewScanner(stdout)
	for address == "" && lines.Scan() {
		address, _ = strings.CutPrefix(lines.Text(), "address=")
		if address == lines.Text() {
			address = ""
		}
	}
	const alone, together, clients = 40, 20, 4
	for i := range alone {
		postTo(t, address, "alone", i)
	}
	var wg sync.WaitGroup
	for k := range clients {
		wg.Go(func() {
			for i := range together {
				postTo(t, address, fmt.Sprint("together", k), i)
			}
		})
	}
	wg.Wait()
	stdin.Close()
	for lines.Scan() {
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, data)
	t.Logf("%d calls, %d answers, %d writes of messages, %d syncs of blocks, %d new blocks", w.calls, w.answers, w.writes, w.syncs, w.blocks)
	if w.answers != alone+clients*together || w.posts != w.answers || w.blocks < 2 {
		t.Errorf("%d answers, %d posts written, %d new blocks: that is not what was posted", w.answers, w.posts, w.blocks)
	}
}

// postedEvents is how many events a post has.
const postedEvents = 3

// postTo posts events that are long enough for more than one block.
func postTo(t *testing.T, address, node string, i int) {
	var b bytes.Buffer
	for k := range postedEvents {
		noise := make([]byte, 15_000)
		rand.Read(noise)
		e := playout(node, postedEvents*i+k)
		e.UserAgent = fmt.Sprintf("%x", noise)
		line, err := json.Marshal(map[string]any{"node_id": e.NodeID, "seq": e.Seq, "time": time.Unix(0, e.Time), "kind": e.Kind, "object_id": e.ObjectID, "user_agent": e.UserAgent})
		if err != nil {
			t.Error(err)
		}
		b.Write(append(line, '\n'))
	}
	res, err := http.Post("http://"+address+"/intake/events", "application/x-ndjson", &b)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(text), fmt.Sprintf(`"accepted":%d`, postedEvents)) {
		t.Errorf("answered %d %s", res.StatusCode, text)
	}
}

// watcher follows a trace.
type watcher struct {
	t                                     *testing.T
	begun                                 map[string]string // calls that have not ended, by thread
	line                                  int
	calls, answers, writes, syncs, blocks int
	posts                                 int // in messages that were written

	dirty    map[string]int // posts in a block that are written, but not synced
	syncing  map[string]int // of these, what was written before a sync began that has not ended
	nameless map[string]int // posts in a block that are synced, but its folder does not have its name yet
	synced   int            // posts
	newNames map[string]bool
	naming   map[string]bool // names that were there before a sync of their folder began that has not ended
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	filePath    = regexp.MustCompile(`^\d+<([^>]*)>`)
	eventBlock  = regexp.MustCompile(`/streams/playmeter/msgs/\d+\.blk$`)
	openedPath  = regexp.MustCompile(`"([^"]*)".*O_CREAT`)
	frameStart  = `(\265/\375` // as strace writes the first bytes of a zstd frame, of which a post makes one
)

// watch goes through a trace, call by call, as they begin and end.
func watch(t *testing.T, trace []byte) *watcher {
	w := &watcher{t: t, begun: map[string]string{}, dirty: map[string]int{}, syncing: map[string]int{}, nameless: map[string]int{}, newNames: map[string]bool{}, naming: map[string]bool{}}
	for line := range strings.SplitSeq(string(trace), "\n") {
		w.line++
		if m := resumedLine.FindStringSubmatch(line); m != nil {
			w.ends(m[2], w.begun[m[1]], strings.Contains(m[3], "= -1"))
			delete(w.begun, m[1])
		} else if m := callLine.FindStringSubmatch(line); m != nil {
			w.calls++
			w.begins(m[2], m[3])
			if args, unfinished := strings.CutSuffix(m[3], "<unfinished ...>"); unfinished {
				w.begun[m[1]] = args
			} else {
				w.ends(m[2], m[3], strings.Contains(m[3][strings.LastIndex(m[3], ")")+1:], "= -1"))
			}
		}
	}
	return w
}

func pathOf(args string) string {
	if m := filePath.FindStringSubmatch(args); m != nil {
		return m[1]
	}
	return ""
}

func (w *watcher) begins(call, args string) {
	path := pathOf(args)
	switch {
	case (call == "fsync" || call == "fdatasync") && eventBlock.MatchString(path):
		w.syncing[path] = w.dirty[path]
	case call == "fsync":
		for name := range w.newNames {
			if filepath.Dir(name) == path {
				w.naming[name] = true
			}
		}
	case strings.Contains(args, `"HTTP/1.1 200 OK`):
		w.answers++
		if w.synced < w.answers {
			w.t.Errorf("line %d: answer %d is written, and %d posts are synced in blocks whose names are", w.line, w.answers, w.synced)
		}
	}
}

func (w *watcher) ends(call, args string, failed bool) {
	path := pathOf(args)
	switch {
	case failed:
	case call == "openat":
		if m := openedPath.FindStringSubmatch(args); m != nil && eventBlock.MatchString(m[1]) {
			w.blocks++
			w.newNames[m[1]] = true
		}
	case (call == "write" || call == "pwrite64") && eventBlock.MatchString(path):
		w.writes++
		n := strings.Count(args, frameStart)
		w.dirty[path] += n
		w.posts += n
	case (call == "fsync" || call == "fdatasync") && eventBlock.MatchString(path):
		w.syncs++
		if w.newNames[path] { // who opens the folder after a crash may not find it
			w.nameless[path] += w.syncing[path]
		} else {
			w.synced += w.syncing[path]
		}
		w.dirty[path] -= w.syncing[path]
		w.syncing[path] = 0
	case call == "fsync":
		for name := range w.naming {
			if filepath.Dir(name) == path {
				w.synced += w.nameless[name]
				delete(w.nameless, name)
				delete(w.newNames, name)
				delete(w.naming, name)
			}
		}
	}
}
