package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/playmeter/playmeter/bucket"
)

// The commands that stories have besides testscript's own.

// code N COMMAND ARGS... runs a command that must end with exit code N.
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%q ended with %d, want %d", args[1:], got, want)
	}
}

// tenants FILE DATADIR [ID=KEYFILE]... writes a configuration. A tenant without a key has no recipient.
func cmdTenants(ts *testscript.TestScript, _ bool, args []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "data_dir: %s\nreports: {schedule: \"@every 1s\"}\ntenants:\n", args[1])
	for _, arg := range args[2:] {
		id, file, _ := strings.Cut(arg, "=")
		fmt.Fprintf(&b, "  - id: %s\n    name: The %[1]s Company\n", id)
		if file == "" {
			continue
		}
		_, key, ok := strings.Cut(ts.ReadFile(file), "public key: ")
		if !ok {
			ts.Fatalf("%s holds no public key", file)
		}
		key, _, _ = strings.Cut(key, "\n")
		fmt.Fprintf(&b, "    grants: [{recipient: %s, reports: [usage, sessions]}]\n", key)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// ready DATADIR waits until a daemon serves it.
func cmdReady(ts *testscript.TestScript, neg bool, args []string) {
	for range 200 {
		_, ok := bucket.Running(ts.MkAbs(args[0]))
		if !neg && ok { // the log of posted events is opened last
			_, err := os.Stat(filepath.Join(ts.MkAbs(args[0]), "intake", "address"))
			ok = err == nil
		}
		if ok != neg {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s is served: %v", args[0], neg)
}

// addsup USAGE SESSIONS checks that the tenancy's row is the sum of the objects
// and that the sessions come to the same.
func cmdAddsUp(ts *testscript.TestScript, _ bool, args []string) {
	usage, sessions := readCSV(ts, args[0]), readCSV(ts, args[1])
	if len(usage) < 3 || len(sessions) < 2 || usage[0]["row"] != "tenancy" {
		ts.Fatalf("%d rows of usage, %d of sessions", len(usage), len(sessions))
	}
	for _, column := range []string{"usage.playout.bytes", "usage.playout.occurrences", "usage.playout.views", "usage.error.occurrences",
		"storage", "usage.playout.video_hi_drm_sec", "usage.playout.video_md_clear_sec", "usage.playout.audio_clear_sec"} {
		if got, want := sum(ts, usage[1:], column), sum(ts, usage[:1], column); got.Cmp(want) != 0 {
			ts.Fatalf("%s: the objects come to %s, the first row says %s", column, got, want)
		}
	}
	for _, pair := range [][2]string{{"bytes", "usage.playout.bytes"}, {"requests", "usage.playout.occurrences"}} {
		if got, want := sum(ts, sessions, pair[0]), sum(ts, usage[:1], pair[1]); got.Cmp(want) != 0 || got.Sign() == 0 {
			ts.Fatalf("%s: the sessions come to %s, the usage report says %s", pair[0], got, want)
		}
	}
}

func readCSV(ts *testscript.TestScript, file string) []map[string]string {
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(file))).ReadAll()
	ts.Check(err)
	var all []map[string]string
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		all = append(all, m)
	}
	return all
}

func sum(ts *testscript.TestScript, rows []map[string]string, column string) *big.Rat {
	total := new(big.Rat)
	for _, row := range rows {
		n, ok := new(big.Rat).SetString(row[column])
		if !ok {
			ts.Fatalf("%s is %q", column, row[column])
		}
		total.Add(total, n)
	}
	return total
}

// nosecret DATADIR FILE... checks that no file holds the store's secret key or an
// identity of the story.
func cmdNoSecret(ts *testscript.TestScript, _ bool, args []string) {
	_, secret, ok := strings.Cut(ts.ReadFile(filepath.Join(args[0], "credentials")), `"secret_key": "`)
	secret, _, _ = strings.Cut(secret, `"`)
	if !ok || len(secret) < 16 {
		ts.Fatalf("no secret key found to look for")
	}
	for _, file := range args[1:] {
		text := ts.ReadFile(file)
		if strings.Contains(text, secret) || strings.Contains(text, "AGE-SECRET-KEY-") || strings.Contains(text, "PRIVATE KEY-----") {
			ts.Fatalf("%s holds a secret:\n%s", file, text)
		}
	}
}

// damage FILE cuts a file in half.
func cmdDamage(ts *testscript.TestScript, _ bool, args []string) {
	data := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data)[:len(data)/2], 0o600))
}

// mode OCTAL FILE... checks permissions.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args[1:] {
		info, err := os.Stat(ts.MkAbs(file))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", file, got, args[0])
		}
	}
}

// s3 DATADIR TOOL... runs a program with the environment that playmeter env prints.
func cmdS3(ts *testscript.TestScript, neg bool, args []string) {
	cfg, ok := bucket.Running(ts.MkAbs(args[0]))
	if !ok {
		ts.Fatalf("%s is not served", args[0])
	}
	ts.Setenv("AWS_ACCESS_KEY_ID", cfg.AccessKey)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", cfg.SecretKey)
	var words []string
	for _, a := range args[1:] {
		words = append(words, strings.ReplaceAll(a, "@HOST@", strings.TrimPrefix(cfg.Endpoint, "http://")))
	}
	if err := ts.Exec(words[0], words[1:]...); (err != nil) != neg {
		ts.Fatalf("%q: %v", words, err)
	}
}

// terminate sends SIGTERM to what runs in the background, and hangup SIGHUP.
func cmdTerminate(ts *testscript.TestScript, _ bool, _ []string) { signalAll(ts, syscall.SIGTERM) }
func cmdHangup(ts *testscript.TestScript, _ bool, _ []string)    { signalAll(ts, syscall.SIGHUP) }

func signalAll(ts *testscript.TestScript, s os.Signal) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(s))
	}
}
