package statistics

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/playmeter/playmeter/bucket"
)

var testStore *bucket.Store

func TestMain(m *testing.M) {
	Main() // this program is also the engine that its tests start
	os.Exit(withStore(m))
}

func withStore(m *testing.M) int {
	dir, err := os.MkdirTemp("", "playmeter-statistics-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	store, closer, err := bucket.Open(context.Background(), bucket.EmbeddedConfig{Dir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer closer.Close()
	testStore = store
	return m.Run()
}

// newBucket makes a metering bucket for one test.
func newBucket(t testing.TB) *bucket.Bucket {
	t.Helper()
	b := testStore.Bucket(fmt.Sprintf("metering-%d", nextBucket()))
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// openDatabase opens statistics that follow a bucket, in a folder.
func openDatabase(t testing.TB, metering *bucket.Bucket, folder string) *Database {
	t.Helper()
	d, err := Open(t.Context(), Options{Folder: folder, Metering: metering, Memory: 512 << 20, Log: slog.New(slog.NewTextHandler(testLog{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// follow loads what was committed.
func follow(t testing.TB, d *Database) {
	t.Helper()
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
