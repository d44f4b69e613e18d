package bucket

import (
	"context"
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

	"github.com/minio/minio-go/v7"
)

// largePolicy lets each of n tenants' readers read what is the tenant's, and anna what is hers.
// It has about 500 bytes a tenant.
func largePolicy(bucket string, n int) string {
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Statement":[`)
	for i := range n {
		fmt.Fprintf(&b, `{"Sid":"PlaymeterGet%[1]d","Effect":"Allow","Principal":{"AWS":["reader-%[1]d"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%[2]s/tenant-%[1]d/*/usage.csv.gz.age","arn:aws:s3:::%[2]s/tenant-%[1]d/*/manifest.json"]},`, i, bucket)
		fmt.Fprintf(&b, `{"Sid":"PlaymeterList%[1]d","Effect":"Allow","Principal":{"AWS":["reader-%[1]d"]},"Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::%[2]s"],"Condition":{"StringLike":{"s3:prefix":["tenant-%[1]d/*"]}}},`, i, bucket)
	}
	_, own, _ := strings.Cut(mayRead(bucket, anna), "[")
	return b.String() + own
}

func TestALargePolicyIsKept(t *testing.T) {
	dir := t.TempDir()
	who := &people{secrets: map[string]string{anna: annasSecret}}
	for run := range 2 {
		e, root := embeddedWith(t, EmbeddedConfig{Dir: dir, Accounts: who})
		b := root.Bucket("reporting")
		policy := largePolicy("reporting", 520)
		if len(policy) < 200<<10 {
			t.Fatalf("the policy has %d bytes", len(policy))
		}
		if run == 0 {
			if err := b.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustPut(t, b, "hers/a", []byte("x"))
			mustPut(t, b, "tenant-1/a", []byte("x"))
			setPolicy(t, b, policy)
		}
		if got, err := b.Policy(t.Context()); err != nil || got != policy {
			t.Errorf("run %d: %d bytes came back, %v", run, len(got), err)
		}
		hers := as(t, e, anna, annasSecret).Bucket("reporting")
		mustGet(t, hers, "hers/a")
		_, _, err := hers.Get(t.Context(), "tenant-1/a", "", 10)
		wants(t, err, ErrDenied, "")
		if info, err := os.Stat(filepath.Join(dir, "policies", "reporting.json")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPolicyCanOnlyBeSoLarge(t *testing.T) {
	s := embedded(t)
	b := newBucket(t, s)
	policy := rootMayRead(s.cfg.AccessKey)
	policy = strings.ReplaceAll(policy, "usage", b.Name())
	setPolicy(t, b, policy+strings.Repeat(" ", MaxPolicySize-len(policy)))
	err := b.SetPolicy(t.Context(), policy+strings.Repeat(" ", MaxPolicySize-len(policy)+1))
	if err == nil || !strings.Contains(err.Error(), "PolicyTooLarge") {
		t.Errorf("one byte more: %v", err)
	}
}

// Of a change that the disk fails, the old policy or the new one stays, whole, and who
// asked is told that it failed.
func TestAPolicyThatCannotBeWritten(t *testing.T) {
	rec := &recorder{}
	var mu sync.Mutex
	var fails error
	e, s := embeddedWith(t, EmbeddedConfig{sync: rec.sync, staged: func(*os.File) error {
		mu.Lock()
		defer mu.Unlock()
		return fails
	}})
	b := newBucket(t, s)
	asked := impatient(t, e).Bucket(b.Name())
	old, next := largePolicy(b.Name(), 1), largePolicy(b.Name(), 2)
	old, next = strings.ReplaceAll(old, anna, s.cfg.AccessKey), strings.ReplaceAll(next, anna, s.cfg.AccessKey)
	old, next = onlyRoot(old, s), onlyRoot(next, s)
	set := func(staged, synced error) error {
		mu.Lock()
		fails = staged
		mu.Unlock()
		rec.set(synced, nil)
		defer rec.set(nil, nil)
		return asked.SetPolicy(t.Context(), next)
	}
	tests := []struct {
		name           string
		staged, synced error
		want           string
	}{
		{"its bytes: the old one stays", syscall.EIO, nil, old},
		{"its name: the new one may be there", nil, syscall.EIO, next},
	}
	for _, tt := range tests {
		setPolicy(t, b, old)
		if err := set(tt.staged, tt.synced); err == nil || !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("%s: answered %v", tt.name, err)
		}
		if got, err := b.Policy(t.Context()); err != nil || got != tt.want {
			t.Errorf("%s: it is now %.80q, %v", tt.name, got, err)
		}
		if err := set(nil, nil); err != nil {
			t.Error(err)
		}
		if names := filesOf(t, filepath.Join(e.dir, "policies")); !slices.Equal(names, []string{b.Name() + ".json"}) {
			t.Errorf("%s: it left %q", tt.name, names)
		}
	}
}

// onlyRoot names root in the place of every reader, for stores without accounts.
func onlyRoot(policy string, s *Store) string {
	for i := range 2 {
		policy = strings.ReplaceAll(policy, fmt.Sprintf("reader-%d", i), s.cfg.AccessKey)
	}
	return policy
}

func TestAReaderOfAPolicyNeverSeesHalfOfOne(t *testing.T) {
	dir := t.TempDir()
	p := &policies{dir: filepath.Join(dir, "policies"), sync: func(string) error { return nil }, known: map[string]*splitPolicy{}}
	a, b := []byte(strings.Repeat("a", 200<<10)), []byte(strings.Repeat("b", 100<<10))
	if err := p.put("bucket", a); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		defer close(done)
		for i := range 200 {
			if err := p.put("bucket", [][]byte{a, b}[i%2]); err != nil {
				done <- err
				return
			}
		}
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.get("bucket"); err != nil || string(got.whole) != string(b) {
				t.Errorf("at last it has %d bytes, %v", len(got.whole), err)
			}
			return
		default:
		}
		got, err := p.get("bucket")
		if err != nil || string(got.whole) != string(a) && string(got.whole) != string(b) {
			t.Fatalf("it has %d bytes, %v", len(got.whole), err)
		}
		onDisk, err := os.ReadFile(p.path("bucket"))
		if err != nil || string(onDisk) != string(a) && string(onDisk) != string(b) {
			t.Fatalf("the file has %d bytes, %v", len(onDisk), err)
		}
	}
}

func TestPoliciesOfAnEarlierVersionAreMoved(t *testing.T) {
	dir := t.TempDir()
	e, s := embeddedWith(t, EmbeddedConfig{Dir: dir})
	for _, name := range []string{"reporting", "usage"} {
		if err := s.Bucket(name).Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	setPolicy(t, s.Bucket("usage"), rootMayRead(s.cfg.AccessKey))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	older, newer := `{"older":true}`, `{"newer":true}`
	inAttribute := func(bucket, policy string) { // as an earlier version does it
		t.Helper()
		before, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		defer os.Chdir(before)
		d, err := newBackend(filepath.Join(dir, "objects"), EmbeddedConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Backend.PutBucketPolicy(context.Background(), bucket, []byte(policy)); err != nil {
			t.Fatal(err)
		}
	}
	reopened := func(want string) {
		t.Helper()
		e, s := embeddedWith(t, EmbeddedConfig{Dir: dir})
		if got, err := s.Bucket("reporting").Policy(t.Context()); err != nil || got != want {
			t.Errorf("the policy is %q, %v; want %q", got, err, want)
		}
		if got, err := s.Bucket("usage").Policy(t.Context()); err != nil || got != rootMayRead(s.cfg.AccessKey) {
			t.Errorf("the other bucket's is %q, %v", got, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	reopened("")
	inAttribute("reporting", older)
	reopened(older)
	reopened(older)
	inAttribute("reporting", newer) // it was in use again
	reopened(newer)
	reopened(newer)
}

func TestANewBucketDoesNotInheritAPolicy(t *testing.T) {
	dir := t.TempDir()
	e, s := embeddedWith(t, EmbeddedConfig{Dir: dir})
	b := s.Bucket("usage")
	none := func(when string) {
		t.Helper()
		if got, err := b.Policy(t.Context()); err != nil || got != "" {
			t.Errorf("%s: it has the policy %q, %v", when, got, err)
		}
	}
	file := filepath.Join(dir, "policies", "usage.json")
	ensure := func() {
		t.Helper()
		if err := b.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ensure()
	setPolicy(t, b, rootMayRead(s.cfg.AccessKey))
	if err := s.core.MakeBucket(t.Context(), "usage", minio.MakeBucketOptions{}); err == nil {
		t.Error("it was made twice")
	}
	if got, err := b.Policy(t.Context()); err != nil || got == "" {
		t.Errorf("making a bucket that is there took its policy: %q, %v", got, err)
	}
	if err := s.core.RemoveBucket(t.Context(), "usage"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a bucket that was removed: %v", err)
	}
	if _, err := b.Policy(t.Context()); !errors.Is(err, ErrNotExist) {
		t.Errorf("the policy of no bucket: %v", err)
	}
	// A crash after the bucket was removed and before its policy was.
	if err := os.WriteFile(file, []byte(rootMayRead(s.cfg.AccessKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	ensure()
	none("in the same process")
	if err := s.core.RemoveBucket(t.Context(), "usage"); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usage.json", ".usage-123", ".usage.json"} {
		if err := os.WriteFile(filepath.Join(dir, "policies", name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, s = embeddedWith(t, EmbeddedConfig{Dir: dir})
	b = s.Bucket("usage")
	if names := filesOf(t, filepath.Join(dir, "policies")); len(names) != 0 {
		t.Errorf("a start leaves %q", names)
	}
	ensure()
	none("in the next process")
}

func TestNamesThatAreNoBuckets(t *testing.T) {
	root := filepath.Join(t.TempDir(), "objects")
	if err := os.MkdirAll(filepath.Join(root, "usage"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &durable{root: root, policies: &policies{dir: filepath.Join(root, "..", "policies"), sync: syncPath, known: map[string]*splitPolicy{}}}
	for _, name := range []string{"", ".", "..", "../objects", "usage/..", "usage/x", "/", ".hidden", "file", "none"} {
		if _, err := d.GetBucketPolicy(t.Context(), name); err == nil {
			t.Errorf("%q has a policy", name)
		}
		if err := d.PutBucketPolicy(t.Context(), name, []byte("{}")); err == nil {
			t.Errorf("%q gets a policy", name)
		}
		if err := d.DeleteBucketPolicy(t.Context(), name); err == nil {
			t.Errorf("%q loses its policy", name)
		}
	}
	if err := d.PutBucketPolicy(t.Context(), "usage", []byte("{}")); err != nil {
		t.Error(err)
	}
}

// BenchmarkPolicy is a small GET of an account, by the size of the bucket's policy.
func BenchmarkPolicy(b *testing.B) {
	who := &people{secrets: map[string]string{anna: annasSecret}}
	e, err := OpenEmbedded(b.Context(), EmbeddedConfig{Dir: b.TempDir(), Accounts: who})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	root, err := newStore(e.Config(), 1)
	if err != nil {
		b.Fatal(err)
	}
	bucket := newBucket(b, root)
	mustPut(b, bucket, "hers/a", []byte("x"))
	cfg := e.Config()
	cfg.AccessKey, cfg.SecretKey = anna, annasSecret
	hers, err := newStore(cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{0, 50, 500, 5000} {
		policy := largePolicy(bucket.Name(), n)
		setPolicy(b, bucket, policy)
		b.Run(fmt.Sprintf("bytes=%d", len(policy)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustGet(b, hers.Bucket(bucket.Name()), "hers/a")
			}
		})
	}
}
