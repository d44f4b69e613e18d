package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// The gateway's file backend never syncs: it answers a PUT as soon as the page
// cache has it. Two wrappers make every answer mean "on the disk":
//
//   - staged: an object is written to a nameless file, gets its attributes, and
//     is then linked to its name. The ETag is among those attributes, so when it
//     is stored the bytes are complete: that is where they are synced. A name
//     therefore never leads to half an object, also not after a power cut, and
//     an overwritten object is not lost to one that never arrived.
//   - durable: after the link, and before the answer, the file again (its
//     attributes), then every folder from it up to the root of all objects.

// syncer makes one path durable. Tests put a slower or a failing one here.
type syncer func(path string) error

// syncPath asks the kernel to put a file or a folder onto the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// staged is where the gateway keeps attributes: in the file's own (xattr).
type staged struct {
	meta.XattrMeta
	failed func(*os.File) error // set by tests, asked before each sync
}

// StoreAttribute syncs the staged file that gets its ETag.
func (s staged) StoreAttribute(f *os.File, bucket, object, attribute string, value []byte) error {
	if err := s.XattrMeta.StoreAttribute(f, bucket, object, attribute, value); err != nil {
		return err
	}
	if f == nil || attribute != "etag" {
		return nil
	}
	if s.failed != nil {
		if err := s.failed(f); err != nil {
			return err
		}
	}
	return f.Sync()
}

// durable answers a change only when it is on the disk. What it does not name
// here only reads, or changes nothing that an answer promises to keep.
type durable struct {
	backend.Backend
	root     string
	sync     syncer
	policies *policies
}

// kept syncs bucket/key, or the bucket when key is empty, and the folders above.
// A path that is gone was taken away by a later request, which syncs for itself.
func (d *durable) kept(bucket, key string) error {
	name := filepath.Join(d.root, bucket, filepath.FromSlash(key))
	if !within(d.root, name) {
		return fmt.Errorf("%s/%s is outside of the store", bucket, key)
	}
	for ; ; name = filepath.Dir(name) {
		if err := d.sync(name); err != nil && !gone(err) {
			return notDurable(err)
		}
		if name == d.root {
			return nil
		}
	}
}

// notDurable is an answer that tells a client more than "internal error", save
// where things lie. Unlike other errors the gateway does not print it.
func notDurable(err error) error {
	cause := err.Error()
	if path := new(fs.PathError); errors.As(err, &path) {
		cause = path.Err.Error()
	}
	return s3err.APIError{
		Code:           "InternalError",
		Description:    "the store could not put this onto its disk for good: " + cause,
		HTTPStatusCode: http.StatusInternalServerError,
	}
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func within(root, name string) bool {
	rel, err := filepath.Rel(root, name)
	return err == nil && filepath.IsLocal(rel)
}

// keep is kept for what was answered without an error.
func (d *durable) keep(err error, bucket string, key *string) error {
	if err != nil {
		return answerable(err)
	}
	return d.kept(bucket, text(key))
}

// answerable names the trouble that the disk had, where there was some.
func answerable(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return notDurable(errno)
	}
	return err
}

// keepFound also makes durable what a create-only request ran into: whoever is
// told that it exists relies on it, and its creator may not have his answer yet.
func (d *durable) keepFound(err error, in s3response.PutObjectInput) error {
	var answer s3err.S3Error
	if in.IfNoneMatch != nil && errors.As(err, &answer) && answer.StatusCode() == http.StatusPreconditionFailed {
		if err := d.kept(text(in.Bucket), text(in.Key)); err != nil {
			return err
		}
	}
	return d.keep(err, text(in.Bucket), in.Key)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (d *durable) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.Backend.PutObject(ctx, in)
	return out, d.keepFound(err, in)
}

func (d *durable) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	out, err := d.Backend.CopyObject(ctx, in)
	return out, d.keep(err, text(in.Bucket), in.Key)
}

func (d *durable) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	out, version, err := d.Backend.CompleteMultipartUpload(ctx, in)
	return out, version, d.keep(err, text(in.Bucket), in.Key)
}

// UploadPart keeps nothing that an answer promises; the part's bytes are synced
// as staged, so that a finished upload is whole also after a crash in between.
func (d *durable) UploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	out, err := d.Backend.UploadPart(ctx, in)
	return out, answerable(err)
}

func (d *durable) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	out, err := d.Backend.DeleteObject(ctx, in)
	return out, d.keep(err, text(in.Bucket), in.Key)
}

func (d *durable) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	out, err := d.Backend.DeleteObjects(ctx, in)
	for _, o := range out.Deleted {
		err = d.keep(err, text(in.Bucket), o.Key)
	}
	return out, err
}

func (d *durable) PutObjectTagging(ctx context.Context, bucket, object, version string, tags map[string]string) error {
	return d.keep(d.Backend.PutObjectTagging(ctx, bucket, object, version, tags), bucket, &object)
}

func (d *durable) DeleteObjectTagging(ctx context.Context, bucket, object, version string) error {
	return d.keep(d.Backend.DeleteObjectTagging(ctx, bucket, object, version), bucket, &object)
}

func (d *durable) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	if err := d.keep(d.Backend.CreateBucket(ctx, in, acl), text(in.Bucket), nil); err != nil {
		return err
	}
	return d.withoutPolicy(text(in.Bucket))
}

func (d *durable) DeleteBucket(ctx context.Context, bucket string) error {
	if err := d.keep(d.Backend.DeleteBucket(ctx, bucket), bucket, nil); err != nil {
		return err
	}
	return d.withoutPolicy(bucket)
}

func (d *durable) PutBucketAcl(ctx context.Context, bucket string, acl []byte) error {
	return d.keep(d.Backend.PutBucketAcl(ctx, bucket, acl), bucket, nil)
}

func (d *durable) ChangeBucketOwner(ctx context.Context, bucket, owner string) error {
	return d.keep(d.Backend.ChangeBucketOwner(ctx, bucket, owner), bucket, nil)
}

func (d *durable) PutBucketOwnershipControls(ctx context.Context, bucket string, ownership types.ObjectOwnership) error {
	return d.keep(d.Backend.PutBucketOwnershipControls(ctx, bucket, ownership), bucket, nil)
}

func (d *durable) DeleteBucketOwnershipControls(ctx context.Context, bucket string) error {
	return d.keep(d.Backend.DeleteBucketOwnershipControls(ctx, bucket), bucket, nil)
}

func (d *durable) PutBucketTagging(ctx context.Context, bucket string, tags map[string]string) error {
	return d.keep(d.Backend.PutBucketTagging(ctx, bucket, tags), bucket, nil)
}

func (d *durable) DeleteBucketTagging(ctx context.Context, bucket string) error {
	return d.keep(d.Backend.DeleteBucketTagging(ctx, bucket), bucket, nil)
}

func (d *durable) PutBucketCors(ctx context.Context, bucket string, cors []byte) error {
	return d.keep(d.Backend.PutBucketCors(ctx, bucket, cors), bucket, nil)
}

func (d *durable) DeleteBucketCors(ctx context.Context, bucket string) error {
	return d.keep(d.Backend.DeleteBucketCors(ctx, bucket), bucket, nil)
}

func (d *durable) PutObjectLockConfiguration(ctx context.Context, bucket string, config []byte) error {
	return d.keep(d.Backend.PutObjectLockConfiguration(ctx, bucket, config), bucket, nil)
}

func (d *durable) PutObjectRetention(ctx context.Context, bucket, object, version string, retention []byte) error {
	return d.keep(d.Backend.PutObjectRetention(ctx, bucket, object, version, retention), bucket, &object)
}

func (d *durable) PutObjectLegalHold(ctx context.Context, bucket, object, version string, status bool) error {
	return d.keep(d.Backend.PutObjectLegalHold(ctx, bucket, object, version, status), bucket, &object)
}
