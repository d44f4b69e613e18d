package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/intake/logs"
	"github.com/playmeter/playmeter/schemas"
)

// testStore is an embedded store; one gateway a process is the most there can be.
func testStore(t *testing.T) *bucket.Store {
	t.Helper()
	store, closer, err := bucket.Open(t.Context(), bucket.EmbeddedConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closer.Close() })
	for _, name := range []string{"usage", "metering", "drops"} {
		if err := store.Bucket(name).Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// cdnLog is a log of n segments of a session.
func cdnLog(session string, n int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i := range n {
		fmt.Fprintf(z, `{"time":"2026-10-14T09:%02d:%02d+00:00","server":"edge-1","remote_addr":"192.0.2.1","method":"GET","uri":"/film/720p/seg-%d.ts?CMCD=bl%%3D100%%2Cd%%3D2002%%2Cot%%3Dav%%2Csid%%3D%%22%s%%22","status":"200","bytes":"1000","request_id":"%s-%d"}`+"\n", i/60, i%60, i, session, session, i)
	}
	z.Close()
	return b.Bytes()
}

func cdnFormat(t *testing.T) logs.Format {
	f, ok := logs.Preset("nginx")
	if !ok {
		t.Fatal("there is no preset nginx")
	}
	f.URLs = []logs.URL{{Match: `^/(?P<object>[^/]+)/(?P<rendition>[^/]+)/seg-(?P<segment>\d+)\.ts$`}}
	return f
}

// counted reads usage files and adds up their seconds and events.
func counted(t *testing.T, usage *bucket.Bucket) (files []string, events int, micros int64) {
	t.Helper()
	for info, err := range usage.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, info.Key)
		data, _, err := usage.Get(t.Context(), info.Key, info.ETag, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range readUsage(t, info.Key, data) {
			events++
			if e.DurationMicros != nil {
				micros += *e.DurationMicros
			}
		}
	}
	return files, events, micros
}

// readUsage reads a usage file.
func readUsage(t testing.TB, key string, data []byte) (all []schemas.Event) {
	t.Helper()
	u, err := schemas.OpenUsage(key, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range u.Parts() {
		r := u.Part(i)
		for {
			b, err := r.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for i := range b.Len {
				var e schemas.Event
				b.Event(i, &e)
				all = append(all, e)
			}
		}
		r.Close()
	}
	return all
}

func TestSourcesImportEachLogOnce(t *testing.T) {
	store := testStore(t)
	drops, usage := store.Bucket("drops"), store.Bucket("usage")
	put := func(key string, data []byte) {
		if _, err := drops.PutBytes(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	source := &Source{Name: "cdn", Logs: drops, Prefix: "eu/", Every: time.Hour, Format: cdnFormat(t), Options: logs.Options{Tenant: "iten1"}}
	all := &Sources{List: []*Source{source}, Usage: usage, Metering: store.Bucket("metering"), Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	look := func() SourceState {
		t.Helper()
		all.Look(t.Context(), source)
		state, err := ReadSource(t.Context(), all.Metering, "cdn")
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	if s := look(); s.Trouble != "" || s.Logs != 0 || s.Looked.IsZero() {
		t.Errorf("an empty source: %+v", s)
	}
	put("us/other.gz", cdnLog("x", 5))
	put("eu/a.gz", cdnLog("a", 100))
	put("eu/sub/a.gz", cdnLog("b", 10)) // the same name in another folder
	put("eu/none.gz", cdnLog("c", 0))
	put("eu/broken.gz", cdnLog("d", 50)[:60])
	if s := look(); s.Logs != 3 || s.Events != 110 || s.Trouble != "" || !slices.Equal(s.UnreadableLogs(), []string{"eu/broken.gz"}) {
		t.Errorf("the first look: %+v", s)
	}
	files, events, micros := counted(t, usage)
	if len(files) != 3 || events != 110 || micros != 110*2_002_000 {
		t.Errorf("%d events, %d µs in %q", events, micros, files)
	}
	for _, key := range files {
		if !strings.HasPrefix(key, logs.Folder("cdn")) || !schemas.IsUsageKey(key) {
			t.Errorf("%s is not where files of the source are", key)
		}
	}
	put("eu/broken.gz", cdnLog("d", 50)) // mended
	put("eu/a.gz", cdnLog("a", 120))     // grown: lines that both have have the same ids
	if s := look(); s.Logs != 5 || s.Events != 280 || len(s.Unreadable) != 0 {
		t.Errorf("the second look: %+v", s)
	}
	if s := look(); s.Logs != 5 {
		t.Errorf("a look that finds nothing new imports: %+v", s)
	}
	ids := map[string]int{}
	files, _, _ = counted(t, usage)
	for _, key := range files {
		data, _, err := usage.Get(t.Context(), key, "", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range readUsage(t, key, data) {
			ids[e.EventID]++
		}
	}
	if len(ids) != 120+10+50 {
		t.Errorf("%d ids, want 180", len(ids))
	}
}

func TestASourceThatIsNotThereIsTold(t *testing.T) {
	store := testStore(t)
	source := &Source{Name: "gone", Logs: store.Bucket("nothing"), Every: time.Hour, Format: cdnFormat(t)}
	all := &Sources{List: []*Source{source}, Usage: store.Bucket("usage"), Metering: store.Bucket("metering"), Log: slog.New(slog.DiscardHandler)}
	all.Look(t.Context(), source)
	if s, err := ReadSource(t.Context(), all.Metering, "gone"); err != nil || !strings.Contains(s.Trouble, "list the logs") {
		t.Errorf("%+v, %v", s, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all.Run(ctx) // ends
}

func TestPlaylistsAreReadWhenALogIsFound(t *testing.T) {
	store := testStore(t)
	lists := fstest.MapFS{"film/720p/index.m3u8": &fstest.MapFile{Data: []byte("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.002002,\nseg-0.ts\n#EXTINF:2.002003,\nseg-1.ts\n#EXT-X-ENDLIST\n")}}
	source := &Source{Name: "cdn", Logs: store.Bucket("drops"), Format: cdnFormat(t), Options: logs.Options{Tenant: "iten1"}, Playlists: lists}
	if _, err := source.Logs.PutBytes(t.Context(), "a.gz", cdnLog("a", 2)); err != nil {
		t.Fatal(err)
	}
	if err := source.Import(t.Context(), store.Bucket("usage"), new(SourceState), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, events, micros := counted(t, store.Bucket("usage")); events != 2 || micros != 4_004_005 {
		t.Errorf("%d events, %d µs", events, micros)
	}
}

func TestALargeLogIsReadInBlocks(t *testing.T) {
	store := testStore(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), (2*blockSize+1000)/16)
	if _, err := store.Bucket("drops").PutBytes(t.Context(), "large", data); err != nil {
		t.Fatal(err)
	}
	info, err := store.Bucket("drops").Stat(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(&objectBlocks{ctx: t.Context(), bucket: store.Bucket("drops"), info: info}, 0, info.Size))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d of %d bytes: %v", len(got), len(data), err)
	}
	if n, err := (&objectBlocks{ctx: t.Context(), bucket: store.Bucket("drops"), info: info}).ReadAt(make([]byte, 10), info.Size-4); n != 4 || err != io.EOF {
		t.Errorf("over the end: %d, %v", n, err)
	}
}
