package servers_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/playmeter/playmeter/bucket"
)

// TestReadersGetWhatIsGrantedAndNothingElse holds what each reader can do with each object of a
// Reporting bucket against what the grants mean.
func TestReadersGetWhatIsGrantedAndNothingElse(t *testing.T) {
	tests := []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"the store says what it is", dialect},
		{"an object is got by who is granted it", objects},
		{"a folder is listed by who is granted something in it", lists},
		{"no way of asking lists another tenant", trickyLists},
		{"no way of writing a path gets another object", trickyPaths},
		{"nobody writes", writes},
		{"s3cmd sees the same", otherClient},
		{"a grant that ends ends at once", ends},
		{"a reader who is removed gets nothing", removed},
		{"without a policy nobody gets anything", withoutPolicy},
	}
	onEachService(t, func(t *testing.T, s service) {
		w := newWorld(t, s)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) { tt.run(t, w) })
		}
	})
}

func dialect(t *testing.T, w *world) {
	if got, err := w.Store.Dialect(t.Context()); got != w.dialect {
		t.Errorf("got %q, %v, want %q", got, err, w.dialect)
	}
}

// A reading is one way to get at an object's content.
type reading struct {
	name string
	// allowed is false where even a granted object may be refused that way: some services want a
	// permission of its own for it, which no reader has.
	allowed bool
	read    func(context.Context, *world, *minio.Core, string) (string, error)
}

var errRefused = errors.New("403 Forbidden")

var readings = []reading{
	{"get", true, func(ctx context.Context, w *world, c *minio.Core, key string) (string, error) {
		return get(ctx, w, c, key, minio.GetObjectOptions{})
	}},
	{"head", true, func(ctx context.Context, w *world, c *minio.Core, key string) (string, error) {
		info, err := c.StatObject(ctx, w.bucket, key, minio.StatObjectOptions{})
		if err == nil && info.Size != int64(len(content(key))) {
			return "", errors.New("another size")
		}
		return content(key), err
	}},
	{"presigned get", true, func(ctx context.Context, w *world, c *minio.Core, key string) (string, error) {
		u, err := c.PresignedGetObject(ctx, w.bucket, key, time.Minute, nil)
		if err != nil {
			return "", errRefused // nobody has no key to sign with
		}
		resp, err := http.Get(u.String())
		if err != nil {
			return "", err
		}
		if resp.StatusCode == http.StatusForbidden {
			resp.Body.Close()
			return "", errRefused
		}
		return text(resp.Body)
	}},
	{"get of a version", false, func(ctx context.Context, w *world, c *minio.Core, key string) (string, error) {
		return get(ctx, w, c, key, minio.GetObjectOptions{VersionID: "null"})
	}},
	{"copy from", true, func(ctx context.Context, w *world, c *minio.Core, key string) (string, error) {
		_, err := c.CopyObject(ctx, w.bucket, key, w.shelf, "copy", nil, minio.CopySrcOptions{}, minio.PutObjectOptions{})
		return content(key), err
	}},
}

func get(ctx context.Context, w *world, c *minio.Core, key string, o minio.GetObjectOptions) (string, error) {
	body, _, _, err := c.GetObject(ctx, w.bucket, key, o)
	if err != nil {
		return "", err
	}
	return text(body)
}

func refused(err error) bool {
	return errors.Is(err, errRefused) || minio.ToErrorResponse(err).StatusCode == http.StatusForbidden
}

func objects(t *testing.T, w *world) {
	for _, r := range w.readers {
		c := w.client(t, r.Credentials)
		for _, way := range readings {
			var wrong []string
			for _, key := range w.keys {
				got, err := way.read(t.Context(), w, c, key)
				switch may := r.mayGet(key); {
				case !may && !refused(err):
					wrong = append(wrong, fmt.Sprintf("%s must be refused: %q, %v", key, got, err))
				case may && err == nil && got != content(key):
					wrong = append(wrong, fmt.Sprintf("%s is another object: %q", key, got))
				case may && err != nil && (way.allowed || !refused(err)):
					wrong = append(wrong, fmt.Sprintf("%s is granted: %v", key, err))
				}
			}
			if len(wrong) > 0 {
				t.Errorf("%s: %s: %d of %d objects are wrong, for example\n%s", r, way.name, len(wrong), len(w.keys), strings.Join(wrong[:min(3, len(wrong))], "\n"))
			}
		}
	}
}

func lists(t *testing.T, w *world) {
	prefixes := []string{"", "a", "acme", "allowed_signers", "usage"}
	for _, tenant := range tenants {
		prefixes = append(prefixes, string(tenant)+"/", string(tenant)+"/2026-10/")
	}
	for _, r := range w.readers {
		c := w.client(t, r.Credentials)
		for _, prefix := range prefixes {
			result, err := c.ListObjectsV2(w.bucket, prefix, "", "", "", 1000)
			var got, want []string
			for _, o := range result.Contents {
				got = append(got, o.Key)
			}
			may := r.mayList(prefix)
			if may {
				want = slices.DeleteFunc(slices.Clone(w.keys), func(key string) bool { return !strings.HasPrefix(key, prefix) })
			}
			switch {
			case !slices.Equal(got, want) && err == nil:
				t.Errorf("%s: list %q: got %q, want %q", r, prefix, got, want)
			case !may && !refused(err):
				t.Errorf("%s: list %q: must be refused: got %q, %v", r, prefix, got, err)
			case may && err != nil && !(w.dialect == bucket.DialectMinIO && refused(err)):
				// MinIO's conditions do not hold, so there nobody is let list: see trickyLists.
				t.Errorf("%s: list %q is granted: %v", r, prefix, err)
			}
		}
	}
}

// writes tries all that would change something, and looks whether anything has changed.
func writes(t *testing.T, w *world) {
	before := w.objects(t)
	if len(before) != len(w.keys) {
		t.Fatalf("the bucket holds %d objects, want %d", len(before), len(w.keys))
	}
	granted := "acme/2026-10/usage.csv.gz.age"
	put := func(c *minio.Core, key string) error {
		_, err := c.Client.PutObject(t.Context(), w.bucket, key, strings.NewReader("x"), 1, minio.PutObjectOptions{})
		return err
	}
	ways := map[string]func(*minio.Core) error{
		"overwrite":   func(c *minio.Core) error { return put(c, granted) },
		"put beside":  func(c *minio.Core) error { return put(c, "acme/2026-10/usage.new") },
		"put at root": func(c *minio.Core) error { return put(c, "new") },
		"delete": func(c *minio.Core) error {
			return c.RemoveObject(t.Context(), w.bucket, granted, minio.RemoveObjectOptions{})
		},
		"delete many": func(c *minio.Core) error {
			objects := make(chan minio.ObjectInfo, 1)
			objects <- minio.ObjectInfo{Key: granted}
			close(objects)
			for e := range c.RemoveObjects(t.Context(), w.bucket, objects, minio.RemoveObjectsOptions{}) {
				return errors.Join(errRefused, e.Err) // the answer to the whole is 200, and names each
			}
			return nil
		},
		"begin a multipart upload": func(c *minio.Core) error {
			_, err := c.NewMultipartUpload(t.Context(), w.bucket, granted, minio.PutObjectOptions{})
			return err
		},
		"copy onto": func(c *minio.Core) error {
			_, err := c.CopyObject(t.Context(), w.bucket, granted, w.bucket, "acme/2026-10/sessions.csv.gz.age", nil, minio.CopySrcOptions{}, minio.PutObjectOptions{})
			return err
		},
		"write the policy": func(c *minio.Core) error {
			return c.SetBucketPolicy(t.Context(), w.bucket, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::reporting/*"]}]}`)
		},
		"remove the bucket": func(c *minio.Core) error { return c.RemoveBucket(t.Context(), w.bucket) },
	}
	for _, r := range w.readers {
		c := w.client(t, r.Credentials)
		for _, name := range slices.Sorted(maps.Keys(ways)) {
			if err := ways[name](c); !refused(err) {
				t.Errorf("%s: %s: must be refused, got %v", r, name, err)
			}
		}
	}
	if after := w.objects(t); !maps.Equal(before, after) {
		t.Errorf("objects have changed:\n%v\n%v", before, after)
	}
}

// otherClient looks with another program's eyes at some of it. Without a region s3cmd asks for the
// bucket's, which no reader may, and gives up.
func otherClient(t *testing.T, w *world) {
	s3cmd, err := exec.LookPath("s3cmd")
	if err != nil {
		t.Skip("s3cmd is not installed")
	}
	host := strings.TrimPrefix(w.endpoint, "http://")
	config := scratch(t, "s3cfg")
	for _, r := range w.readers[:2] {
		for _, key := range w.keys {
			if !strings.HasSuffix(key, "2026-10/usage.csv.gz.age") && !strings.HasSuffix(key, "2026-10/sessions.csv.gz.age") {
				continue
			}
			file := filepath.Join(t.TempDir(), "got")
			out, err := exec.Command(s3cmd, "--config", config, "--no-ssl", "--region", "us-east-1", "--host", host, "--host-bucket", host, "--access_key", r.AccessKey,
				"--secret_key", r.SecretKey, "--no-progress", "get", "s3://"+w.bucket+"/"+key, file).CombinedOutput()
			if may := r.mayGet(key); may != (err == nil) || !may && !strings.Contains(string(out), "403") {
				t.Errorf("%s: s3cmd get %s: %v\n%s", r, key, err, out)
			}
		}
	}
}

// ends takes a grant away, and puts it back.
func ends(t *testing.T, w *world) {
	if w.dialect == bucket.DialectMinIO {
		t.Skip("MinIO's users keep their policies until its admin tool takes them away")
	}
	key, i := "beta/2026-10/sessions.csv.gz.age", slices.IndexFunc(w.readers, func(r reader) bool { return r.name == "twotenants" })
	r := &w.readers[i]
	c, before := w.client(t, r.Credentials), r.grants
	if _, err := get(t.Context(), w, c, key, minio.GetObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	r.grants = maps.Clone(before)
	delete(r.grants, "beta")
	w.grant(t)
	if got, err := get(t.Context(), w, c, key, minio.GetObjectOptions{}); !refused(err) {
		t.Errorf("after the grant's end: got %q, %v", got, err)
	}
	if _, err := get(t.Context(), w, c, "acme/2026-10/usage.csv.gz.age", minio.GetObjectOptions{}); err != nil {
		t.Errorf("the other grant stands: %v", err)
	}
	r.grants = before
	w.grant(t)
	if _, err := get(t.Context(), w, c, key, minio.GetObjectOptions{}); err != nil {
		t.Errorf("after it was granted anew: %v", err)
	}
}

func removed(t *testing.T, w *world) {
	r, key := w.readers[0], "acme/2026-10/usage.csv.gz.age"
	c := w.client(t, r.Credentials)
	if _, err := get(t.Context(), w, c, key, minio.GetObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	w.remove(r.name)
	if got, err := get(t.Context(), w, c, key, minio.GetObjectOptions{}); !refused(err) {
		t.Errorf("after the reader's end: got %q, %v", got, err)
	}
}

func withoutPolicy(t *testing.T, w *world) {
	if w.dialect == bucket.DialectMinIO {
		t.Skip("MinIO's users have policies of their own")
	}
	for range 2 { // the second finds none
		if err := w.Buckets.Reporting.SetPolicy(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if policy, err := w.Buckets.Reporting.Policy(t.Context()); policy != "" || err != nil {
		t.Errorf("the policy is %q, %v", policy, err)
	}
	for _, r := range w.readers {
		got, err := get(t.Context(), w, w.client(t, r.Credentials), "acme/2026-10/usage.csv.gz.age", minio.GetObjectOptions{})
		if !refused(err) {
			t.Errorf("%s: got %q, %v", r, got, err)
		}
	}
}
