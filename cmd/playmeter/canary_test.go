package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What reports hold of the catalog and of viewers.
const (
	canaryTitle = "CANARY-TITLE-5d41402abc4b"
	canaryMail  = "canary-mail-7d793037@example.com"
)

// lookout looks into every file of a folder and every file that a process has open, also those without a
// name, for texts that are in none but some.
type lookout struct {
	dir     string
	allowed map[string][]string // by text: beginnings of names, below dir
	found   map[string]bool     // text and name
	files   int
}

// look looks once.
func (l *lookout) look(pid int) {
	filepath.WalkDir(l.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			l.file(path, strings.TrimPrefix(path, l.dir+"/"))
		}
		return nil // what is gone meanwhile holds nothing
	})
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		info, err := os.Stat(fd)
		name, _ := os.Readlink(fd)
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(name, l.dir+"/") {
			l.file(fd, strings.TrimPrefix(name, l.dir+"/"))
		}
	}
}

func (l *lookout) file(path, name string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, 64<<20))
	l.files++
	for text := range l.allowed {
		if bytes.Contains(data, []byte(text)) {
			l.found[text+" "+name] = true
		}
	}
}

// wrong are the files that hold what they must not.
func (l *lookout) wrong() (names []string) {
	for found := range l.found {
		text, name, _ := strings.Cut(found, " ")
		ok := false
		for _, begin := range l.allowed[text] {
			ok = ok || strings.HasPrefix(name, begin)
		}
		if !ok {
			names = append(names, found)
		}
	}
	return names
}

// TestNoReportIsOnADiskInTheClear watches the data directory and the folder for temporary files while
// reports are made, which are not compressed, so that what is not sealed could be read.
func TestNoReportIsOnADiskInTheClear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	dir := t.TempDir()
	playmeter := func(args ...string) *exec.Cmd {
		c := exec.Command("playmeter", args...)
		c.Dir, c.Stderr = dir, new(bytes.Buffer)
		c.Env = append(os.Environ(), "TMPDIR="+filepath.Join(dir, "tmp"), "PLAYMETER_LISTEN_S3=127.0.0.1:0")
		return c
	}
	must := func(args ...string) []byte {
		t.Helper()
		c := playmeter(args...)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, c.Stderr)
		}
		return out
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(must("keygen", "-o", "a.key")))
	write("playmeter.yaml", "data_dir: data\nreports: {compression: none}\ntenants: [{id: a, grants: [{recipient: "+key+", reports: [usage, sessions]}]}]\n")
	write("in-catalog.ndjson", `{"object_id":"iq__film","title":"`+canaryTitle+`","object_name":"`+canaryTitle+`"}`+"\n")
	var events strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&events, `{"node_id":"n1","seq":%d,"time":"2025-03-02T%02d:%02d:%02dZ","tenant_id":"a","kind":"playout","object_id":"iq__film","session_id":"s%d","auth_email":"%d.%s","duration_us":2000000,"segment":%d,"bytes":1}`+"\n",
			i, i/3600%24, i/60%60, i%60, i%5000, i%5000, canaryMail, i)
	}
	write("in-usage.ndjson", events.String())
	must("import", "in-usage.ndjson")
	must("import", "--catalog", "a", "--at", "2025-03-01T00:00:00Z", "in-catalog.ndjson")

	l := &lookout{dir: dir, found: make(map[string]bool), allowed: map[string][]string{
		canaryTitle: {"in-catalog", "data/objects/catalog/", "data/objects/metering/"},
		canaryMail:  {"in-usage", "data/objects/usage/", "data/objects/metering/"},
	}}
	run := playmeter("run", "--month", "2025-03")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	looks := 0
	for done := false; !done; looks++ {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("run: %v\n%s", err, run.Stderr)
			}
			done = true
		case <-time.After(time.Millisecond):
		}
		l.look(run.Process.Pid)
	}
	if wrong := l.wrong(); len(wrong) > 0 {
		t.Errorf("in the clear: %q", wrong)
	}
	if looks < 3 || l.files < 50 || !l.found[canaryTitle+" in-catalog.ndjson"] {
		t.Errorf("%d looks at %d files, found %v", looks, l.files, l.found)
	}
	for report, want := range map[string]string{"usage": canaryTitle, "sessions": canaryMail} {
		if csv := must("fetch", report, "--tenant", "a", "--month", "2025-03", "-i", "a.key"); !bytes.Contains(csv, []byte(want)) {
			t.Errorf("the %s report does not hold what was looked for", report)
		}
	}
}

// The test above must see a file that never had a name, or lost it.
func TestTheLookoutSeesFilesWithoutNames(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "gone"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprint(f, "the report says ", canaryTitle)
	os.Remove(f.Name())
	l := &lookout{dir: dir, found: make(map[string]bool), allowed: map[string][]string{canaryTitle: {"elsewhere"}}}
	if l.look(os.Getpid()); len(l.wrong()) != 1 {
		t.Errorf("found %v", l.found)
	}
}
