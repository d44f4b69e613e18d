package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
)

// The policies of buckets. The gateway keeps them in an extended attribute of the
// bucket's folder, where ext4 has room for 4 KB. So they are kept in files of
// our own, <Dir>/policies/<bucket>.json, and in memory, because each request of an account asks
// for one. Nobody else writes there while this process has the store.

// MaxPolicySize is how many bytes a policy of the embedded store may have.
const MaxPolicySize = 4 << 20

// policies are those of all buckets.
type policies struct {
	dir    string
	sync   syncer
	failed func(*os.File) error // set by tests, asked before a staged policy is synced

	writing sync.Mutex // held by who changes a file
	mu      sync.Mutex
	known   map[string]*splitPolicy // by bucket; nil: it has none. What is not in it must be read
}

func (p *policies) path(bucket string) string { return filepath.Join(p.dir, bucket+".json") }

// get is the policy of a bucket; nil where it has none.
func (p *policies) get(bucket string) (*splitPolicy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	policy, ok := p.known[bucket]
	if ok {
		return policy, nil
	}
	whole, err := os.ReadFile(p.path(bucket))
	switch {
	case err == nil:
		policy = newSplitPolicy(whole)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	// The gateway's texts lie in the buffer of a request, which the next one overwrites.
	p.known[strings.Clone(bucket)] = policy
	return policy, nil
}

// put stores a policy. When it returns nil the policy is durable and in force; when it fails,
// the old one or the new one is, and is whole.
func (p *policies) put(bucket string, policy []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	staged, err := p.stage(bucket, policy)
	if err != nil {
		return err
	}
	defer os.Remove(staged) // gone already where it was renamed
	if err := p.become(bucket, func() error { return os.Rename(staged, p.path(bucket)) }); err != nil {
		return err
	}
	return p.kept(p.path(bucket), p.dir, filepath.Dir(p.dir))
}

// stage writes a policy to a file of another name.
func (p *policies) stage(bucket string, policy []byte) (name string, err error) {
	f, err := os.CreateTemp(p.dir, "."+bucket+"-*") // made 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(policy)
	if err == nil && p.failed != nil {
		err = p.failed(f)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// remove takes the policy of a bucket away, if it has one.
func (p *policies) remove(bucket string) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	err := p.become(bucket, func() error { return os.Remove(p.path(bucket)) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return p.kept(p.dir)
}

// become changes the file, and forgets what it held.
func (p *policies) become(bucket string, change func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, bucket)
	return change()
}

func (p *policies) kept(names ...string) error {
	for _, name := range names {
		if err := p.sync(name); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what a crash left: staged files, and policies of buckets that are gone, which
// a new bucket of that name must not inherit.
func (p *policies) sweep(objects string) error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		bucket, whole := strings.CutSuffix(e.Name(), ".json")
		_, err := os.Stat(filepath.Join(objects, bucket))
		if gone := errors.Is(err, fs.ErrNotExist); gone || !whole || strings.HasPrefix(bucket, ".") {
			if err := os.Remove(filepath.Join(p.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt moves the policies that an earlier version kept in attributes into files. An attribute
// is never older than the file: it is removed once there is one, and only an
// earlier version makes one anew.
func (p *policies) adopt(ctx context.Context, objects string, files backend.Backend) error {
	buckets, err := os.ReadDir(objects)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		if !b.IsDir() {
			continue
		}
		policy, err := files.GetBucketPolicy(ctx, b.Name())
		if err != nil {
			if errors.Is(err, s3err.GetAPIError(s3err.ErrNoSuchBucketPolicy)) {
				continue
			}
			return fmt.Errorf("read the policy of bucket %s: %w", b.Name(), err)
		}
		if err := p.put(b.Name(), policy); err != nil {
			return fmt.Errorf("move the policy of bucket %s: %w", b.Name(), err)
		}
		if err := files.DeleteBucketPolicy(ctx, b.Name()); err != nil {
			return fmt.Errorf("move the policy of bucket %s: %w", b.Name(), err)
		}
		if err := p.sync(filepath.Join(objects, b.Name())); err != nil {
			return err
		}
	}
	return nil
}

// findBucket says what is wrong with a bucket's name, or that there is none.
func (d *durable) findBucket(bucket string) error {
	name := filepath.Join(d.root, bucket)
	if filepath.Dir(name) != d.root || strings.HasPrefix(bucket, ".") {
		return s3err.GetBucketErr(s3err.ErrInvalidBucketName, bucket)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		return s3err.GetBucketErr(s3err.ErrNoSuchBucket, bucket)
	case err != nil:
		return notDurable(err)
	}
	return nil
}

// GetBucketPolicy is what the caller of a request needs of the bucket's policy.
func (d *durable) GetBucketPolicy(ctx context.Context, bucket string) ([]byte, error) {
	if err := d.findBucket(bucket); err != nil {
		return nil, err
	}
	policy, err := d.policies.get(bucket)
	switch {
	case err != nil:
		return nil, notDurable(err)
	case policy == nil:
		return nil, s3err.GetBucketErr(s3err.ErrNoSuchBucketPolicy, bucket)
	}
	return policy.forCaller(ctx), nil
}

// PutBucketPolicy stores a policy that the gateway has checked; nil removes it.
func (d *durable) PutBucketPolicy(ctx context.Context, bucket string, policy []byte) error {
	if policy == nil {
		return d.DeleteBucketPolicy(ctx, bucket)
	}
	if len(policy) > MaxPolicySize {
		return s3err.APIError{Code: "PolicyTooLarge", HTTPStatusCode: http.StatusBadRequest,
			Description: fmt.Sprintf("the policy has %d bytes, and at most %d can be", len(policy), MaxPolicySize)}
	}
	if err := d.findBucket(bucket); err != nil {
		return err
	}
	if err := d.policies.put(bucket, policy); err != nil {
		return notDurable(err)
	}
	return nil
}

func (d *durable) DeleteBucketPolicy(_ context.Context, bucket string) error {
	if err := d.findBucket(bucket); err != nil {
		return err
	}
	if err := d.policies.remove(bucket); err != nil {
		return notDurable(err)
	}
	return nil
}

// withoutPolicy makes sure that a bucket that is new, or gone, has no policy.
func (d *durable) withoutPolicy(bucket string) error {
	if err := d.policies.remove(bucket); err != nil {
		return notDurable(err)
	}
	return nil
}
