package statistics

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
)

func TestADatabaseThatIsDeletedWhileItIsOpenIsMadeAgain(t *testing.T) {
	for name, remove := range map[string]func(folder string) error{
		"the folder":                       os.RemoveAll,
		"the file":                         func(folder string) error { return os.Remove(filepath.Join(folder, databaseFile)) },
		"the folder, and another is there": func(folder string) error { return errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 68, nil, 20, 30)
			if err := remove(f.o.Folder); err != nil {
				t.Fatal(err)
			}
			f.compareAll(t) // by the file that is open still
			follow(t, f.Database)
			f.compareAll(t)
			if _, err := Open(t.Context(), Options{Folder: f.o.Folder, Metering: f.metering, Log: quiet()}); !errors.Is(err, bucket.ErrLocked) {
				t.Errorf("somebody else opens it, too: %v", err)
			}
			table := must[*Table](t)(Elsewhere(t.Context(), f.o.Folder, "SELECT count(*) FROM sessions", 1))
			if want := fmt.Sprint(f.totals(Scope{All: true}, Filter{}).Sessions); table.Rows[0][0] != want {
				t.Errorf("by the folder there are %s sessions, want %s", table.Rows[0][0], want)
			}
		})
	}
}

func TestAFolderThatSomebodyElseHasTakenIsLeftToThem(t *testing.T) {
	f := newFixture(t, 69, nil, 20)
	folder := f.o.Folder
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	other := openDatabase(t, f.metering, folder)
	follow(t, other)
	want := f.totals(Scope{All: true}, Filter{})
	for range 3 {
		if err := f.Sync(t.Context()); !errors.Is(err, bucket.ErrLocked) && !errors.Is(err, ErrDown) {
			t.Errorf("error %v, want ErrLocked", err)
		}
		if _, err := f.Totals(t.Context(), Scope{All: true}, Filter{}); !errors.Is(err, ErrDown) {
			t.Errorf("error %v, want ErrDown", err)
		}
		if got := must[Totals](t)(other.Totals(t.Context(), Scope{All: true}, Filter{})); got != want {
			t.Errorf("who has taken it finds %+v", got)
		}
		if got := must[*Table](t)(Elsewhere(t.Context(), folder, "SELECT count(*) FROM sessions", 1)).Rows[0][0]; got != fmt.Sprint(want.Sessions) {
			t.Errorf("by the folder there are %s sessions", got)
		}
		later(f.Database, 10*time.Minute) // past every pause between starts
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	later(f.Database, 20*time.Minute)
	follow(t, f.Database)
	f.compareAll(t)
}

// TestADatabaseThatIsOpenStillIsWaitedFor: that of a program that was killed a moment ago is not taken for damaged.
func TestADatabaseThatIsOpenStillIsWaitedFor(t *testing.T) {
	f := newFixture(t, 70, nil, 20)
	loaded := func() string {
		return must[*Table](t)(f.SQL(t.Context(), "SELECT max(loaded) FROM months", 1)).Rows[0][0]
	}
	before := loaded()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := startProcess(t.Context(), settings{Folder: f.o.Folder, Memory: 256 << 20, Temp: 1 << 20, Threads: 1}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan *Database)
	go func() {
		d, err := Open(t.Context(), Options{Folder: f.o.Folder, Metering: f.metering, Log: quiet()})
		if err != nil {
			t.Error(err)
		}
		opened <- d
	}()
	select {
	case <-opened:
		t.Error("it is opened twice")
	case <-time.After(20 * openEach):
	}
	left.close()
	f.Database = <-opened
	t.Cleanup(func() { _ = f.Close() })
	if after := loaded(); after != before {
		t.Errorf("what was loaded %s is loaded again, %s", before, after)
	}
	follow(t, f.Database)
	f.compareAll(t)
}

func TestAFolderThatIsDeletedBeforeAnythingStartedIsMadeAgain(t *testing.T) {
	f := newFixture(t, 71, nil, 20)
	f.mu.Lock()
	f.process.kill()
	f.process = nil // as where the disk was full when it should have started
	f.mu.Unlock()
	if err := os.RemoveAll(f.o.Folder); err != nil {
		t.Fatal(err)
	}
	follow(t, f.Database)
	f.compareAll(t)
}

func TestADatabaseThatIsMadeAgainIsNotWholeUntilAllIsLoaded(t *testing.T) {
	f := newFixture(t, 72, nil, 20)
	if f.Progress().Passed.IsZero() {
		t.Fatal("all was loaded, and it is not told")
	}
	if err := os.RemoveAll(f.o.Folder); err != nil {
		t.Fatal(err)
	}
	f.noticeDeleted()
	later(f.Database, 10*time.Minute)
	if got := must[Totals](t)(f.Totals(t.Context(), Scope{All: true}, Filter{})); got.Sessions != 0 || !f.Progress().Passed.IsZero() {
		t.Errorf("%+v, all loaded %s", got, f.Progress().Passed)
	}
	follow(t, f.Database)
	f.compareAll(t)
}

// TestNobodyWaitsForADatabaseThatIsBeingOpenedLongerThanTheyWant, such as whoever has gone.
func TestNobodyWaitsForADatabaseThatIsBeingOpenedLongerThanTheyWant(t *testing.T) {
	f := newFixture(t, 73, nil, 5)
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.Totals(ctx, Scope{All: true}, Filter{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
