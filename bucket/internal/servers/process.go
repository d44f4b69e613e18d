package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a service may take to start, or a command of its
// administrators to answer, on a slow machine.
const patience = 2 * time.Minute

// A process is a program that runs until the test ends.
type process struct {
	name  string
	log   string        // the file that holds what it prints
	ended chan struct{} // closed once it has
}

// begin starts a program. What it prints is kept in dir, and its end is shown
// when the test has failed.
func begin(t testing.TB, dir, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, log: filepath.Join(dir, name+".out"), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		out.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.tail())
		}
	})
	return p
}

// tail is the end of what the process has printed.
func (p *process) tail() string {
	const most = 4 << 10
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-most):])
}

// await asks again and again until ready says yes, the process ends, or
// patience does.
func (p *process) await(ready func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %v: %w\n%s", p.name, patience, err, p.tail())
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended: %s", p.name, p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// answers is nil once an S3 service at endpoint takes requests.
func answers(endpoint string) func() error {
	return func() error {
		resp, err := http.Get(endpoint + "/no-such-bucket-at-all")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode >= 500 {
			return errors.New(resp.Status)
		}
		return nil
	}
}

// listen starts a program that takes an address, up to three times: another
// process may take the port between our finding it and the program's taking it.
func listen(t testing.TB, dir, name string, command func(addr string) *exec.Cmd) (endpoint string) {
	t.Helper()
	var err error
	for range 3 {
		addr := freeAddress(t)
		endpoint = "http://" + addr
		if err = begin(t, dir, name, command(addr)).await(answers(endpoint)); err == nil {
			return endpoint
		}
	}
	t.Fatal(err)
	return ""
}

// freeAddress is a loopback address that nobody listens on right now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// output runs a command to its end and gives what it printed to its standard
// output.
func output(env []string, stdin, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String(), nil
}

// A module is a program that Go can build.
type module struct{ name, path, version string }

// install builds the program of a module, and skips the test where that fails:
// without a network, say. What was built is kept for the next time.
func install(t testing.TB, m module) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	bin := filepath.Join(cache, "playmeter-test", m.version)
	program := filepath.Join(bin, m.name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	made, err := os.MkdirTemp(bin, ".new-*") // tests of other packages may be doing the same
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(made)
	t.Logf("building %s %s, which takes minutes", m.name, m.version)
	cmd := exec.Command("go", "install", m.path+"@"+m.version)
	cmd.Dir = made // outside of our module
	cmd.Env = append(os.Environ(), "GOBIN="+made, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%s cannot be built here: %v\n%s", m.name, err, out)
	}
	if err := os.Rename(filepath.Join(made, m.name), program); err != nil {
		t.Fatal(err)
	}
	return program
}
