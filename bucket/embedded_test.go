package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// embedded is a store in a folder of the test.
func embedded(t testing.TB) *Store {
	t.Helper()
	_, s := embeddedWith(t, EmbeddedConfig{})
	return s
}

func embeddedWith(t testing.TB, cfg EmbeddedConfig) (*Embedded, *Store) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	e, err := OpenEmbedded(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		began := time.Now()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("closing took %v", took)
		}
	})
	s, err := Dial(t.Context(), e.Config())
	if err != nil {
		t.Fatal(err)
	}
	return e, s
}

// impatient asks each thing only once: for stores that are made to fail.
func impatient(t testing.TB, e *Embedded) *Store {
	t.Helper()
	s, err := newStore(e.Config(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEmbeddedStoreConforms(t *testing.T) { conform(t, embedded(t)) }

func TestEmbeddedStoreKeepsWhatItHolds(t *testing.T) {
	dir := t.TempDir()
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var cfg Config
	for run := range 2 {
		e, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Dial(t.Context(), e.Config())
		if err != nil {
			t.Fatal(err)
		}
		b := s.Bucket("usage")
		if run == 0 {
			cfg = e.Config()
			if err := b.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustPut(t, b, "a/b", []byte("x"))
			if err := b.SetPolicy(t.Context(), rootMayRead(cfg.AccessKey)); err != nil {
				t.Fatal(err)
			}
		}
		if got := mustGet(t, b, "a/b"); string(got) != "x" {
			t.Errorf("run %d: %q", run, got)
		}
		if p, err := b.Policy(t.Context()); err != nil || !strings.Contains(p, "Allow") {
			t.Errorf("run %d: policy %q, %v", run, p, err)
		}
		if e.Config().AccessKey != cfg.AccessKey || e.Config().SecretKey != cfg.SecretKey {
			t.Errorf("run %d: new credentials", run)
		}
		for range 2 {
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if wd, _ := os.Getwd(); wd != before {
			t.Errorf("the working directory is %s, was %s", wd, before)
		}
	}
	if names := filesOf(t, dir); !slices.Equal(names, []string{"credentials", "lock", "objects/usage/a/b", "policies/usage.json"}) {
		t.Errorf("the folder holds %q", names)
	}
}

func rootMayRead(access string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":[%q]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::usage/*"}]}`, access)
}

// filesOf lists all files below dir.
func filesOf(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestOnlyTheOwnerCanReadTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	_, s := embeddedWith(t, EmbeddedConfig{Dir: dir})
	mustPut(t, newBucket(t, s), "a/b", []byte("x"))
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil && st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, st.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStrangersAreDenied(t *testing.T) {
	e, s := embeddedWith(t, EmbeddedConfig{})
	mustPut(t, newBucket(t, s), "k", []byte("x"))
	for name, change := range map[string]func(*Config){
		"wrong secret":   func(c *Config) { c.SecretKey = strings.Repeat("x", 40) },
		"wrong key":      func(c *Config) { c.AccessKey = "somebody" },
		"no credentials": func(c *Config) { c.AccessKey, c.SecretKey = "", "" },
	} {
		cfg := e.Config()
		change(&cfg)
		stranger, err := Dial(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range stranger.Bucket("x-y-z").List(t.Context(), "", "") {
			if !errors.Is(err, ErrDenied) && !errors.Is(err, ErrNotExist) {
				t.Errorf("%s: list: %v", name, err)
			}
		}
		_, err = stranger.Bucket("x-y-z").PutBytes(t.Context(), "k", nil)
		if err == nil {
			t.Errorf("%s: put is allowed", name)
		}
	}
	cfg := e.Config()
	cfg.SecretKey = strings.Repeat("x", 40)
	stranger, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = stranger.Bucket(newBucket(t, s).Name()).Get(t.Context(), "k", "", 1)
	wants(t, err, ErrDenied, "check object_store.access_key and secret_key")
}

func TestOneStoreAProcess(t *testing.T) {
	e, _ := embeddedWith(t, EmbeddedConfig{})
	for _, dir := range []string{t.TempDir(), e.dir} {
		_, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "this process has an embedded store open already") {
			t.Errorf("a second one: %v", err)
		}
	}
}

func TestPortThatIsTaken(t *testing.T) {
	addr := freePort(t)
	dir := t.TempDir()
	e, _ := embeddedWith(t, EmbeddedConfig{Dir: dir, Listen: addr})
	if e.Config().Endpoint != "http://"+addr {
		t.Errorf("it listens on %s, want %s", e.Config().Endpoint, addr)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	busy := &http.Server{Addr: addr}
	go busy.ListenAndServe()
	defer busy.Close()
	time.Sleep(100 * time.Millisecond)
	_, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: dir, Listen: addr})
	if err == nil || !strings.Contains(err.Error(), "listen on "+addr) {
		t.Errorf("error %v", err)
	}
	// And all is given back.
	busy.Close()
	again, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestListenErrors(t *testing.T) {
	for _, listen := range []string{"nonsense", "256.0.0.1:0", "127.0.0.1:99999"} {
		if e, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: t.TempDir(), Listen: listen}); err == nil {
			e.Close()
			t.Errorf("listens on %q", listen)
		}
	}
}

func TestNothingListens(t *testing.T) {
	began := time.Now()
	_, err := Dial(t.Context(), Config{Endpoint: "http://" + freePort(t)})
	if err == nil || !strings.Contains(err.Error(), "is the daemon running?") {
		t.Errorf("dial: %v", err)
	}
	s, err := newStore(Config{Endpoint: "http://" + freePort(t), AccessKey: "a", SecretKey: "b"}, attempts)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Bucket("usage").Get(t.Context(), "k", "", 1)
	if err == nil || !strings.Contains(err.Error(), "get usage/k: nothing listens at http://127.0.0.1:") {
		t.Errorf("get: %v", err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v to say so twice", took)
	}
}

// A request in flight is answered before Close returns.
func TestCloseWaitsForRequestsInFlight(t *testing.T) {
	var slow atomic.Bool
	begun := make(chan struct{}, 100)
	e, s := embeddedWith(t, EmbeddedConfig{sync: func(path string) error {
		if slow.Load() {
			begun <- struct{}{}
			time.Sleep(100 * time.Millisecond)
		}
		return syncPath(path)
	}})
	b := newBucket(t, s)
	slow.Store(true)
	answered := make(chan error, 1)
	go func() {
		_, err := b.PutBytes(context.WithoutCancel(t.Context()), "k", []byte("x"))
		answered <- err
	}()
	<-begun
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-answered:
		if err != nil {
			t.Errorf("the request in flight: %v", err)
		}
	case <-time.After(time.Second):
		t.Error("closed before the request was answered")
	}
}

// After an end that was not a clean one, half-made replacements are gone and
// whole objects are not.
func TestLeftoversOfACrashAreSwept(t *testing.T) {
	dir := t.TempDir()
	child := startChild(t, "hold", dir)
	s := dialRunning(t, dir)
	b := s.Bucket("usage")
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustPut(t, b, "dt=1/x.parquet", []byte("x"))
	upload, err := s.core.NewMultipartUpload(t.Context(), "usage", "later", minioPut{})
	if err != nil {
		t.Fatal(err)
	}
	child.kill()

	objects := filepath.Join(dir, "objects", "usage")
	leftover := filepath.Join(objects, "dt=1", ".x.parquet.sgwtmp.1795301926000000000")
	stagedFile := filepath.Join(objects, tempFolder, "usage.12345")
	for _, name := range []string{leftover, stagedFile} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, s := embeddedWith(t, EmbeddedConfig{Dir: dir})
	b = s.Bucket("usage")
	if keys := keysOf(t, b, "", ""); !slices.Equal(keys, []string{"dt=1/x.parquet"}) {
		t.Errorf("listed %q", keys)
	}
	if _, err := os.Stat(stagedFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the staged file: %v", err)
	}
	if _, err := s.core.ListObjectParts(t.Context(), "usage", "later", upload, 0, 10); err != nil {
		t.Errorf("a young upload is gone: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sweep(dir, filepath.Join(dir, "objects"), time.Now().Add(partsKept+time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(objects, tempFolder, "multipart", "*")); len(left) != 0 {
		t.Errorf("old uploads: %q", left)
	}
}

func TestDamagedCredentialsAreExplained(t *testing.T) {
	for _, text := range []string{"", "{", `{"access_key":"a","secret_key":""}`, "null"} {
		dir := t.TempDir()
		if err := os.WriteFile(credentialsPath(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The rest runs this test program again as another process.

type child struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	stdin          io.WriteCloser
}

func startChild(t testing.TB, role, dir string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0], "-test.run=^TestChild$")}
	c.Env = append(os.Environ(), "PLAYMETER_TEST_CHILD="+role, "PLAYMETER_TEST_DIR="+dir)
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	var err error
	if c.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

func (c *child) kill() {
	c.Process.Kill()
	c.Wait()
}

// TestChild is what the other process does: it opens the store, and holds it
// until its standard input ends.
func TestChild(t *testing.T) {
	role, dir := os.Getenv("PLAYMETER_TEST_CHILD"), os.Getenv("PLAYMETER_TEST_DIR")
	if role == "" {
		t.Skip("only as a child of the other tests")
	}
	s, closer, err := Open(context.Background(), EmbeddedConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if role == "work" {
		work(t, s)
	}
	io.Copy(io.Discard, os.Stdin)
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	os.Exit(0) // before the test framework prints anything
}

// work makes the gateway do all it does, its errors included.
func work(t *testing.T, s *Store) {
	b := s.Bucket("work")
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustPut(t, b, "a/b", noise(1, 1000))
	mustGet(t, b, "a/b")
	b.Create(t.Context(), "a/b", nil)
	b.Get(t.Context(), "none", "", 1)
	b.Copy(t.Context(), "a/b", "a/c", "")
	b.PutBytes(t.Context(), "a", nil) // there is a folder of that name
	w, err := b.Writer(t.Context(), "w")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(noise(1, PartSize+1))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	keysOf(t, b, "", "")
	http.Get(s.cfg.Endpoint + "/work/a/b?versionId=1")
	http.Get(s.cfg.Endpoint + "/%zz")
}

func dialRunning(t testing.TB, dir string) *Store {
	t.Helper()
	for range 200 {
		if cfg, ok := Running(dir); ok {
			s, err := Dial(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the other process does not open the store")
	return nil
}

func TestGatewayPrintsNothingToStdout(t *testing.T) {
	c := startChild(t, "work", t.TempDir())
	time.Sleep(100 * time.Millisecond)
	c.stdin.Close()
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s%s", err, c.stdout.String(), c.stderr.String())
	}
	if c.stdout.Len() != 0 {
		t.Errorf("stdout: %q", c.stdout.String())
	}
	if c.stderr.Len() != 0 {
		t.Logf("stderr: %q", c.stderr.String())
	}
}

func TestOpenUsesTheStoreOfARunningProcess(t *testing.T) {
	dir := t.TempDir()
	if _, ok := Running(dir); ok {
		t.Error("running before anything was started")
	}
	c := startChild(t, "hold", dir)
	s := dialRunning(t, dir)
	b := newBucket(t, s)

	_, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: dir})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	here, closer, err := Open(t.Context(), EmbeddedConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, here.Bucket(b.Name()), "k", []byte("x"))
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
	if got := mustGet(t, b, "k"); string(got) != "x" {
		t.Errorf("the other process's store holds %q", got)
	}

	// When the other process is gone, the store is opened here, whatever its end was.
	for _, end := range []func(){func() { c.stdin.Close(); c.Wait() }, func() { c.kill() }} {
		end()
		if _, ok := Running(dir); ok {
			t.Error("running after its end")
		}
		here, closer, err = Open(t.Context(), EmbeddedConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, here.Bucket(b.Name()), "k"); string(got) != "x" {
			t.Errorf("it holds %q", got)
		}
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
		c = startChild(t, "hold", dir)
		dialRunning(t, dir)
	}
}

func TestOpenWaitsForAProcessThatIsJustStarting(t *testing.T) {
	dir := t.TempDir()
	lock, err := LockFolder(dir) // somebody has the folder, but no address yet
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(300 * time.Millisecond)
		lock.Close()
	}()
	_, closer, err := Open(t.Context(), EmbeddedConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	closer.Close()
}
