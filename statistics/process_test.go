package statistics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func pidOf(d *Database) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.process.command.Process.Pid
}

func endedOf(d *Database) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.process.ended
}

// hungry is a question that holds more than small statistics may take.
const hungry = "SELECT count(*) FROM (SELECT DISTINCT list_sort(range(i, i + 200)) FROM range(1000000) t(i))"

// endless is a question that takes hours.
const endless = "SELECT count(*) FROM range(10000000) a(i), range(10000000) b(j) WHERE i * j % 7 = 3"

func TestAQuestionThatNeedsMoreMemoryThanThereIsLeavesTheOthersAlone(t *testing.T) {
	f := newFixture(t, 80, nil, 50)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), Options{Folder: f.o.Folder, Metering: f.metering, Memory: 128 << 20, Temp: 1 << 20, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	f.Database = d
	for range 2 {
		if _, err := d.SQL(t.Context(), hungry, 1); !errors.Is(err, ErrTooMuch) {
			t.Errorf("error %v, want ErrTooMuch", err)
		}
		f.compareAll(t)
	}
}

func TestAQuestionThatSpillsIsAnsweredAndLeavesNothing(t *testing.T) {
	d, err := Open(t.Context(), Options{Folder: t.TempDir(), Metering: newBucket(t), Memory: 128 << 20, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	table := must[*Table](t)(d.SQL(t.Context(), "SELECT i FROM (SELECT i, repeat(hash(i)::VARCHAR, 10) AS s FROM range(1500000) t(i) ORDER BY s) WHERE i = 7", 1))
	if table.Rows[0][0] != "7" {
		t.Errorf("answer %q", table.Rows)
	}
	if left, err := os.ReadDir(filepath.Join(d.o.Folder, spilled)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestADatabaseThatCrashesIsStartedAgain(t *testing.T) {
	f := newFixture(t, 81, nil, 20)
	for i, signal := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGKILL, syscall.SIGABRT} {
		ended := endedOf(f.Database)
		asked := make(chan error, 1)
		go func() {
			_, err := f.SQL(t.Context(), endless, 1)
			asked <- err
		}()
		must[*Table](t)(f.SQL(t.Context(), "SELECT 1", 1)) // it is there, and has heard the other one or will
		if err := syscall.Kill(pidOf(f.Database), signal); err != nil {
			t.Fatal(err)
		}
		if err := <-asked; !errors.Is(err, ErrDown) {
			t.Errorf("%v: error %v, want ErrDown", signal, err)
		}
		<-ended
		later(f.Database, time.Duration(i+1)*time.Hour) // past the pause between starts
		f.compareAll(t)
	}
}

func TestADatabaseThatEndsOverAndOverIsNotStartedAllTheTime(t *testing.T) {
	f := newFixture(t, 82, nil, 2)
	now := time.Now()
	f.o.Now = func() time.Time { return now }
	kill := func() {
		ended := endedOf(f.Database)
		if err := syscall.Kill(pidOf(f.Database), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-ended
	}
	kill()
	first := pidOf(f.Database)
	if _, err := f.Totals(t.Context(), Scope{All: true}, Filter{}); err != nil || pidOf(f.Database) == first {
		t.Errorf("after it ended once: %v", err)
	}
	kill()
	if _, err := f.Totals(t.Context(), Scope{All: true}, Filter{}); !errors.Is(err, ErrDown) {
		t.Errorf("at once after it ended again: %v, want ErrDown", err)
	}
	now = now.Add(time.Second)
	if _, err := f.Totals(t.Context(), Scope{All: true}, Filter{}); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestAQuestionNobodyWaitsForIsGivenUp(t *testing.T) {
	f := newFixture(t, 83, nil, 2)
	for range 2 * atOnce { // more than would ever be answered, if they went on
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := f.read(ctx, statement{SQL: endless}, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		cancel()
	}
	f.compareAll(t)
	if left := len(f.slots); left != 0 {
		t.Errorf("%d places are taken", left)
	}
	if err := f.Close(); err != nil { // it waits for what is being answered, and not for long
		t.Error(err)
	}
	if state := f.process.command.ProcessState; !state.Success() {
		t.Errorf("the process ended with %s: a question was still being answered", state)
	}
}

func TestAQuestionWaitsForItsTurnAndThenIsToldThatOthersAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Database{slots: make(chan struct{}, atOnce)}
		for range atOnce {
			d.slots <- struct{}{}
		}
		began := time.Now()
		if _, err := d.inTurn(t.Context(), d.slots, nil, &question{}); !errors.Is(err, ErrBusy) || time.Since(began) != patience {
			t.Errorf("error %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.inTurn(ctx, d.slots, nil, &question{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestManyAskAtOnce(t *testing.T) {
	f := newFixture(t, 84, nil, 100)
	want := f.totals(Scope{All: true}, Filter{})
	errs := make(chan error)
	for i := range 10 {
		go func() {
			var err error
			for range 10 {
				got, aerr := f.Totals(t.Context(), Scope{All: true}, Filter{})
				if aerr == nil && got != want {
					aerr = fmt.Errorf("%d: %+v, want %+v", i, got, want)
				}
				err = errors.Join(err, aerr)
			}
			errs <- err
		}()
	}
	for range 10 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestAStrangerIsNotAnswered(t *testing.T) {
	f := newFixture(t, 85, nil, 1)
	at, err := readAddress(f.o.Folder)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(at.URL, "http://127.0.0.1:") || len(at.Secret) < 40 {
		t.Errorf("it answers at %q, with a secret of %d characters", at.URL, len(at.Secret))
	}
	for _, bearer := range []string{"", "Bearer ", "Bearer x", "Bearer " + at.Secret + "x", "Bearer " + at.Secret[:len(at.Secret)-1], at.Secret} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.URL, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", bearer)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q is answered with %s", bearer, res.Status)
		}
	}
}

func TestTheProcessKnowsNoSecretsOfOurs(t *testing.T) {
	t.Setenv("PLAYMETER_TEST_SECRET", "hush")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hush")
	d := openDatabase(t, newBucket(t), t.TempDir())
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pidOf(d)))
	if err != nil {
		t.Skip("no /proc")
	}
	var names []string
	for _, e := range strings.Split(strings.TrimRight(string(env), "\x00"), "\x00") {
		name, _, _ := strings.Cut(e, "=")
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != engineMark+" PATH GOMEMLIMIT TZ" {
		t.Errorf("its environment has %s", got)
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pidOf(d)))
	if err != nil || string(args) != "playmeter-statistics\x00" {
		t.Errorf("its arguments are %q, %v", args, err)
	}
}

// TestTheProcessEndsWithWhoeverStartedIt starts a parent, which starts the statistics, and kills it.
func TestTheProcessEndsWithWhoeverStartedIt(t *testing.T) {
	if folder := os.Getenv("STATISTICS_PARENT"); folder != "" {
		d := openDatabase(t, nil, folder)
		fmt.Fprintf(os.Stderr, "engine %d\n", pidOf(d))
		select {} // until it is killed
	}
	folder := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestTheProcessEndsWithWhoeverStartedIt$")
	parent.Env = append(os.Environ(), "STATISTICS_PARENT="+folder)
	out, err := parent.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "engine %d\n", &pid); err != nil {
		t.Fatal(err, parent.Process.Kill(), parent.Wait())
	}
	if _, err := Open(t.Context(), Options{Folder: folder, Log: quiet()}); err == nil {
		t.Error("two have it open")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for running(pid) { // or the test's own time runs out
		time.Sleep(10 * time.Millisecond)
	}
	_ = openDatabase(t, nil, folder)
}

func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestADatabaseThatHangsIsEndedAndStartedAgain, so that pages come back without anybody's doing.
func TestADatabaseThatHangsIsEndedAndStartedAgain(t *testing.T) {
	f := newFixture(t, 90, nil, 20)
	hung := f.process
	if err := hung.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for stopped := false; !stopped; { // the signal takes its time
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", hung.command.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		stopped = strings.Contains(string(stat), ") T ")
	}
	_, err := f.askFor(t.Context(), 200*time.Millisecond, hung, &question{Statements: []statement{{SQL: "SELECT 1"}}, Limit: 1})
	if !errors.Is(err, ErrDown) {
		t.Fatalf("error %v, want %v", err, ErrDown)
	}
	if hung.running() {
		t.Error("it still runs")
	}
	for range 100 { // a moment after its last start
		if _, err = f.Totals(t.Context(), Scope{All: true}, Filter{}); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("error %v", err)
}

// TestAPatternOfManyStarsIsAnsweredAtOnce: it takes time in proportion to the texts.
func TestAPatternOfManyStarsIsAnsweredAtOnce(t *testing.T) {
	w := newWorld(3)
	days := w.days(50)
	for i := range days[0] {
		days[0][i].Object = []byte(strings.Repeat("a", 1000))
		days[0][i].Title = []byte(strings.Repeat("a", 2000))
	}
	b := newBucket(t)
	c := &commits{t: t, bucket: b, tenant: "films", period: october}
	c.commit(days, 1000)
	d := openDatabase(t, b, t.TempDir())
	follow(t, d)
	v := View{Tab: TabPlayback, Filter: Filter{Stream: strings.Repeat("*a", 400) + "b"}}
	if p, err := d.Sessions(t.Context(), Of("films"), v); err != nil || len(p.Rows) != 0 {
		t.Errorf("%v, error %v", p, err)
	}
	v.Filter.Stream = strings.Repeat("*a", 400)
	if p, err := d.Sessions(t.Context(), Of("films"), v); err != nil || len(p.Rows) != 50 {
		t.Errorf("%v, error %v", p, err)
	}
}
