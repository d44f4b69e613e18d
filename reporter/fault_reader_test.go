package reporter

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// What the fault table looks at: what readers see between any two writes, and what a month comes to in the end.

// onDisk is a bucket as it lies on the disk: asking the store would take most of the table's time.
type onDisk string

func (s *site) reporting() onDisk {
	return onDisk(filepath.Join(testObjects, s.Buckets.Reporting.Name()))
}

// Get reads an object whole.
func (d onDisk) Get(_ context.Context, key, _ string, _ int64) ([]byte, bucket.Info, error) {
	data, err := os.ReadFile(filepath.Join(string(d), filepath.FromSlash(key)))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", key, bucket.ErrNotExist)
	}
	return data, bucket.Info{Key: key, Size: int64(len(data))}, err
}

// Reader reads an object.
func (d onDisk) Reader(ctx context.Context, key, _ string) (io.ReadCloser, bucket.Info, error) {
	data, info, err := d.Get(ctx, key, "", 0)
	return io.NopCloser(bytes.NewReader(data)), info, err
}

// List lists the objects under a prefix, by name.
func (d onDisk) List(_ context.Context, prefix, _ string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		err := filepath.WalkDir(string(d), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			key := filepath.ToSlash(strings.TrimPrefix(name, string(d)+"/"))
			if err == nil && strings.HasPrefix(key, prefix) && !yield(bucket.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield(bucket.Info{}, err)
		}
	}
}

// opened remembers what sealed objects hold, by their digests: copies of a world share them.
var opened sync.Map // of schemas.Digest to *schemas.Digest

// open reads a sealed object to its end.
func (s *site) open(key string) (sealed, plain schemas.Digest, err error) {
	data, _, err := s.reporting().Get(s.t.Context(), key, "", 0)
	if err != nil {
		return sealed, plain, err
	}
	sealed = digestOfBytes(data)
	if known, ok := opened.Load(sealed); ok {
		return sealed, *known.(*schemas.Digest), nil
	}
	csv, err := s.unsealed(key, data)
	if err != nil {
		return sealed, plain, err
	}
	plain = digestOfBytes(csv)
	opened.Store(sealed, &plain)
	return sealed, plain, nil
}

func (s *site) unsealed(key string, data []byte) ([]byte, error) {
	compression, err := schemas.CompressionOf(key)
	if err != nil {
		return nil, err
	}
	var csv bytes.Buffer
	err = unseal(&csv, bytes.NewReader(data), s.identity, compression)
	return csv.Bytes(), err
}

// published are the reports that a reader has found at a stable name, and must find from then on.
type published struct {
	mu   sync.Mutex
	seen map[string]bool
}

var everPublished = published{seen: make(map[string]bool)}

// once notes that something is there, and tells whether it ever was.
func (p *published) once(name string, there bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[name] = p.seen[name] || there
	return p.seen[name]
}

// wantWhole looks at a tenant's month as a reader does: manifest.json leads to a matching set under
// runs/, and each stable name is whole by itself.
func (s *site) wantWhole(what string, tenant schemas.Tenant) {
	folder := schemas.ReportFolder(tenant, october)
	fail := func(format string, args ...any) {
		s.t.Errorf("%s: a reader of %s finds that %s", what, folder, fmt.Sprintf(format, args...))
	}
	raw, err := s.stable(folder + schemas.ManifestFile)
	there := s.Buckets.Reporting.Name() + "/" + folder
	switch {
	case err != nil:
		fail("%v", err)
		return
	case raw != nil:
		s.wantSet(fail, folder, raw)
	case everPublished.once(there+schemas.ManifestFile, false):
		fail("manifest.json is gone")
	}
	everPublished.once(there+schemas.ManifestFile, raw != nil)
	for _, report := range schemas.Reports {
		found := false
		for _, c := range schemas.Compressions {
			_, _, err := s.open(folder + schemas.ReportFile(report, c))
			if err != nil && !isMissing(err) {
				fail("%s is not whole: %v", schemas.ReportFile(report, c), err)
			}
			found = found || err == nil
		}
		if everPublished.once(there+string(report), found) && !found {
			fail("no stable name has the %s report any more", report)
		}
	}
}

// wantSet wants everything that a manifest names to be there, and to be what it names.
func (s *site) wantSet(fail func(string, ...any), folder string, raw []byte) {
	var m schemas.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		fail("a manifest is none: %v", err)
		return
	}
	for _, e := range m.Objects() {
		sealed, plain, err := s.open(folder + e.Object)
		switch {
		case err != nil:
			fail("run %s names %s: %v", m.Run, e.Object, err)
		case sealed != e.Sealed || plain != e.Plaintext:
			fail("%s is not the object that run %s names", e.Object, m.Run)
		}
	}
	if list, err := s.stable(folder + m.Inputs.List); err != nil || list == nil {
		fail("run %s names %s: %v", m.Run, m.Inputs.List, err)
	}
	if m.RestatedBy == nil {
		return
	}
	next, err := s.stable(folder + m.RestatedBy.Manifest)
	if err != nil || digestOfBytes(next).SHA256 != m.RestatedBy.SHA256 {
		fail("restatement %d is not the one that manifest.json names: %v", m.RestatedBy.Restatement, err)
		return
	}
	s.wantSet(fail, folder, next)
}

// stable reads a small object; nil where it is not there.
func (s *site) stable(key string) ([]byte, error) {
	raw, _, err := s.reporting().Get(s.t.Context(), key, "", 0)
	if isMissing(err) {
		return nil, nil
	}
	return raw, err
}

// monthSays is what a tenant's month comes to, in words that are the same in every world in which it comes to
// the same: manifests without their runs' names and instants, lists of inputs, and all CSV.
func (s *site) monthSays(tenant schemas.Tenant) string {
	var b strings.Builder
	folder := schemas.ReportFolder(tenant, october)
	for n := 0; ; n++ {
		at := folder
		if n > 0 {
			at += schemas.RestatementFolder(n)
		}
		raw, err := s.stable(at + schemas.ManifestFile)
		if err != nil || n == 0 && raw == nil {
			s.t.Errorf("read the manifest %s: %v", at, err)
		}
		if raw == nil {
			return b.String()
		}
		var m schemas.Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			s.t.Error(err)
		}
		for _, e := range m.Objects() {
			fmt.Fprintf(&b, "%s of restatement %d:\n%s", e.Report, n, s.csv(folder+e.Object))
		}
		s.inputsSay(&b, folder+m.Inputs.List)
		fmt.Fprintf(&b, "%s\n", manifestSays(&m))
	}
}

// manifestSays is what a manifest says, without what hangs on when and how often it was tried.
func manifestSays(m *schemas.Manifest) []byte {
	m.Run, m.Previous, m.Inputs.List, m.Restates = "", nil, "", nil
	if m.State == StateFinal {
		m.AsOf = ""
	}
	for i := range m.Withdrawn {
		m.Withdrawn[i].At = time.Time{}
	}
	for i := range m.Reports {
		m.Reports[i].Object, m.Reports[i].Sealed = "", schemas.Digest{}
	}
	if m.Diff != nil {
		m.Diff.Object, m.Diff.Sealed = "", schemas.Digest{}
	}
	if m.RestatedBy != nil {
		m.RestatedBy.Run, m.RestatedBy.SHA256 = "", ""
	}
	if m.Rekeys != nil {
		*m.Rekeys = schemas.Previous{}
	}
	return must(encodeManifest(m))
}

func (s *site) csv(key string) []byte {
	data, _, err := s.reporting().Get(s.t.Context(), key, "", 0)
	if err == nil {
		data, err = s.unsealed(key, data)
	}
	if err != nil {
		s.t.Errorf("open %s: %v", key, err)
	}
	return data
}

func (s *site) inputsSay(b *strings.Builder, key string) {
	raw, err := s.stable(key)
	if err != nil {
		s.t.Error(err)
		return
	}
	for line := range bytes.Lines(gunzipped(s.t, raw)) {
		var in schemas.Input
		if err := json.Unmarshal(line, &in); err != nil {
			s.t.Error(err)
		}
		fmt.Fprintln(b, in.Key, in.ETag, in.Gone)
	}
}

// wantSound wants a tenant's chain to be whole, the commits without gaps, and nothing that a report says in clear.
func (s *site) wantSound(tenant schemas.Tenant) {
	v := s.verifier()
	v.Reporting = s.reporting()
	out, err := v.Verify(s.t.Context(), tenant, october)
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, f := range out.Findings {
		s.t.Errorf("verify finds: %s: %s", f.Object, f.Problem)
	}
	next, runs := int64(0), make(map[string]bool)
	for info, err := range s.Buckets.Metering.List(s.t.Context(), schemas.CommitFolder(tenant, october), "") {
		if err != nil {
			s.t.Error(err)
			return
		}
		if n, ok := schemas.ParseNumber(info.Key); !ok || n != next+1 {
			s.t.Errorf("commit %d is followed by %s", next, info.Key)
		}
		next++
		if c, err := s.readCommit(s.t.Context(), info.Key); err != nil || c.Parent != next-1 || runs[c.Run.Run] {
			s.t.Errorf("%s: %v, parent %d, of run %s", info.Key, err, c.Parent, c.Run.Run)
		} else {
			runs[c.Run.Run] = true
		}
	}
}

// inClear are names that reports alone bear.
var inClear = [][]byte{[]byte("film-"), []byte("clip-"), []byte("title-"), []byte("viewing-")}

// wantSealed wants no file of the Reporting bucket, and none that is on the way there, to say in clear what reports say.
func (s *site) wantSealed() {
	for info, err := range s.reporting().List(s.t.Context(), "", "") {
		if err != nil {
			s.t.Error(err)
			return
		}
		data, err := s.stable(info.Key)
		if err != nil {
			s.t.Error(err)
		}
		if strings.HasSuffix(info.Key, schemas.InputsFile) {
			data = gunzipped(s.t, data)
		}
		if i := slices.IndexFunc(inClear, func(word []byte) bool { return bytes.Contains(data, word) }); i >= 0 {
			s.t.Errorf("%s says %q in clear", info.Key, inClear[i])
		}
	}
}

func isMissing(err error) bool { return errors.Is(err, bucket.ErrNotExist) }

func gunzipped(t testing.TB, packed []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Error(err)
		return nil
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return raw
}

// follow starts a reader for each tenant who follows manifest.json through the store while things happen, and
// returns what ends them. A reader whose objects are gone looks whether there is a newer manifest.
func (s *site) follow() (stop func()) {
	done := make(chan struct{})
	var group sync.WaitGroup
	for _, tenant := range s.Tenants {
		folder := schemas.ReportFolder(tenant.ID, october)
		sets, newer := 0, 0
		group.Go(func() {
			for {
				select {
				case <-done:
					s.t.Logf("a reader of %s found %d sets, and %d times a newer one meanwhile", tenant.ID, sets, newer)
					if sets == 0 {
						s.t.Errorf("no set of %s was ever read", tenant.ID)
					}
					return
				case <-time.After(2 * time.Millisecond):
				}
				raw, err := s.readSet(folder)
				again, _, _ := s.Buckets.Reporting.Get(s.t.Context(), folder+schemas.ManifestFile, "", maxSmall)
				switch {
				case err != nil && bytes.Equal(raw, again):
					s.t.Errorf("a reader of %s: %v", folder, err)
				case err != nil:
					newer++
				case raw != nil:
					sets++
				}
			}
		})
	}
	return func() { close(done); group.Wait() }
}

// readSet reads what manifest.json points to, as those do who bill from it.
func (s *site) readSet(folder string) (raw []byte, err error) {
	raw, _, err = s.Buckets.Reporting.Get(s.t.Context(), folder+schemas.ManifestFile, "", maxSmall)
	if isMissing(err) {
		return nil, nil // not yet
	} else if err != nil {
		return nil, err
	}
	var m schemas.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return raw, err
	}
	for _, e := range m.Reports {
		data, _, err := s.Buckets.Reporting.Get(s.t.Context(), folder+e.Object, "", maxSmall)
		if err != nil {
			return raw, err
		}
		csv, err := s.unsealed(e.Object, data)
		if err != nil || digestOfBytes(data) != e.Sealed || digestOfBytes(csv) != e.Plaintext {
			return raw, fmt.Errorf("%s is not what run %s names: %v", e.Object, m.Run, err)
		}
	}
	return raw, nil
}
