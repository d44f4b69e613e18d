package bucket

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/versity/versitygw/auth"
)

// people are accounts that a test changes while the store runs.
type people struct {
	mu      sync.Mutex
	secrets map[string]string
	fails   error
}

func (p *people) Secret(name string) (string, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	secret, ok := p.secrets[name]
	return secret, ok, p.fails
}

func (p *people) change(f func(map[string]string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.secrets)
}

const anna, annasSecret = "anna-reads", "annas-secret-key-of-some-length"

// withAnna is a store that knows an account, as root and as that account.
func withAnna(t *testing.T) (who *people, e *Embedded, root, hers *Store) {
	t.Helper()
	who = &people{secrets: map[string]string{anna: annasSecret}}
	e, root = embeddedWith(t, EmbeddedConfig{Accounts: who})
	return who, e, root, as(t, e, anna, annasSecret)
}

func as(t *testing.T, e *Embedded, access, secret string) *Store {
	t.Helper()
	cfg := e.Config()
	cfg.AccessKey, cfg.SecretKey = access, secret
	s, err := newStore(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mayRead is a policy that lets an account get and list what is below hers/.
func mayRead(bucket, account string) string {
	return strings.NewReplacer("BUCKET", bucket, "WHO", account).Replace(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":["WHO"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::BUCKET/hers/*"]},
		{"Effect":"Allow","Principal":{"AWS":["WHO"]},"Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::BUCKET"],
		 "Condition":{"StringLike":{"s3:prefix":["hers/*"]}}}]}`)
}

func setPolicy(t testing.TB, b *Bucket, policy string) {
	t.Helper()
	if err := b.SetPolicy(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
}

func TestAnAccountMayDoWhatPoliciesSayAndNoMore(t *testing.T) {
	_, _, root, store := withAnna(t)
	b := newBucket(t, root)
	mustPut(t, b, "hers/a", []byte("x"))
	mustPut(t, b, "others/a", []byte("x"))
	hers := store.Bucket(b.Name())
	get := func(key string) func() error {
		return func() error { _, _, err := hers.Get(t.Context(), key, "", 10); return err }
	}
	list := func(prefix string) func() error {
		return func() error {
			for _, err := range hers.List(t.Context(), prefix, "") {
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	tests := []struct {
		name    string
		do      func() error
		granted bool // by mayRead
	}{
		{"get what is hers", get("hers/a"), true},
		{"list what is hers", list("hers/"), true},
		{"get what is another's", get("others/a"), false},
		{"get by a path that leads out of hers", get("hers/../others/a"), false},
		{"list what is another's", list("others/"), false},
		{"list all", list(""), false},
		{"list with a prefix that only begins like hers", list("her"), false},
		{"put", func() error { _, err := hers.PutBytes(t.Context(), "hers/b", nil); return err }, false},
		{"copy", func() error { _, err := hers.Copy(t.Context(), "hers/a", "hers/b", ""); return err }, false},
		{"delete", func() error { return hers.Delete(t.Context(), "hers/a") }, false},
		{"read the policy", func() error { _, err := hers.Policy(t.Context()); return err }, false},
		{"change the policy", func() error { return hers.SetPolicy(t.Context(), mayRead(b.Name(), anna)) }, false},
		{"remove the policy", func() error { return hers.SetPolicy(t.Context(), "") }, false},
		{"see that the bucket is there", func() error {
			there, err := store.core.BucketExists(t.Context(), b.Name())
			if err == nil && !there {
				err = errors.New("not there")
			}
			return err
		}, false},
		{"begin an upload", func() error {
			_, err := store.core.NewMultipartUpload(t.Context(), b.Name(), "hers/b", minioPut{})
			return err
		}, false},
		{"make a bucket", func() error {
			return store.core.MakeBucket(t.Context(), "a-bucket-of-her-own", minio.MakeBucketOptions{})
		}, false},
		{"remove a bucket", func() error { return store.core.RemoveBucket(t.Context(), b.Name()) }, false},
		{"turn versioning on", func() error { return store.core.EnableVersioning(t.Context(), b.Name()) }, false},
	}
	for _, policy := range []string{"", mayRead(b.Name(), anna), mayRead(b.Name(), "another"), ""} {
		setPolicy(t, b, policy)
		granted := strings.Contains(policy, anna)
		for _, tt := range tests {
			if err := tt.do(); (err == nil) != (granted && tt.granted) {
				t.Errorf("%s, with policy %.0q granting it %v: %v", tt.name, policy, granted && tt.granted, err)
			}
		}
		if found, err := store.core.ListBuckets(t.Context()); err != nil || len(found) != 0 {
			t.Errorf("she sees the buckets %v, %v", found, err)
		}
	}
}

// Requests of the gateway's API for administrators, none of which anybody may use.
var adminRequests = []string{"/create-user", "/delete-user?access=anna-reads", "/update-user?access=anna-reads", "/list-users",
	"/change-bucket-owner?bucket=B&owner=anna-reads", "/list-buckets", "/B/create"}

func TestTheAPIForAdministratorsIsOff(t *testing.T) {
	_, e, root, _ := withAnna(t)
	b := newBucket(t, root)
	mustPut(t, b, "hers/a", []byte("x"))
	setPolicy(t, b, mayRead(b.Name(), anna))
	for access, secret := range map[string]string{anna: annasSecret, e.Config().AccessKey: e.Config().SecretKey, "": ""} {
		for _, path := range adminRequests {
			for _, method := range []string{http.MethodPatch, http.MethodPut} {
				if method == http.MethodPut && !strings.HasSuffix(path, "/create") {
					continue // that makes a bucket, for those who may
				}
				target := e.Config().Endpoint + strings.ReplaceAll(path, "B", b.Name())
				if access == e.Config().AccessKey && method == http.MethodPut {
					continue // that puts an object
				}
				code, answer := signed(t, method, target, access, secret, "<Account><Access>eve</Access><Secret>eve-eve-eve</Secret><Role>admin</Role></Account>")
				if code < 400 {
					t.Errorf("%s %s by %q is answered with %d: %s", method, path, access, code, answer)
				}
			}
		}
	}
	if _, _, err := as(t, e, "eve", "eve-eve-eve").Bucket(b.Name()).Get(t.Context(), "hers/a", "", 10); err == nil {
		t.Error("an account was made")
	}
}

func signed(t *testing.T, method, target, access, secret, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if access != "" {
		req = signer.SignV4(*req, access, secret, "", defaultRegion)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer)
}

func TestAChangeOfAnAccountTakesEffectWithTheNextRequest(t *testing.T) {
	who, e, root, store := withAnna(t)
	b := newBucket(t, root)
	mustPut(t, b, "hers/a", []byte("x"))
	setPolicy(t, b, mayRead(b.Name(), anna))
	link, err := store.core.PresignedGetObject(t.Context(), b.Name(), "hers/a", time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(s *Store) error {
		_, _, err := s.Bucket(b.Name()).Get(t.Context(), "hers/a", "", 10)
		return err
	}
	linked := func() bool {
		resp, err := http.Get(link.String())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusOK && bytes.Equal(data, []byte("x"))
	}
	later := as(t, e, anna, "another-secret-of-some-length")
	for range 3 { // so that a cache would have it
		if err := get(store); err != nil || get(later) == nil || !linked() {
			t.Fatalf("before: %v, %v", err, get(later))
		}
	}
	who.change(func(m map[string]string) { m[anna] = "another-secret-of-some-length" })
	wants(t, get(store), ErrDenied, "SignatureDoesNotMatch")
	if err := get(later); err != nil || linked() {
		t.Errorf("after the rotation: %v; a link that the old key made works: %v", err, linked())
	}
	who.change(func(m map[string]string) { delete(m, anna) })
	wants(t, get(later), ErrDenied, "InvalidAccessKeyId")
	who.change(func(m map[string]string) { m[anna] = annasSecret })
	if err := get(store); err != nil || !linked() {
		t.Errorf("put back: %v", err)
	}
}

func TestAccountsThatCannotBeLookedUpFailTheRequest(t *testing.T) {
	who, e, root, store := withAnna(t)
	b := newBucket(t, root)
	mustPut(t, b, "hers/a", []byte("x"))
	setPolicy(t, b, mayRead(b.Name(), anna))
	who.fails = errors.New("read /where/it/lies: input/output error")
	_, _, err := store.Bucket(b.Name()).Get(t.Context(), "hers/a", "", 10)
	if err == nil || strings.Contains(err.Error(), "/where") {
		t.Errorf("get: %v", err)
	}
	mustGet(t, b, "hers/a") // root is not asked for

	who.fails = nil
	who.change(func(m map[string]string) {
		maps.Copy(m, map[string]string{"nobody": "", e.Config().AccessKey: "of-another-root"})
	})
	if _, err := (accounts{others: who}).GetUserAccount("nobody"); !errors.Is(err, auth.ErrNoSuchUser) {
		t.Errorf("an account with an empty secret: %v", err)
	}
	mustGet(t, b, "hers/a") // an account of root's name changes nothing
}

func TestAPolicyMayNameAccountsThatAreNotThereYet(t *testing.T) {
	who, e, root, _ := withAnna(t)
	b := newBucket(t, root)
	mustPut(t, b, "hers/a", []byte("x"))
	setPolicy(t, b, mayRead(b.Name(), "berta"))
	who.change(func(m map[string]string) { m["berta"] = "bertas-secret-key" })
	mustGet(t, as(t, e, "berta", "bertas-secret-key").Bucket(b.Name()), "hers/a")
	for _, name := range []string{"arn:aws:iam:::user/anna-reads", "an", "anna reads", ""} {
		if err := b.SetPolicy(t.Context(), mayRead(b.Name(), name)); err == nil {
			t.Errorf("a policy for %q is taken, and would never do anything", name)
		}
	}
}

func TestWithoutAccountsThereIsOnlyRoot(t *testing.T) {
	e, root := embeddedWith(t, EmbeddedConfig{})
	b := newBucket(t, root)
	mustPut(t, b, "hers/a", []byte("x"))
	if err := b.SetPolicy(t.Context(), mayRead(b.Name(), anna)); err == nil {
		t.Error("a policy for somebody who cannot be is taken")
	}
	_, _, err := as(t, e, anna, annasSecret).Bucket(b.Name()).Get(t.Context(), "hers/a", "", 10)
	wants(t, err, ErrDenied, "InvalidAccessKeyId")
}
