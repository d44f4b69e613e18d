package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// conform is what every object store must do for us. It runs against the
// embedded one always, and against others by "make test-s3". What a store is known
// to lack is skipped, by name.
func conform(t *testing.T, s *Store, lacks ...string) {
	tests := []struct {
		name string
		run  func(*testing.T, *Store)
	}{
		{"what is put can be read", putGet},
		{"a bucket is ensured twice", ensureTwice},
		{"what is missing does not exist", missing},
		{"keys are any text", oddKeys},
		{"bad keys are refused", badKeys},
		{"an overwrite is atomic", overwrite},
		{"an ETag pins a version", pinned},
		{"a limit bounds what is read", limited},
		{"a range is exact", ranges},
		{"a range is streamed", rangeStreams},
		{"a broken range is mended", brokenRange},
		{"a link gets its object and no other", links},
		{"a name is created once", createOnce},
		{"of concurrent creators one wins", createRace},
		{"a listing is in key order", listing},
		{"a listing of many pages is whole", manyPages},
		{"folders are listed without what lies in them", folders},
		{"a listing ends with its caller", listingStops},
		{"a stream of any length is stored whole", streams},
		{"an aborted stream leaves nothing", aborted},
		{"a copy is the same", copies},
		{"deleting twice is no error", deleting},
		{"damage on the way down is found", corruptDownload},
		{"damage on the way up is refused", corruptUpload},
		{"a broken download is mended", brokenDownload},
		{"a lost answer to a create says exists", lostAnswer},
		{"the store has a clock", clock},
		{"a cancelled request ends", cancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if slices.Contains(lacks, tt.name) {
				t.Skip("this store does not do that")
			}
			tt.run(t, s)
		})
	}
}

var bucketNumber atomic.Int64

// newBucket is an empty one. Its name is new also on a server that has run this before.
func newBucket(t testing.TB, s *Store) *Bucket {
	t.Helper()
	b := s.Bucket(fmt.Sprintf("test-%d-%d", time.Now().Unix(), bucketNumber.Add(1)))
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// noise is n bytes, always the same for a seed.
func noise(seed byte, n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

func mustPut(t testing.TB, b *Bucket, key string, data []byte) Info {
	t.Helper()
	info, err := b.PutBytes(t.Context(), key, data)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func mustGet(t testing.TB, b *Bucket, key string) []byte {
	t.Helper()
	data, _, err := b.Get(t.Context(), key, "", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func keysOf(t testing.TB, b *Bucket, prefix, startAfter string) []string {
	t.Helper()
	keys := []string{}
	for info, err := range b.List(t.Context(), prefix, startAfter) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// wants checks an error by sentinel, and that it names what was being done.
func wants(t testing.TB, err, sentinel error, words ...string) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("error %v, want one that is %q", err, sentinel)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func putGet(t *testing.T, s *Store) {
	b := newBucket(t, s)
	for _, n := range []int{0, 1, 1000, 1 << 20, 9 << 20} {
		want := noise(1, n)
		key := fmt.Sprintf("sizes/%d", n)
		before, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		put := mustPut(t, b, key, want)
		if put.Key != key || put.Size != int64(n) || put.ETag == "" || strings.Contains(put.ETag, `"`) {
			t.Errorf("put says %+v", put)
		}
		got, info, err := b.Get(t.Context(), key, put.ETag, int64(n))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
		}
		stat, err := b.Stat(t.Context(), key)
		if err != nil || stat != info {
			t.Errorf("stat says %+v, %v; get says %+v", stat, err, info)
		}
		if info.Key != key || info.ETag != put.ETag || info.Size != int64(n) {
			t.Errorf("get says %+v, put %+v", info, put)
		}
		if info.Modified.Before(before.Add(-2*time.Second)) || info.Modified.After(before.Add(time.Minute)) || info.Modified.Location() != time.UTC {
			t.Errorf("modified %v, it is %v", info.Modified, before)
		}
		r, _, err := b.Reader(t.Context(), key, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err = io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("reader: %d bytes, %v", len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func ensureTwice(t *testing.T, s *Store) {
	b := newBucket(t, s)
	mustPut(t, b, "a", []byte("x"))
	if err := s.Bucket(b.Name()).Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, b, "a"); string(got) != "x" {
		t.Errorf("it holds %q", got)
	}
}

func missing(t *testing.T, s *Store) {
	here := newBucket(t, s)
	for _, b := range []*Bucket{here, s.Bucket("no-such-bucket-at-all")} {
		_, _, err := b.Get(t.Context(), "some/key", "", 10)
		wants(t, err, ErrNotExist, "get "+b.Name()+"/some/key: ")
		_, _, err = b.Get(t.Context(), "some/key", "0123", 10)
		wants(t, err, ErrNotExist, "get ")
		_, _, err = b.Reader(t.Context(), "some/key", "")
		wants(t, err, ErrNotExist, "get ")
		_, err = b.GetRange(t.Context(), "some/key", "", 0, 1)
		wants(t, err, ErrNotExist, "get ")
		_, err = b.Stat(t.Context(), "some/key")
		wants(t, err, ErrNotExist, "stat "+b.Name()+"/some/key: ")
		_, err = b.Copy(t.Context(), "some/key", "other", "")
		wants(t, err, ErrNotExist, "copy "+b.Name()+"/some/key to "+b.Name()+"/other: ")
	}
	if keys := keysOf(t, here, "", ""); len(keys) != 0 {
		t.Errorf("an empty bucket lists %v", keys)
	}
	gone := s.Bucket("no-such-bucket-at-all")
	_, err := gone.PutBytes(t.Context(), "k", nil)
	wants(t, err, ErrNotExist, "put no-such-bucket-at-all/k: the bucket")
	for _, err := range gone.List(t.Context(), "", "") {
		wants(t, err, ErrNotExist, "list no-such-bucket-at-all: the bucket")
	}
}

var oddNames = []string{
	"dt=2026-10-01/hour=07/inod-1 (copy).parquet",
	"dt=2026-10-01/a+b=c&d;e@f,g$h!i'j*k(l)~m",
	"percent/100%25 of %2F and 50%",
	"spaces/ leading and trailing /x",
	"latin/Überraschung-é-ñ.ndjson",
	"cyrillic/Москва/октябрь.parquet",
	"cjk/東京/二〇二六年.parquet",
	"arabic/القاهرة",
	"emoji/🎬🍿",
	"punctuation/[a]{b}<c>#d?e|f\\g^h`i\"j:k",
	"dots/...x/..y/.z/w.",
	"dashes/--x/-y",
	"long/" + strings.Repeat("x", 255),
	"tab\tin/the name",
}

func oddKeys(t *testing.T, s *Store) {
	b := newBucket(t, s)
	for i, key := range oddNames {
		if _, err := b.Create(t.Context(), key, []byte(key)); err != nil {
			t.Errorf("create: %v", err)
			continue
		}
		got, info, err := b.Get(t.Context(), key, "", 2000)
		if err != nil || string(got) != key || info.Key != key {
			t.Errorf("get: %q, %+v, %v", got, info, err)
		}
		moved := fmt.Sprintf("copies/%d/%s", i, key)
		if _, err := b.Copy(t.Context(), key, moved, ""); err != nil {
			t.Error(err)
		} else if got := mustGet(t, b, moved); string(got) != key {
			t.Errorf("the copy of %q holds %q", key, got)
		}
	}
	want := slices.Sorted(slices.Values(oddNames))
	got := slices.DeleteFunc(keysOf(t, b, "", ""), func(k string) bool { return strings.HasPrefix(k, "copies/") })
	if !slices.Equal(got, want) {
		t.Errorf("listed\n%q\nwant\n%q", got, want)
	}
	for i, key := range want {
		if rest := keysOf(t, b, "", key); i+1 < len(want) && !slices.Contains(rest, want[i+1]) || slices.Contains(rest, key) {
			t.Errorf("start after %q gives %q", key, rest)
		}
		if under := keysOf(t, b, key, ""); !slices.Equal(under, []string{key}) {
			t.Errorf("prefix %q gives %q", key, under)
		}
		if err := b.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
}

func badKeys(t *testing.T, s *Store) {
	b := newBucket(t, s)
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a", "a\x00b", "a\xffb",
		strings.Repeat("x", 256), strings.Repeat("x/", 512) + "x",
	} {
		if _, err := b.PutBytes(t.Context(), key, nil); err == nil {
			t.Errorf("put takes %q", key)
		}
		if _, err := b.Create(t.Context(), key, nil); err == nil {
			t.Errorf("create takes %q", key)
		}
		if _, err := b.Writer(t.Context(), key); err == nil {
			t.Errorf("writer takes %q", key)
		}
		if _, err := b.Copy(t.Context(), "x", key, ""); err == nil || errors.Is(err, ErrNotExist) {
			t.Errorf("copy takes %q: %v", key, err)
		}
	}
	if _, err := b.Put(t.Context(), "large", bytes.NewReader(nil), MaxPut+1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than one PUT takes: %v", err)
	}
	if _, err := b.Put(t.Context(), "short", bytes.NewReader([]byte("abc")), 4); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that ends early: %v", err)
	}
	if keys := keysOf(t, b, "", ""); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// overwrite: readers see the one or the other, whole, and never nothing.
func overwrite(t *testing.T, s *Store) {
	b := newBucket(t, s)
	versions := [][]byte{noise(1, 10_000), noise(2, 300_000)}
	mustPut(t, b, "k", versions[0])
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for reads := 0; ; reads++ {
				select {
				case <-done:
					return
				default:
				}
				got, _, err := b.Get(t.Context(), "k", "", 1<<20)
				if err != nil || !bytes.Equal(got, versions[0]) && !bytes.Equal(got, versions[1]) {
					t.Errorf("read %d: %d bytes, %v", reads, len(got), err)
					return
				}
			}
		})
	}
	for i := range 60 {
		mustPut(t, b, "k", versions[(i+1)%2])
	}
	close(done)
	wg.Wait()
}

func pinned(t *testing.T, s *Store) {
	b := newBucket(t, s)
	old := mustPut(t, b, "k", []byte("old"))
	mustPut(t, b, "k", []byte("new"))
	_, _, err := b.Get(t.Context(), "k", old.ETag, 10)
	wants(t, err, ErrChanged, "get "+b.Name()+"/k: ")
	_, _, err = b.Reader(t.Context(), "k", old.ETag)
	wants(t, err, ErrChanged)
	_, err = b.GetRange(t.Context(), "k", old.ETag, 0, 1)
	wants(t, err, ErrChanged)
	_, err = b.Copy(t.Context(), "k", "copy", old.ETag)
	wants(t, err, ErrChanged)
	if keys := keysOf(t, b, "", ""); !slices.Equal(keys, []string{"k"}) {
		t.Errorf("it holds %q", keys)
	}
}

func limited(t *testing.T, s *Store) {
	b := newBucket(t, s)
	mustPut(t, b, "k", []byte("12345"))
	if _, _, err := b.Get(t.Context(), "k", "", 5); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	_, _, err := b.Get(t.Context(), "k", "", 4)
	wants(t, err, ErrTooLarge, "5 bytes, limit 4")
}

func ranges(t *testing.T, s *Store) {
	b := newBucket(t, s)
	data := noise(1, 100_000)
	etag := mustPut(t, b, "k", data).ETag
	mustPut(t, b, "empty", nil)
	for _, r := range [][2]int64{{0, 1}, {0, 100_000}, {1, 99_999}, {99_999, 1}, {50_000, 0}, {4096, 8192}} {
		got, err := b.GetRange(t.Context(), "k", etag, r[0], r[1])
		if err != nil || !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
			t.Errorf("%d from %d: %d bytes, %v", r[1], r[0], len(got), err)
		}
	}
	for _, r := range [][2]int64{{0, 100_001}, {99_999, 2}, {100_000, 1}, {200_000, 5}} {
		_, err := b.GetRange(t.Context(), "k", etag, r[0], r[1])
		wants(t, err, io.ErrUnexpectedEOF, fmt.Sprintf("%d bytes from %d", r[1], r[0]))
	}
	if _, err := b.GetRange(t.Context(), "k", etag, -1, 1); err == nil {
		t.Error("a negative offset is taken")
	}
	if _, err := b.GetRange(t.Context(), "empty", "", 0, 1); err == nil {
		t.Error("a byte of an empty object")
	}
}

func createOnce(t *testing.T, s *Store) {
	b := newBucket(t, s)
	first, err := b.Create(t.Context(), "a/b", []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Create(t.Context(), "a/b", []byte("second"))
	wants(t, err, ErrExist, "create "+b.Name()+"/a/b: ")
	got, info, err := b.Get(t.Context(), "a/b", "", 10)
	if err != nil || string(got) != "first" || info.ETag != first.ETag {
		t.Errorf("it holds %q, %v", got, err)
	}
	if err := b.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), "a/b", nil); err != nil {
		t.Errorf("created again after it was deleted: %v", err)
	}
}

func createRace(t *testing.T, s *Store) {
	b := newBucket(t, s)
	for round := range 10 {
		key := fmt.Sprintf("commits/%d.json", round)
		var winners atomic.Int64
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				nonce := fmt.Sprintf("creator %d", i)
				_, err := b.Create(t.Context(), key, []byte(nonce))
				switch {
				case err == nil:
					winners.Add(1)
					winner.Store(nonce)
				case !errors.Is(err, ErrExist):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Fatalf("round %d: %d creators won", round, winners.Load())
		}
		if got := mustGet(t, b, key); string(got) != winner.Load() {
			t.Errorf("round %d: %v won, and it holds %q", round, winner.Load(), got)
		}
	}
}

func listing(t *testing.T, s *Store) {
	b := newBucket(t, s)
	// "-" and "." sort before "/", which a walk of folders gets wrong easily.
	keys := []string{"A", "a-b/x", "a.b", "a/b/c", "a/b-c", "a/b.c/d", "a0", "b", "dt=1/x", "dt=10/x", "dt=2/x", "é", "日本"}
	var infos []Info
	for _, key := range slices.Sorted(slices.Values(keys)) {
		infos = append(infos, mustPut(t, b, key, []byte(key)))
	}
	var got []Info
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Modified.IsZero() {
			t.Errorf("%s has no time", info.Key)
		}
		info.Modified = time.Time{}
		got = append(got, info)
	}
	if !slices.Equal(got, infos) {
		t.Errorf("listed\n%+v\nwant\n%+v", got, infos)
	}
	tests := []struct {
		prefix, after string
		want          string
	}{
		{"a", "", "a-b/x a.b a/b-c a/b.c/d a/b/c a0"},
		{"a/", "", "a/b-c a/b.c/d a/b/c"},
		{"a/b", "", "a/b-c a/b.c/d a/b/c"},
		{"a/b/", "", "a/b/c"},
		{"dt=1", "", "dt=1/x dt=10/x"},
		{"dt=1/", "", "dt=1/x"},
		{"none", "", ""},
		{"", "a/b/c", "a0 b dt=1/x dt=10/x dt=2/x é 日本"},
		{"", "a", "a-b/x a.b a/b-c a/b.c/d a/b/c a0 b dt=1/x dt=10/x dt=2/x é 日本"},
		{"a/", "a/b-c", "a/b.c/d a/b/c"},
		{"a/", "a/b.c", "a/b.c/d a/b/c"},
		{"a/", "b", ""},
		{"b", "a", "b"},
		{"", "日本", ""},
		{"dt=", "dt=1/x", "dt=10/x dt=2/x"},
		{"dt=", "dt=1~", "dt=2/x"},
	}
	for _, tt := range tests {
		if got := strings.Join(keysOf(t, b, tt.prefix, tt.after), " "); got != tt.want {
			t.Errorf("List(%q, %q) = %q, want %q", tt.prefix, tt.after, got, tt.want)
		}
	}
}

// fill puts n small objects into folders, quickly.
func fill(t testing.TB, b *Bucket, n, folders int) []string {
	t.Helper()
	keys := make([]string, n)
	var wg sync.WaitGroup
	next := atomic.Int64{}
	for range 16 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				keys[i] = fmt.Sprintf("dt=%03d/inod-%06d.parquet", i%folders, i)
				if _, err := b.PutBytes(t.Context(), keys[i], []byte("x")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(keys)
	return keys
}

func manyPages(t *testing.T, s *Store) {
	b := newBucket(t, s)
	want := fill(t, b, 1101, 7)
	if got := keysOf(t, b, "", ""); !slices.Equal(got, want) {
		t.Errorf("listed %d keys, want %d", len(got), len(want))
	}
	for _, i := range []int{0, 98, 99, 100, 101, 999, 1000, 1099, 1100} {
		if got := keysOf(t, b, "", want[i]); !slices.Equal(got, want[i+1:]) {
			t.Errorf("after key %d: listed %d keys, want %d", i, len(got), len(want[i+1:]))
		}
	}
	for range 3 { // a page's edge anywhere
		i := rand.IntN(len(want))
		if got := keysOf(t, b, "dt=", want[i]+"~"); !slices.Equal(got, want[i+1:]) {
			t.Errorf("after key %d: listed %d keys, want %d", i, len(got), len(want[i+1:]))
		}
	}
}

func listingStops(t *testing.T, s *Store) {
	b := newBucket(t, s)
	fill(t, b, 3, 1)
	n := 0
	for range b.List(t.Context(), "", "") {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d keys", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range b.List(ctx, "", "") {
		last = err
	}
	wants(t, last, context.Canceled, "list")
}

func streams(t *testing.T, s *Store) {
	b := newBucket(t, s)
	data := noise(3, 2*PartSize+1)
	for _, n := range []int{0, 1, PartSize - 1, PartSize, PartSize + 1, 2*PartSize + 1} {
		key := fmt.Sprintf("runs/%d", n)
		w, err := b.Writer(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for p := data[:n]; len(p) > 0; { // in uneven pieces, one larger than a part
			k := min(len(p), 1+rand.IntN(PartSize+PartSize/2))
			if m, err := w.Write(p[:k]); m != k || err != nil {
				t.Fatal(m, err)
			}
			p = p[k:]
		}
		if _, err := b.Stat(t.Context(), key); !errors.Is(err, ErrNotExist) {
			t.Errorf("%d bytes: to be seen before Close: %v", n, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("written after Close")
		}
		got, info, err := b.Get(t.Context(), key, w.Info().ETag, int64(n))
		if err != nil || !bytes.Equal(got, data[:n]) {
			t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
		}
		if w.Info().Size != int64(n) || info.Size != int64(n) || w.Info().Key != key {
			t.Errorf("the writer says %+v, get %+v", w.Info(), info)
		}
		if r := checkOf(t, b, key); r.hash == nil {
			t.Errorf("%d bytes: the store gives nothing to check them with", n)
		}
	}
}

// checkOf is how a download of key would be checked.
func checkOf(t testing.TB, b *Bucket, key string) check {
	t.Helper()
	d, _, err := b.open(t.Context(), key, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return d.check
}

func aborted(t *testing.T, s *Store) {
	b := newBucket(t, s)
	why := errors.New("the caller changed his mind")
	for _, n := range []int{0, 10, PartSize + 1} {
		w, err := b.Writer(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		w.Abort(why)
		if err := w.Close(); !errors.Is(err, why) {
			t.Errorf("close after abort: %v", err)
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, why) {
			t.Errorf("write after abort: %v", err)
		}
	}
	// A writer whose caller has gone leaves nothing either.
	ctx, cancel := context.WithCancel(t.Context())
	w, err := b.Writer(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, PartSize+1))
	cancel()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("close after cancel: %v", err)
	}
	if keys := keysOf(t, b, "", ""); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
	uploads, err := s.core.ListMultipartUploads(t.Context(), b.Name(), "", "", "", "", 10)
	if err != nil || len(uploads.Uploads) != 0 {
		t.Errorf("uploads left behind: %v, %v", uploads.Uploads, err)
	}
}

func copies(t *testing.T, s *Store) {
	b := newBucket(t, s)
	mustPut(t, b, "to", []byte("what was there"))
	for _, n := range []int{0, 10, PartSize + 1} {
		data := noise(5, n)
		w, err := b.Writer(t.Context(), "from")
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := b.Copy(t.Context(), "from", "to", w.Info().ETag)
		if err != nil {
			t.Fatal(err)
		}
		got, at, err := b.Get(t.Context(), "to", info.ETag, int64(n))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: the copy has %d, %v", n, len(got), err)
		}
		if info != at {
			t.Errorf("copy says %+v, get %+v", info, at)
		}
		if got := mustGet(t, b, "from"); !bytes.Equal(got, data) {
			t.Error("the original has changed")
		}
	}
	if _, err := b.Copy(t.Context(), "from", "from", ""); err == nil {
		t.Error("copied to itself")
	}
}

func deleting(t *testing.T, s *Store) {
	b := newBucket(t, s)
	mustPut(t, b, "a/b/c", []byte("x"))
	mustPut(t, b, "a/d", []byte("x"))
	for range 2 {
		if err := b.Delete(t.Context(), "a/b/c"); err != nil {
			t.Error(err)
		}
	}
	for _, key := range []string{"never/was", "a", "a/b"} { // "a" is only a folder
		if err := b.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	if keys := keysOf(t, b, "", ""); !slices.Equal(keys, []string{"a/d"}) {
		t.Errorf("it holds %q", keys)
	}
	err := s.Bucket("no-such-bucket-at-all").Delete(t.Context(), "k")
	wants(t, err, ErrNotExist, "the bucket")
}

func clock(t *testing.T, s *Store) {
	before := time.Now().Add(-2 * time.Second)
	now, err := s.Now(t.Context())
	if err != nil || now.Before(before) || now.After(time.Now().Add(2*time.Second)) || now.Location() != time.UTC {
		t.Errorf("%v, %v", now, err)
	}
}

func cancelled(t *testing.T, s *Store) {
	b := newBucket(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.PutBytes(ctx, "k", []byte("x"))
	wants(t, err, context.Canceled, "put ")
	_, _, err = b.Get(ctx, "k", "", 1)
	wants(t, err, context.Canceled, "get ")
	_, err = b.Create(ctx, "k", nil)
	wants(t, err, context.Canceled, "create ")
	_, err = s.Now(ctx)
	wants(t, err, context.Canceled)
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func folders(t *testing.T, s *Store) {
	b := newBucket(t, s)
	want := []string{}
	for i := range 1100 {
		name := fmt.Sprintf("of/%04d/", i)
		want = append(want, name)
		if i%500 == 0 {
			mustPut(t, b, name+"a/deep", nil)
		}
		mustPut(t, b, name+"x", nil)
	}
	mustPut(t, b, "of/an object", nil)
	for prefix, want := range map[string][]string{"of/": want, "": {"of/"}, "of/0500/": {"of/0500/a/"}, "of/0001/": {}, "nothing/": {}} {
		got := []string{}
		for name, err := range b.Folders(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q has %d folders, %.60q, want %d", prefix, len(got), got, len(want))
		}
	}
	for range b.Folders(t.Context(), "of/") {
		break // whoever has seen enough may stop
	}
}
