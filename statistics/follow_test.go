package statistics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// relearn makes the oracle know what a tenant's sessions are now.
func (f *fixture) relearn(tenant schemas.Tenant, days map[int][]schemas.Session) {
	f.all = slices.DeleteFunc(f.all, func(k known) bool { return k.tenant == tenant })
	f.days[tenant] = days
	f.learn(tenant, f.period, days)
}

// compareAll compares everything with the oracle.
func (f *fixture) compareAll(t *testing.T) {
	t.Helper()
	for _, tab := range Tabs {
		f.compare(t, Scope{All: true}, View{Tab: tab, Limit: MaxLimit})
	}
	if got, want := must[Totals](t)(f.Totals(t.Context(), Scope{All: true}, Filter{})), f.totals(Scope{All: true}, Filter{}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	if got, want := must[*Dashboard](t)(f.Dashboard(t.Context(), Scope{All: true}, f.period)).Totals, f.totals(Scope{All: true}, Filter{}); got != want {
		t.Errorf("the dashboard's totals are %+v, want %+v", got, want)
	}
}

// tables are how many rows the tables have.
func (f *fixture) tables(t *testing.T) string {
	t.Helper()
	var out []string
	for _, table := range append([]string{"days", "months"}, dayTables...) {
		a := must[*Table](t)(f.SQL(t.Context(), "SELECT count(*) FROM "+table, 1))
		out = append(out, table+" "+a.Rows[0][0])
	}
	return strings.Join(out, ", ")
}

func TestADayThatChangesIsReplacedAndNoOther(t *testing.T) {
	f := newFixture(t, 60, nil, 20, 30, 10)
	loaded := must[*Table](t)(f.SQL(t.Context(), "SELECT day, digest FROM days WHERE tenant = 'films' ORDER BY day", 100)).Rows
	days := map[int][]schemas.Session{0: f.days["films"][0], 1: f.world.days(0, 25)[1], 2: f.days["films"][2], 4: f.world.days(0, 0, 0, 0, 5)[4]}
	c := f.commits["films"]
	old := c.commit(f.days["films"], 11) // the same again, under the names of the next run
	commit := c.begin()
	for _, o := range old.Sessions {
		if o.Day != "2026-10-02" {
			commit.Sessions = append(commit.Sessions, o)
			commit.SessionRows += o.Rows
		}
	}
	c.add(commit, 1, days[1], 11)
	c.add(commit, 4, days[4], 11)
	follow(t, f.Database)
	f.compareAll(t)
	before := must[*Table](t)(f.SQL(t.Context(), "SELECT day, digest FROM days WHERE tenant = 'films' ORDER BY day", 100)).Rows
	c.end(commit)
	follow(t, f.Database)
	f.relearn("films", days)
	f.compareAll(t)
	after := must[*Table](t)(f.SQL(t.Context(), "SELECT day, digest FROM days WHERE tenant = 'films' ORDER BY day", 100)).Rows
	if len(loaded) != 3 || len(after) != 4 || !slices.Equal(before[0], after[0]) || slices.Equal(before[1], after[1]) || !slices.Equal(before[2], after[2]) {
		t.Errorf("days before\n%q\nand after\n%q", before, after)
	}
}

func TestADayThatVanishesIsRemoved(t *testing.T) {
	f := newFixture(t, 61, nil, 20, 30, 10)
	days := map[int][]schemas.Session{0: f.days["films"][0], 2: f.days["films"][2]}
	f.commits["films"].commit(days, 50)
	follow(t, f.Database)
	f.relearn("films", days)
	f.compareAll(t)
	f.commits["films"].commit(nil, 50)
	follow(t, f.Database)
	f.relearn("films", nil)
	f.compareAll(t)
	if got := must[*Table](t)(f.SQL(t.Context(), "SELECT count(*) FROM (SELECT tenant FROM days UNION ALL SELECT tenant FROM moves UNION ALL SELECT tenant FROM day_places) WHERE tenant = 'films'", 1)); got.Rows[0][0] != "0" {
		t.Errorf("%s rows are left of a month without sessions", got.Rows[0][0])
	}
}

func TestNothingIsDoneWhereNothingChanged(t *testing.T) {
	f := newFixture(t, 62, nil, 20, 30)
	before := must[*Table](t)(f.SQL(t.Context(), "SELECT min(s.rowid), max(s.rowid), max(loaded) FROM sessions s, months", 1)).Rows
	for range 3 {
		follow(t, f.Database)
	}
	if after := must[*Table](t)(f.SQL(t.Context(), "SELECT min(s.rowid), max(s.rowid), max(loaded) FROM sessions s, months", 1)).Rows; !slices.Equal(before[0], after[0]) {
		t.Errorf("%q became %q", before, after)
	}
	if p := f.Progress(); p.Loading || p.Rows != 0 || p.Passed.IsZero() || p.Difficulty != "" {
		t.Errorf("progress %+v", p)
	}
}

// later lets the clock of statistics run ahead.
func later(d *Database, by time.Duration) {
	d.o.Now = func() time.Time { return time.Now().Add(by) }
}

func TestSessionsThatWereRemovedAsOldVanishAtTheNextCheck(t *testing.T) {
	f := newFixture(t, 63, nil, 20, 30)
	commit := f.commits["films"].commit(f.days["films"], 100)
	follow(t, f.Database)
	if err := f.metering.Delete(t.Context(), commit.Sessions[0].Name); err != nil {
		t.Fatal(err)
	}
	later(f.Database, 2*recheckEach)
	follow(t, f.Database)
	f.relearn("films", map[int][]schemas.Session{1: f.days["films"][1]})
	f.compareAll(t)
	for _, s := range must[[]MonthState](t)(f.State(t.Context(), Of("films"))) {
		if s.Rows != 30 || s.Named != 50 {
			t.Errorf("%+v: 30 of 50 sessions are there", s)
		}
	}
}

func TestObjectsWithOtherSessionsThanTheCommitSaysAreRefusedEachTime(t *testing.T) {
	f := newFixture(t, 64, nil, 20, 30)
	c := f.commits["films"]
	commit := c.begin()
	c.add(commit, 0, f.world.days(5)[0], 10)
	c.add(commit, 1, f.days["films"][1], 10) // the other days are loaded all the same
	commit.Sessions[0].Rows++
	c.end(commit)
	for i := range 4 {
		err := f.Sync(t.Context())
		if i == 2 { // the second time it is put off
			if !errors.Is(err, errLater) {
				t.Errorf("error %v, want %v", err, errLater)
			}
			later(f.Database, 2*recheckEach)
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "films 2026-10: load the sessions of 2026-10-01: ") || !strings.Contains(err.Error(), "the commit names 6 sessions") {
			t.Errorf("error %v", err)
		}
		if p := f.Progress(); p.Difficulty == "" || p.Loading {
			t.Errorf("progress %+v", p)
		}
		if got := must[[]MonthState](t)(f.State(t.Context(), Of("films")))[0].Run; got != "2026-11-01T00-00-01Z" {
			t.Errorf("run %s counts as loaded", got)
		}
		f.compareAll(t)
	}
	days := f.world.days(7)
	c.commit(days, 10)
	follow(t, f.Database)
	f.relearn("films", days)
	f.compareAll(t)
}

func TestWhatIsWrongWithOneMonthIsSaidAndTheOthersAreLoaded(t *testing.T) {
	edit := func(change func(*schemas.Commit)) func(*testing.T, *fixture) {
		return func(t *testing.T, f *fixture) {
			c := f.commits["films"]
			commit := c.begin()
			c.add(commit, 0, f.world.days(5)[0], 10)
			change(commit)
			c.end(commit)
		}
	}
	for name, tt := range map[string]struct {
		do   func(*testing.T, *fixture)
		want string
	}{
		"a commit of another schema": {edit(func(c *schemas.Commit) { c.Schema = "playmeter.commit/2" }), "it is no commit of that month that this version of playmeter knows"},
		"a commit of another tenant": {edit(func(c *schemas.Commit) { c.Tenant = "sports" }), "it is no commit of that month"},
		"a day of another month":     {edit(func(c *schemas.Commit) { c.Sessions[0].Day = "2026-11-01" }), `names sessions of the day "2026-11-01"`},
		"a day that is none":         {edit(func(c *schemas.Commit) { c.Sessions[0].Day = "first" }), `names sessions of the day "first"`},
		"rules that are none":        {edit(func(c *schemas.Commit) { c.Rules = json.RawMessage(`"x"`) }), "the rules of run"},
		"an object that is no Parquet": {func(t *testing.T, f *fixture) {
			c := f.commits["films"]
			commit := c.begin()
			c.add(commit, 0, f.world.days(5)[0], 10)
			if _, err := f.metering.PutBytes(t.Context(), commit.Sessions[0].Name, []byte("PAR1 no, it is not PAR1")); err != nil {
				t.Fatal(err)
			}
			c.end(commit)
		}, "load the sessions of 2026-10-01"},
		"a commit that is no JSON": {func(t *testing.T, f *fixture) {
			if _, err := f.metering.PutBytes(t.Context(), schemas.CommitName("films", f.period, 2), []byte("{")); err != nil {
				t.Fatal(err)
			}
		}, "read commits/films/2026-10/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 65, nil, 10)
			tt.do(t, f)
			sports := f.world.days(3, 4)
			f.commits["sports"].commit(sports, 10)
			f.relearn("sports", sports)
			if err := f.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			f.compareAll(t)
			if left := arrived(t, f.Database); len(left) > 0 {
				t.Errorf("files are left: %q", left)
			}
		})
	}
}

// arrived are the files in the folder of those to be loaded.
func arrived(t testing.TB, d *Database) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.o.Folder, arriving))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestADatabaseThatIsGoneOrDamagedIsMadeAgain(t *testing.T) {
	path := func(folder string) string { return filepath.Join(folder, databaseFile) }
	for name, damage := range map[string]func(t *testing.T, folder string) error{
		"nothing happened":   func(*testing.T, string) error { return nil },
		"the folder is gone": func(_ *testing.T, folder string) error { return os.RemoveAll(folder) },
		"the file is gone":   func(_ *testing.T, folder string) error { return os.Remove(path(folder)) },
		"the file is garbage": func(_ *testing.T, folder string) error {
			return os.WriteFile(path(folder), []byte(strings.Repeat("garbage", 1000)), 0o600)
		},
		"the file is empty": func(_ *testing.T, folder string) error { return os.Truncate(path(folder), 0) },
		"the file is cut":   func(_ *testing.T, folder string) error { return os.Truncate(path(folder), 12288) },
		"its middle is garbage": func(_ *testing.T, folder string) error {
			data, err := os.ReadFile(path(folder))
			for i := 4096; i < len(data); i += 97 {
				data[i] ^= 0x55
			}
			return errors.Join(err, os.WriteFile(path(folder), data, 0o600))
		},
		"its log is garbage": func(_ *testing.T, folder string) error {
			return os.WriteFile(path(folder)+".wal", []byte(strings.Repeat("garbage", 1000)), 0o600)
		},
		"it is of another version": func(t *testing.T, folder string) error { return alter(t, folder, "UPDATE about SET version = 99") },
		"it is another database":   func(t *testing.T, folder string) error { return alter(t, folder, "DROP TABLE about") },
		"files are left of a load that was killed": func(_ *testing.T, folder string) error {
			return os.WriteFile(filepath.Join(folder, arriving, "000000.parquet"), []byte("PAR1"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && strings.HasPrefix(name, "the ") {
				t.Skip("it takes long")
			}
			f := newFixture(t, 66, nil, 15, 10)
			tables := f.tables(t)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damage(t, f.o.Folder); err != nil {
				t.Fatal(err)
			}
			f.Database = openDatabase(t, f.metering, f.o.Folder)
			follow(t, f.Database)
			f.compareAll(t)
			if got := f.tables(t); got != tables {
				t.Errorf("tables %s, want %s", got, tables)
			}
			if left := arrived(t, f.Database); len(left) > 0 {
				t.Errorf("files are left: %q", left)
			}
		})
	}
}

// alter changes a database that is closed.
func alter(t *testing.T, folder, text string) error {
	t.Helper()
	p, err := startProcess(t.Context(), settings{Folder: folder, Memory: 256 << 20, Temp: 1 << 20, Threads: 1}, quiet())
	if err != nil {
		return err
	}
	defer p.close()
	_, err = p.ask(t.Context(), &question{Mode: modeWrite, Statements: []statement{{SQL: text}}})
	return err
}

func TestNobodyElseMayReadTheFolder(t *testing.T) {
	f := newFixture(t, 67, nil, 30)
	seen := 0
	err := filepath.WalkDir(f.o.Folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		seen++
		return err
	})
	if err != nil || seen < 5 {
		t.Errorf("%d files, %v", seen, err)
	}
}

// TestAKilledDatabaseNeverShowsHalfADay kills the process at random moments of a load; whatever is asked meanwhile is of
// whole days, and in the end everything is there.
func TestAKilledDatabaseNeverShowsHalfADay(t *testing.T) {
	f := newFixture(t, 68, nil, 50, 50)
	random := rand.New(rand.NewPCG(1, 1))
	kills := 10
	if testing.Short() {
		kills = 2
	}
	ahead := time.Duration(0)
	for i := range kills {
		days := f.world.days(60, 50, 40, 30, 20)
		whole := map[string]bool{"": true} // every day as it was, or as it becomes, by its sums
		for _, version := range []map[int][]schemas.Session{f.days["films"], days} {
			o := oracle{tiers: f.tiers}
			o.learn("films", f.period, version)
			for day := range 5 {
				date := f.period.Start().AddDate(0, 0, day).Format(time.DateOnly)
				whole[o.totals(Of("films"), Filter{From: date, To: date}).line()] = true
			}
		}
		f.commits["films"].commit(days, 25)
		pid, ended := pidOf(f.Database), endedOf(f.Database)
		loaded := make(chan error, 1)
		go func() { loaded <- f.Sync(t.Context()) }()
		for range random.IntN(12) {
			f.wholeDays(t, whole)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-ended // which takes a moment, in which nothing answers
		first := <-loaded
		for tries := 0; first != nil || tries == 0; tries++ {
			ahead += 2 * time.Minute // past every pause between starts
			later(f.Database, ahead)
			if first = f.Sync(t.Context()); first != nil && tries > 5 {
				t.Fatalf("kill %d: %v", i, first)
			}
		}
		f.wholeDays(t, whole)
		f.relearn("films", days)
		if got, want := must[Totals](t)(f.Totals(t.Context(), Of("films"), Filter{})), f.totals(Of("films"), Filter{}); got != want {
			t.Fatalf("kill %d: totals %+v, want %+v", i, got, want)
		}
		if left := arrived(t, f.Database); len(left) > 0 {
			t.Errorf("files are left: %q", left)
		}
	}
	f.compareAll(t)
}

// wholeDays checks that what is there of each day is one of its versions.
func (f *fixture) wholeDays(t *testing.T, whole map[string]bool) {
	t.Helper()
	const question = `SELECT s.*, d.* FROM (SELECT day, count(*)::VARCHAR || '|' || count(*) FILTER (begun AND view_us > 0) || '|' || sum(bytes) || '|' || sum(view_us) AS a FROM sessions WHERE tenant = 'films' GROUP BY day) s
		FULL JOIN (SELECT day, sum(sessions) || '|' || sum(views) || '|' || sum(bytes) || '|' || sum(view_us) AS b FROM day_devices WHERE tenant = 'films' GROUP BY day) d USING (day)`
	table, err := f.SQL(t.Context(), question, 100)
	if errors.Is(err, ErrDown) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		if !whole[row[1]] || row[1] != row[len(row)-1] {
			t.Errorf("a day with %q", row)
		}
	}
}

func TestTheSameFolderIsOpenOnce(t *testing.T) {
	f := newFixture(t, 69, nil, 1)
	if _, err := Open(t.Context(), Options{Folder: f.o.Folder, Metering: f.metering, Log: quiet()}); !errors.Is(err, bucket.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Totals(t.Context(), Scope{All: true}, Filter{}); !errors.Is(err, ErrDown) {
		t.Errorf("closed statistics answer %v", err)
	}
	if err := f.Sync(t.Context()); !errors.Is(err, ErrDown) {
		t.Errorf("closed statistics load: %v", err)
	}
	_ = openDatabase(t, f.metering, f.o.Folder)
}

func TestLookNeverBlocksAndRunLoadsWhatWasCommitted(t *testing.T) {
	f := newFixture(t, 70, nil, 3)
	for range 5 {
		f.Look()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	days := f.world.days(4, 9)
	f.commits["films"].commit(days, 10)
	f.Look()
	for want := int64(13); ; {
		if must[Totals](t)(f.Totals(ctx, Of("films"), Filter{})).Sessions == want {
			break
		}
		f.Look()
	}
	cancel()
	<-done
}

// TestADayOfVeryLongTextsIsLoaded: they are cut, and what is read at once is bounded, however long they are.
func TestADayOfVeryLongTextsIsLoaded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a hundred megabytes")
	}
	w := newWorld(9)
	days := w.days(600)
	for i := range days[0] {
		days[0][i].Fields[schemas.FieldUserAgent] = []byte(strings.Repeat(fmt.Sprintf("agent %d ", i), 20_000))
	}
	b := newBucket(t)
	c := &commits{t: t, bucket: b, tenant: "films", period: october}
	c.commit(days, 1000)
	d, err := Open(t.Context(), Options{Folder: t.TempDir(), Metering: b, Memory: 512 << 20, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	follow(t, d)
	p := must[*Page](t)(d.Sessions(t.Context(), Of("films"), View{Tab: TabPlayback, Limit: MaxLimit}))
	for _, r := range p.Rows {
		if len(r.Agent) != 1024 {
			t.Fatalf("a user agent of %d bytes is shown", len(r.Agent))
		}
	}
	if totals := must[Totals](t)(d.Totals(t.Context(), Of("films"), Filter{})); totals.Sessions != 600 {
		t.Errorf("%d sessions are there, want 600", totals.Sessions)
	}
}

// TestDaysThatArriveOneAfterTheOtherAreNotTakenForOneAnother: their files come and go under the same names within moments, and
// are of one size, nearly.
func TestDaysThatArriveOneAfterTheOtherAreNotTakenForOneAnother(t *testing.T) {
	metering := newBucket(t)
	c := &crowd{Rand: rand.New(rand.NewPCG(3, 4)), sessions: 300_000}
	c.month(t, &commits{t: t, bucket: metering, tenant: "iten0", period: october}, 0)
	d := openDatabase(t, metering, t.TempDir())
	follow(t, d)
	if got := must[Totals](t)(d.Totals(t.Context(), Of("iten0"), Filter{})).Sessions; got != int64(c.sessions/93*31) {
		t.Errorf("%d sessions", got)
	}
}
