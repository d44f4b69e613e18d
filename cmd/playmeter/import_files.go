package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// localFile is a file on its way into the usage bucket.
type localFile struct {
	path, key string
	size      int64
}

// findUsage lists the files of paths, by key as they will be put. Names that no
// run would look at are skipped.
func findUsage(paths []string, prefix string) (found []localFile, skipped []string, err error) {
	skipped = []string{}
	from := map[string]string{}
	add := func(file, key string, size int64) error {
		if key = path.Join(strings.Trim(prefix, "/"), key); !schemas.IsUsageKey(key) {
			skipped = append(skipped, file)
			return nil
		}
		if other, twice := from[key]; twice {
			return usagef("import %s: %s has the same key %s", file, other, key)
		}
		from[key] = file
		found = append(found, localFile{file, key, size})
		return nil
	}
	for _, p := range paths {
		root, err := filepath.Abs(p)
		if err != nil {
			return nil, nil, err
		}
		info, err := os.Stat(root)
		if err != nil {
			return nil, nil, usagef("import: %w", err)
		}
		if !info.IsDir() {
			err = add(root, filepath.Base(root), info.Size())
		} else {
			err = walk(root, add)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return found, skipped, nil
}

// walk gives each regular file below root, in order; links are followed to files only.
func walk(root string, add func(file, key string, size int64) error) error {
	return filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Stat(file)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		key, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		return add(file, filepath.ToSlash(key), info.Size())
	})
}

// checkUsage reads every file through and keeps those that a run could read.
func checkUsage(ctx context.Context, files []localFile, done *imported, p *progress) ([]localFile, error) {
	var good []localFile
	for i, f := range files {
		p.at("checking files", int64(i), int64(len(files)), "files")
		bad, err := readThrough(ctx, f)
		switch {
		case errors.Is(err, schemas.ErrUnreadable):
			done.Rejected[f.path] = err.Error()
			continue
		case err != nil:
			return nil, fmt.Errorf("check %s: %w", f.path, err)
		case bad > 0:
			done.BadRows[f.path] = bad
		}
		good = append(good, f)
	}
	return good, nil
}

// readThrough counts the rows of a file that cannot be read.
func readThrough(ctx context.Context, f localFile) (bad int64, err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	u, err := schemas.OpenUsage(f.key, in, f.size)
	if err != nil {
		return 0, err
	}
	for i := range u.Parts() {
		n, err := readPart(ctx, u.Part(i))
		if err != nil {
			return bad, err
		}
		bad += n
	}
	return bad, nil
}

func readPart(ctx context.Context, r *schemas.UsageReader) (bad int64, err error) {
	defer r.Close()
	for {
		b, err := r.Next()
		if err == io.EOF {
			return bad, ctx.Err()
		} else if err != nil {
			return bad, err
		}
		for _, reason := range b.Bad {
			if reason != 0 {
				bad++
			}
		}
		if ctx.Err() != nil {
			return bad, ctx.Err()
		}
	}
}

// uploads is how many files are sent at once.
const uploads = 4

// putUsage puts files; first it looks whether any of them may not be put.
func putUsage(ctx context.Context, to *bucket.Bucket, files []localFile, replace bool, done *imported, p *progress) error {
	var fresh []localFile
	var taken []error
	var total int64
	for i, f := range files {
		p.at("looking for keys", int64(i), int64(len(files)), "files")
		same, err := there(ctx, to, f)
		switch {
		case errors.Is(err, bucket.ErrNotExist):
		case err != nil:
			return err
		case same:
			done.Same = append(done.Same, f.key)
			continue
		case !replace:
			taken = append(taken, fmt.Errorf("import %s: the key %s holds another content", f.path, f.key))
			continue
		}
		fresh = append(fresh, f)
		total += f.size
	}
	if len(taken) > 0 {
		return fmt.Errorf("%w\nnothing was put; --replace replaces them, and the next run counts the new content instead of the old", errors.Join(taken...))
	}
	return putAll(ctx, to, fresh, total, done, p)
}

func putAll(ctx context.Context, to *bucket.Bucket, files []localFile, total int64, done *imported, p *progress) error {
	var bytes atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for _, f := range files {
		done.Put = append(done.Put, f.key)
		done.Bytes += f.size
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := putFile(ctx, to, f); err != nil {
				return fmt.Errorf("import %s: %w", f.path, err)
			}
			p.at("importing", bytes.Add(f.size), total, "bytes")
			return nil
		})
	}
	return g.Wait()
}

func putFile(ctx context.Context, to *bucket.Bucket, f localFile) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	if f.size <= bucket.MaxPut {
		_, err = to.Put(ctx, f.key, in, f.size)
		return err
	}
	w, err := to.Writer(ctx, f.key)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		w.Abort(err)
		return err
	}
	return w.Close()
}

// there tells whether the bucket holds the very bytes of a file. Errors:
// bucket.ErrNotExist.
func there(ctx context.Context, b *bucket.Bucket, f localFile) (same bool, err error) {
	info, err := b.Stat(ctx, f.key)
	if err != nil || info.Size != f.size {
		return false, err
	}
	in, err := os.Open(f.path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	r, _, err := b.Reader(ctx, f.key, info.ETag)
	if err != nil {
		return false, err
	}
	defer r.Close()
	return equal(in, r)
}

// equal compares two streams.
func equal(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if errA != nil || errB != nil {
			return errA != nil && errB != nil, nil
		}
	}
}
