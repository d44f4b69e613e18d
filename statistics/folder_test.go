package statistics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

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
	if err := f.Sync(t.Context()); !errors.Is(err, bucket.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	if got := must[Totals](t)(other.Totals(t.Context(), Scope{All: true}, Filter{})); got != f.totals(Scope{All: true}, Filter{}) {
		t.Errorf("%+v", got)
	}
}
