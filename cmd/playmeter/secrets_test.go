package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
)

// vault is an installation whose every secret is known, and everything that its commands have said.
type vault struct {
	t       *testing.T
	dir     string
	secrets map[string]string // by what they are
	said    map[string]string // by command
}

// locked is a buffer that a process writes to while it is read.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (v *vault) command(args ...string) (*exec.Cmd, *locked) {
	c, out := exec.Command("playmeter", append(args, "--log-level", "debug")...), new(locked)
	c.Dir, c.Stderr = v.dir, out
	return c, out
}

// run runs a command and keeps what it said. What a command prints that hands out a secret is not kept.
func (v *vault) run(args ...string) string {
	v.t.Helper()
	c, errs := v.command(args...)
	out, err := c.Output()
	name := strings.Join(args, " ")
	if err != nil {
		v.t.Fatalf("playmeter %s: %v\n%s", name, err, errs)
	}
	v.said[name+" 2>"] = errs.String()
	if !slices.Contains([]string{"add", "rotate", "env"}, append(args, "")[1]) && args[0] != "env" {
		v.said[name] = string(out)
	}
	return string(out)
}

func (v *vault) read(name string) string {
	v.t.Helper()
	data, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil {
		v.t.Fatal(err)
	}
	return string(data)
}

// keep notes a secret.
func (v *vault) keep(what, secret string) string {
	v.t.Helper()
	if secret = strings.TrimSpace(secret); len(secret) < 16 {
		v.t.Fatalf("%s is %q, which is no secret to look for", what, secret)
	}
	v.secrets[what] = secret
	return secret
}

// field is a field of a JSON object.
func (v *vault) field(text, name string) string {
	v.t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		v.t.Fatalf("%v: %s", err, text)
	}
	return fmt.Sprint(fields[name])
}

// TestNoSecretIsEverSaid makes every kind of secret there is, has everything done with them at the most
// talkative level, rightly and wrongly, and looks for them in all that was said and stored.
func TestNoSecretIsEverSaid(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	v := &vault{t: t, dir: t.TempDir(), secrets: make(map[string]string), said: make(map[string]string)}
	key := strings.TrimSpace(v.run("keygen", "-o", "a.key"))
	v.keep("identity", regexp.MustCompile("AGE-SECRET-KEY-1[A-Z0-9]+").FindString(v.read("a.key")))
	config := `listen: {http: "127.0.0.1:0", s3: "127.0.0.1:0"}
privacy: {sessions: {user_id: hmac}}
tenants:
  - id: a
    grants: [{recipient: ` + key + `, reports: [usage, sessions]}, {reader: billing, reports: [usage]}]
`
	if err := os.WriteFile(filepath.Join(v.dir, "playmeter.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var events strings.Builder
	for i := range 50 {
		fmt.Fprintf(&events, `{"node_id":"n1","seq":%d,"time":"2025-03-02T10:00:%02dZ","tenant_id":"a","kind":"playout","object_id":"iq__film","session_id":"s","user_id":"u%d","duration_us":2000000,"segment":%d,"bytes":1}`+"\n", i, i, i, i)
	}
	if err := os.WriteFile(filepath.Join(v.dir, "events.ndjson"), []byte(events.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	v.run("import", "events.ndjson")
	v.run("run", "--month", "2025-03")
	v.keep("root's secret", v.field(v.read("playmeter-data/credentials"), "secret_key"))
	signing := strings.Split(v.read("playmeter-data/keys/signing"), "\n")
	v.keep("signing key", signing[len(signing)/2])
	v.keep("key of pseudonyms", v.read("playmeter-data/keys/pseudonyms"))
	v.keep("reader's first secret", v.field(v.run("reader", "add", "billing", "--json"), "AWS_SECRET_ACCESS_KEY"))
	tokens := map[string]string{}
	for role, args := range map[string][]string{"admin": nil, "tenant": {"--tenant", "a", "--report", "usage"}, "node": nil} {
		tokens[role] = v.keep(role+"'s token", v.run(append([]string{"token", "add", role, "--role", role}, args...)...))
	}

	daemon, log := v.command("serve")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer daemon.Process.Kill()
	ready := regexp.MustCompile(`page (http://\S+)/ `)
	for range 200 {
		if ready.MatchString(log.String()) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !ready.MatchString(log.String()) {
		t.Fatalf("the daemon is not ready:\n%s", log)
	}
	v.ask(ready.FindStringSubmatch(log.String())[1], tokens)
	v.keep("reader's second secret", v.field(v.run("reader", "rotate", "billing", "--json"), "AWS_SECRET_ACCESS_KEY"))
	v.askStore()
	for _, args := range []string{"status", "status --json", "grants check", "grants apply --json", "grants list", "token list", "token list --json", "reader list --json",
		"schedule", "verify --tenant a --month 2025-03", "fetch usage --tenant a --month 2025-03 -i a.key", "link usage --tenant a --month 2025-03", "rekey", "run --month 2025-03 --json"} {
		v.run(strings.Fields(args)...)
	}
	time.Sleep(100 * time.Millisecond)
	daemon.Process.Signal(syscall.SIGTERM)
	if err := daemon.Wait(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	v.said["serve"] = log.String()
	v.search()
}

// ask asks the API for everything with every token, with ones that are nearly right, and in wrong places.
func (v *vault) ask(page string, tokens map[string]string) {
	v.t.Helper()
	served := 0
	say := func(role, token, authorization, path string) {
		req, err := http.NewRequest("GET", page+path, nil)
		if err != nil {
			v.t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			v.t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			served++
		}
		v.said["GET "+strings.ReplaceAll(path, token, "TOKEN")+" as "+role] += string(body) + fmt.Sprint(resp.Header)
	}
	const month = "/api/v1/tenants/a/reports/2025-03"
	for role, token := range tokens { // before too many wrong ones have come
		for _, path := range []string{"/", "/metrics", "/readyz", "/api/v1/tenants", "/api/v1/tenants/a/reports", month, month + "/usage", month + "/usage/link", month + "/sessions"} {
			say(role, token, "Bearer "+token, path)
		}
	}
	for role, token := range tokens {
		say(role, token, "Bearer "+token[:len(token)-1]+"a", month+"/usage")
		say(role, token, token, month+"/usage")
		say(role, token, "Basic "+token, month+"/usage")
		say(role, token, "Bearer "+token, month+"/manifest?token="+token)
		say(role, token, "Bearer "+token, "/"+token)
	}
	if served < 12 {
		v.t.Errorf("only %d requests were served", served)
	}
}

// askStore asks the object store with the reader's keys, the one that holds and the one that does no more.
func (v *vault) askStore() {
	v.t.Helper()
	cfg, ok := bucket.Running(filepath.Join(v.dir, "playmeter-data"))
	if !ok {
		v.t.Fatal("the object store is not served")
	}
	cfg.AccessKey = "billing"
	for _, what := range []string{"reader's first secret", "reader's second secret"} {
		cfg.SecretKey = v.secrets[what]
		store, err := bucket.Connect(cfg)
		if err != nil {
			v.t.Fatal(err)
		}
		_, err = store.Bucket("reporting").Stat(v.t.Context(), "a/2025-03/sessions.csv.gz.age")
		v.said["stat with the "+what] = fmt.Sprintf("%v %+v %#v", err, store.Config(), cfg)
	}
}

// search looks for every secret, and for its parts, in all that was said and in all files but those that keep it.
func (v *vault) search() {
	v.t.Helper()
	keepers := []string{"a.key", "playmeter-data/credentials", "playmeter-data/keys/signing", "playmeter-data/keys/pseudonyms"}
	all := make(map[string]string)
	for name, text := range v.said {
		all[name] = text
	}
	filepath.WalkDir(v.dir, func(path string, e fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, v.dir+"/")
		if err == nil && e.Type().IsRegular() && !slices.Contains(keepers, name) {
			all[name] = v.read(name)
		}
		return err
	})
	if len(all) < 60 {
		v.t.Errorf("only %d texts to look through", len(all))
	}
	for what, secret := range v.secrets {
		parts := []string{secret, secret[len(secret)/2:]}
		for name, text := range all {
			if slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) }) {
				v.t.Errorf("%s holds the %s", name, what)
			}
		}
	}
	for name, text := range all {
		if strings.Contains(text, "PRIVATE KEY-----") {
			v.t.Errorf("%s holds a private key", name)
		}
	}
	if !strings.Contains(all["serve"], "level=DEBUG") {
		v.t.Error("the daemon did not log at its most talkative level")
	}
}
