package bucket

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
)

// List yields the objects whose key begins with prefix and comes after
// startAfter, at any depth.
//
//   - Shape: in byte order of the key; nothing for no objects. One page of
//     1,000 is held at a time.
//   - Errors: one, as the last pair; ErrNotExist where the bucket is missing.
//   - An object that is written or deleted meanwhile may or may not be seen.
func (b *Bucket) List(ctx context.Context, prefix, startAfter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		owner := false
		for o := range b.store.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{
			Prefix:     prefix,
			StartAfter: startAfter,
			Recursive:  true,
			MaxKeys:    1000,
			FetchOwner: &owner,
		}) {
			if o.Err != nil {
				yield(Info{}, b.wrap("list", prefix, o.Err))
				return
			}
			if !yield(info(o), nil) {
				return
			}
		}
		// A cancelled listing just stops; that must not look like its end.
		if err := ctx.Err(); err != nil {
			yield(Info{}, b.wrap("list", prefix, err))
		}
	}
}

// Folders yields what keys that begin with prefix go on with, up to and with the next slash: each once.
//
//   - Shape: whole prefixes such as commits/iten1/, in byte order; nothing for none. What lies in them is not listed.
//   - Errors: as of [Bucket.List].
func (b *Bucket) Folders(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		owner := false
		for o := range b.store.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, MaxKeys: 1000, FetchOwner: &owner}) {
			if o.Err != nil {
				yield("", b.wrap("list", prefix, o.Err))
				return
			}
			if strings.HasSuffix(o.Key, "/") && !yield(o.Key, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield("", b.wrap("list", prefix, err))
		}
	}
}

func info(o minio.ObjectInfo) Info {
	return Info{Key: o.Key, ETag: o.ETag, Size: o.Size, Modified: o.LastModified.UTC()}
}
