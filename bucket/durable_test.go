package bucket

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

type minioPut = minio.PutObjectOptions

// A recorder stands in for the disk: it notes what is synced, and blocks or
// fails on demand.
type recorder struct {
	mu     sync.Mutex
	paths  []string
	fails  error
	blocks chan struct{} // while not nil, syncs wait for it
}

func (r *recorder) sync(path string) error {
	r.mu.Lock()
	r.paths = append(r.paths, path)
	fails, blocks := r.fails, r.blocks
	r.mu.Unlock()
	if blocks != nil {
		<-blocks
	}
	if fails != nil {
		return fails
	}
	return syncPath(path)
}

func (r *recorder) set(fails error, blocks chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths, r.fails, r.blocks = nil, fails, blocks
}

func (r *recorder) taken(root string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := []string{}
	for _, p := range r.paths {
		rel, err := filepath.Rel(root, p)
		if err != nil {
			rel = p
		}
		names = append(names, rel)
	}
	return names
}

// changes are the requests whose answer means "on the disk", and what must have
// been synced by then, in this order.
var changes = []struct {
	name string
	do   func(*testing.T, *Bucket) error
	want []string
}{
	{"put", func(t *testing.T, b *Bucket) error {
		_, err := b.PutBytes(t.Context(), "x/y/put", []byte("x"))
		return err
	}, []string{"B/x/y/put", "B/x/y", "B/x", "B", "."}},
	{"put at the top", func(t *testing.T, b *Bucket) error {
		_, err := b.PutBytes(t.Context(), "top", []byte("x"))
		return err
	}, []string{"B/top", "B", "."}},
	{"overwrite", func(t *testing.T, b *Bucket) error {
		_, err := b.PutBytes(t.Context(), "here/old", []byte("new"))
		return err
	}, []string{"B/here/old", "B/here", "B", "."}},
	{"create", func(t *testing.T, b *Bucket) error {
		_, err := b.Create(t.Context(), "c/create", []byte("x"))
		return err
	}, []string{"B/c/create", "B/c", "B", "."}},
	{"a create that finds the name taken", func(t *testing.T, b *Bucket) error {
		if _, err := b.Create(t.Context(), "here/old", []byte("x")); !errors.Is(err, ErrExist) {
			return fmt.Errorf("created: %w", err)
		}
		return nil
	}, []string{"B/here/old", "B/here", "B", "."}},
	{"copy", func(t *testing.T, b *Bucket) error {
		_, err := b.Copy(t.Context(), "here/old", "d/copy", "")
		return err
	}, []string{"B/d/copy", "B/d", "B", "."}},
	{"complete a multipart upload", func(t *testing.T, b *Bucket) error {
		w, err := b.Writer(t.Context(), "e/f/multi")
		if err != nil {
			return err
		}
		w.Write(make([]byte, PartSize+1))
		return w.Close()
	}, []string{"B/e/f/multi", "B/e/f", "B/e", "B", "."}},
	{"delete", func(t *testing.T, b *Bucket) error {
		return b.Delete(t.Context(), "gone/for/good")
	}, []string{"B/gone/for/good", "B/gone/for", "B/gone", "B", "."}},
	{"policy", func(t *testing.T, b *Bucket) error {
		return b.SetPolicy(t.Context(), strings.ReplaceAll(rootMayRead(b.store.cfg.AccessKey), "usage", b.Name()))
	}, []string{"../policies/B.json", "../policies", ".."}},
	{"remove a policy", func(t *testing.T, b *Bucket) error {
		return b.SetPolicy(t.Context(), "")
	}, []string{"../policies"}},
}

// prepare makes what the changes work on.
func prepare(t *testing.T, s *Store) *Bucket {
	b := newBucket(t, s)
	mustPut(t, b, "here/old", []byte("old"))
	mustPut(t, b, "gone/for/good", []byte("x"))
	if err := b.SetPolicy(t.Context(), strings.ReplaceAll(rootMayRead(s.cfg.AccessKey), "usage", b.Name())); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswersComeAfterTheSync(t *testing.T) {
	rec := &recorder{}
	e, s := embeddedWith(t, EmbeddedConfig{sync: rec.sync})
	root := filepath.Join(e.dir, "objects")
	for _, tt := range changes {
		t.Run(tt.name, func(t *testing.T) {
			rec.set(nil, nil)
			b := prepare(t, s)
			blocks := make(chan struct{})
			rec.set(nil, blocks)
			answer := make(chan error, 1)
			go func() { answer <- tt.do(t, b) }()
			select {
			case err := <-answer:
				t.Fatalf("answered (%v) while the sync had not returned", err)
			case <-time.After(100 * time.Millisecond):
			}
			close(blocks)
			if err := <-answer; err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(tt.want)
			for i, name := range want {
				want[i] = strings.Replace(name, "B", b.Name(), 1)
			}
			if got := rec.taken(root); !slices.Equal(got, want) {
				t.Errorf("synced\n%q\nwant\n%q", got, want)
			}
		})
	}
	t.Run("create a bucket", func(t *testing.T) {
		rec.set(nil, nil)
		b := newBucket(t, s)
		if got := rec.taken(root); !slices.Equal(got, []string{b.Name(), "."}) {
			t.Errorf("synced %q", got)
		}
	})
}

func TestAFailedSyncIsAFailedRequest(t *testing.T) {
	rec := &recorder{}
	e, s := embeddedWith(t, EmbeddedConfig{sync: rec.sync})
	buckets := make([]*Bucket, len(changes))
	for i := range changes {
		buckets[i] = impatient(t, e).Bucket(prepare(t, s).Name())
	}
	rec.set(&fs.PathError{Op: "sync", Path: "/where/it/lies", Err: syscall.EIO}, nil)
	defer rec.set(nil, nil)
	for i, tt := range changes {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(t, buckets[i])
			if err == nil {
				t.Fatal("it was answered as done")
			}
			if !strings.Contains(err.Error(), "input/output error") || strings.Contains(err.Error(), "/where") {
				t.Errorf("the answer: %v", err)
			}
		})
	}
}

// The bytes are synced before they get their name: a crash in between never
// shows half an object, and does not take away what was there.
func TestBytesAreSyncedBeforeTheyGetTheirName(t *testing.T) {
	for _, tt := range []struct {
		name, key string
		do        func(*testing.T, *Bucket) error
	}{
		{"overwrite", "k", func(t *testing.T, b *Bucket) error {
			_, err := b.PutBytes(t.Context(), "k", []byte("new"))
			return err
		}},
		{"copy", "k", func(t *testing.T, b *Bucket) error {
			_, err := b.Copy(t.Context(), "from", "k", "")
			return err
		}},
		{"multipart", "k", func(t *testing.T, b *Bucket) error {
			w, err := b.Writer(t.Context(), "k")
			if err != nil {
				return err
			}
			w.Write(make([]byte, PartSize+1))
			return w.Close()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var fails error
			e, s := embeddedWith(t, EmbeddedConfig{staged: func(*os.File) error {
				mu.Lock()
				defer mu.Unlock()
				return fails
			}})
			b := newBucket(t, s)
			mustPut(t, b, "from", []byte("from"))
			mustPut(t, b, "k", []byte("old"))
			mu.Lock()
			fails = syscall.EIO
			mu.Unlock()
			if err := tt.do(t, impatient(t, e).Bucket(b.Name())); err == nil {
				t.Error("it was answered as done")
			}
			if got := mustGet(t, b, "k"); string(got) != "old" {
				t.Errorf("it holds %d bytes", len(got))
			}
		})
	}
}
