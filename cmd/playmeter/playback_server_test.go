package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// A mediaServer is an nginx of the test's own, which logs as our documentation says.
type mediaServer struct {
	url  string // with no slash at its end
	slow string // the same behind a slow line
	log  string // its access log
	dir  string
	cmd  *exec.Cmd
}

// serveMedia starts nginx on free ports over root.
func serveMedia(t *testing.T, root string) *mediaServer {
	t.Helper()
	dir := t.TempDir()
	address, slow := freeAddress(t), freeAddress(t)
	s := &mediaServer{url: "http://" + address, slow: "http://" + slow, log: filepath.Join(dir, "access.log"), dir: dir}
	layout, err := template.ParseFiles("testdata/playback/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	var config bytes.Buffer
	_, slowPort, _ := net.SplitHostPort(slow)
	if err := layout.Execute(&config, map[string]any{"Dir": dir, "Root": root, "Log": s.log, "Address": address, "Slow": slow, "SlowPort": slowPort, "Temp": nginxTemps(t)}); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "nginx.conf"), config.Bytes())
	s.cmd = exec.Command(nginxPath(), "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log"))
	s.cmd.Stderr = new(bytes.Buffer)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	for range 200 {
		if answer, err := http.Get(s.url + "/"); err == nil {
			answer.Body.Close()
			return s
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("nginx does not answer: %s%s", s.cmd.Stderr, s.errors())
	return nil
}

// stop ends nginx as an operator would: it answers what is under way, and its log is whole.
func (s *mediaServer) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("nginx ended with %v: %s%s", err, s.cmd.Stderr, s.errors())
	}
}

func (s *mediaServer) errors() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "error.log"))
	return string(text)
}

// get asks for one path with header fields, and gives the status and the length of the
// body that came.
func (s *mediaServer) get(t *testing.T, method, path string, header map[string]string) (status int, size int64, answer http.Header) {
	t.Helper()
	ask, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		ask.Header.Set(k, v)
	}
	got, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if size, err = io.Copy(io.Discard, got.Body); err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, size, got.Header
}

var saidSession = regexp.MustCompile(`sid="([^"]*)"`)

// answers reads in the log what was answered to whom: by session, and by the file's path below the root.
func (s *mediaServer) answers(t *testing.T) map[askedFor][]answer {
	t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[askedFor][]answer)
	for line := range strings.Lines(string(text)) {
		var l struct {
			URI, Status string
			Bytes       int64  `json:",string"`
			Session     string `json:"cmcd_session"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("nginx logs %q: %v", line, err)
		}
		u, err := url.ParseRequestURI(l.URI)
		if err != nil {
			t.Fatal(err)
		}
		key := askedFor{where: strings.TrimPrefix(u.Path, "/")}
		if m := saidSession.FindStringSubmatch(l.Session + u.Query().Get("CMCD")); m != nil {
			key.session = m[1]
		}
		all[key] = append(all[key], answer{cut: l.Status == "499", bytes: l.Bytes})
	}
	return all
}

func nginxPath() string {
	if p, err := exec.LookPath("nginx"); err == nil {
		return p
	}
	return "/usr/sbin/nginx" // not everybody's PATH has it
}

// nginxTemps are the modules that this nginx wants a folder of its own for: those of the
// distribution belong to root.
func nginxTemps(t *testing.T) []string {
	t.Helper()
	built, err := exec.Command(nginxPath(), "-V").CombinedOutput()
	if err != nil {
		t.Fatalf("nginx -V: %v\n%s", err, built)
	}
	temps := []string{"client_body"}
	for _, module := range []string{"proxy", "fastcgi", "uwsgi", "scgi"} {
		if !strings.Contains(string(built), fmt.Sprintf("--without-http_%s_module", module)) {
			temps = append(temps, module)
		}
	}
	return temps
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// lookPlayback says what is missing for a playback: programs, or the player.
func lookPlayback() error {
	var missing []error
	for _, p := range []string{"ffmpeg", nginxPath()} {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, err)
		}
	}
	if _, err := chromiumPath(); err != nil {
		missing = append(missing, err)
	}
	if _, err := os.Stat(hlsPath()); err != nil {
		missing = append(missing, err)
	}
	return errors.Join(missing...)
}
