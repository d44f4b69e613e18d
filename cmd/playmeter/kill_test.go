package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// TestKilledDaemonLosesNothing kills the daemon again and again while files
// arrive and reports are made. Left alone afterwards, its reports are those of an
// installation that nobody disturbed.
func TestKilledDaemonLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	kills := 8
	if os.Getenv("PLAYMETER_LONG") != "" {
		kills = 80
	}
	w := newKillWorld(t)
	arrived := make(chan struct{})
	go func() {
		defer close(arrived)
		w.deliver(t.Context(), kills)
	}()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	for n := range kills {
		w.lapse()
		daemon := w.serve(w.disturbed)
		time.Sleep(time.Duration(300+dice.IntN(3200)) * time.Millisecond)
		daemon.Process.Kill()
		daemon.Wait()
		t.Logf("kill %d: %d runs done", n, strings.Count(fmt.Sprint(daemon.Stderr), "run done"))
		w.checkWhole(n)
	}
	w.lapse()
	daemon := w.serve(w.disturbed)
	<-arrived
	time.Sleep(2 * time.Second)
	daemon.Process.Signal(syscall.SIGTERM)
	if err := daemon.Wait(); err != nil {
		t.Errorf("left alone, the daemon ended with %v:\n%s", err, daemon.Stderr)
	}
	w.compare()
}

// killWorld is two installations with the same tenants, and files for both.
type killWorld struct {
	t                  *testing.T
	dir                string
	month              schemas.Period
	tenants            []string
	files              map[string][]byte
	disturbed, quietly string // configurations
}

func newKillWorld(t *testing.T) *killWorld {
	now := time.Now().UTC()
	w := &killWorld{t: t, dir: t.TempDir(), month: schemas.PeriodOf(now.Add(-48 * time.Hour)), files: map[string][]byte{}}
	tenants := ""
	for i, tenant := range sample.Tenants() {
		key := filepath.Join(w.dir, tenant.ID+".key")
		public := strings.TrimSpace(string(w.must("keygen", "-o", key)))
		tenants += fmt.Sprintf("  - id: %s\n    schedule: \"@every %ds\"\n    grants: [{recipient: %s, reports: [usage, sessions]}]\n", tenant.ID, 1+i, public)
		w.tenants = append(w.tenants, tenant.ID)
	}
	for _, c := range []struct {
		name string
		to   *string
	}{{"disturbed", &w.disturbed}, {"quiet", &w.quietly}} {
		*c.to = filepath.Join(w.dir, c.name+".yaml")
		text := fmt.Sprintf("data_dir: %s-data\nlisten: {http: \"127.0.0.1:0\", s3: \"127.0.0.1:0\"}\ntenants:\n%s", c.name, tenants)
		if err := os.WriteFile(*c.to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.makeFiles(now.Truncate(time.Hour))
	return w
}

// makeFiles writes some dozens of usage files.
func (w *killWorld) makeFiles(until time.Time) {
	month := sample.New(w.month, 7, 60_000)
	month.Until = until
	var events []schemas.Event
	flush := func() {
		if len(events) == 0 {
			return
		}
		var b bytes.Buffer
		u := schemas.NewUsageWriter(&b)
		if err := u.Write(events); err != nil {
			w.t.Fatal(err)
		}
		if err := u.Close(); err != nil {
			w.t.Fatal(err)
		}
		w.files[fmt.Sprintf("part=%02d/%03d.parquet", len(w.files)/10, len(w.files))] = b.Bytes()
		events = nil
	}
	for _, batch := range month.Files() {
		if events = append(events, batch...); len(events) > 800 {
			flush()
		}
	}
	flush()
}

// deliver puts the files one by one, as a media node would: again and again
// until the store has answered.
func (w *killWorld) deliver(ctx context.Context, kills int) {
	pause := time.Duration(kills) * 2 * time.Second / time.Duration(len(w.files))
	for key, data := range w.files {
		for ctx.Err() == nil && w.put(ctx, key, data) != nil {
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(pause)
	}
}

func (w *killWorld) put(ctx context.Context, key string, data []byte) error {
	cfg, ok := bucket.Running(filepath.Join(w.dir, "disturbed-data"))
	if !ok {
		return bucket.ErrNotExist
	}
	s, err := bucket.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = s.Bucket("usage").PutBytes(ctx, key, data)
	return err
}

func (w *killWorld) command(args ...string) *exec.Cmd {
	c := exec.Command("playmeter", args...)
	c.Dir = w.dir
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, EnvPrefix) {
			c.Env = append(c.Env, e)
		}
	}
	c.Stderr = new(bytes.Buffer)
	return c
}

// must runs a command that has to go well and gives what it printed.
func (w *killWorld) must(args ...string) []byte {
	w.t.Helper()
	c := w.command(args...)
	out, err := c.Output()
	if err != nil {
		w.t.Fatalf("playmeter %s: %v\n%s%s", strings.Join(args, " "), err, out, c.Stderr)
	}
	return out
}

func (w *killWorld) serve(config string) *exec.Cmd {
	c := w.command("serve", "--config", config)
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// lapse takes away the leases of the killed, as if their minute were over: else
// nothing would run that could be killed.
func (w *killWorld) lapse() {
	if err := os.RemoveAll(filepath.Join(w.dir, "disturbed-data", "objects", "metering", "leases")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *killWorld) fetch(config, tenant string, report schemas.Report) ([]byte, error) {
	c := w.command("fetch", string(report), "--config", config, "--tenant", tenant, "--month", w.month.String(), "-i", filepath.Join(w.dir, tenant+".key"))
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, c.Stderr)
	}
	return out, err
}

// checkWhole wants what readers see after a kill to be whole, or not there yet.
func (w *killWorld) checkWhole(kill int) {
	w.t.Helper()
	for _, report := range schemas.Reports {
		if _, err := w.fetch(w.disturbed, w.tenants[kill%len(w.tenants)], report); err != nil && !strings.Contains(err.Error(), "there are no reports") {
			w.t.Errorf("after kill %d: %v", kill, err)
		}
	}
}

// compare wants the reports of one as-of to be the same, byte by byte.
func (w *killWorld) compare() {
	w.t.Helper()
	in := filepath.Join(w.dir, "files")
	for key, data := range w.files {
		name := filepath.Join(in, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	w.must("import", "--config", w.quietly, in)
	asOf := time.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	for _, config := range []string{w.disturbed, w.quietly} {
		w.must("run", "--config", config, "--month", w.month.String(), "--as-of", asOf)
	}
	for _, tenant := range w.tenants {
		for _, report := range schemas.Reports {
			got, err := w.fetch(w.disturbed, tenant, report)
			if err != nil {
				w.t.Error(err)
			}
			want, err := w.fetch(w.quietly, tenant, report)
			if err != nil {
				w.t.Error(err)
			}
			if !bytes.Equal(got, want) || bytes.Count(want, []byte("\n")) < 3 {
				w.t.Errorf("%s of %s differ: %d bytes, %d without a disturbance", report, tenant, len(got), len(want))
			}
		}
	}
}
