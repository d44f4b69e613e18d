package bucket

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Leftovers. The gateway replaces an object by linking the new file under
// ".name.sgwtmp.N" and renaming it; one that dies between the two leaves a name
// that would be listed as an object. Staged files and parts lie in a folder
// .sgwtmp of each bucket.

const (
	tempFolder = ".sgwtmp"
	// partsKept is how long parts of an upload are kept that nobody finishes.
	partsKept = 7 * 24 * time.Hour
)

var leftover = regexp.MustCompile(`^\..+\.sgwtmp\.\d+$`)

// markPath is a file that is there while the store is open, and so tells
// afterwards that it was not closed.
func markPath(dir string) string { return filepath.Join(dir, "open") }

// sweep removes leftovers. The walk over all names, which takes a second for a
// million of them, is only done after an end that was not a clean one.
func sweep(dir, objects string, now time.Time) error {
	_, err := os.Stat(markPath(dir))
	unclean := !errors.Is(err, fs.ErrNotExist)
	buckets, err := os.ReadDir(objects)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		bucket := filepath.Join(objects, b.Name())
		if err := sweepTemp(filepath.Join(bucket, tempFolder), now); err != nil {
			return err
		}
		if !unclean {
			continue
		}
		if err := sweepNames(bucket); err != nil {
			return err
		}
	}
	return writeFile(markPath(dir), nil)
}

// sweepNames removes half-made replacements.
func sweepNames(bucket string) error {
	return filepath.WalkDir(bucket, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == tempFolder:
			return fs.SkipDir
		case d.Type().IsRegular() && leftover.MatchString(d.Name()):
			return os.Remove(name)
		}
		return nil
	})
}

// sweepTemp removes staged files, which nobody can be writing any more, and the
// parts of uploads that have not moved for a week.
func sweepTemp(temp string, now time.Time) error {
	staged, err := os.ReadDir(temp)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range staged {
		if e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(temp, e.Name())); err != nil {
				return err
			}
		}
	}
	uploads, err := filepath.Glob(filepath.Join(temp, "multipart", "*", "*"))
	if err != nil {
		return err
	}
	for _, upload := range uploads {
		st, err := os.Stat(upload)
		if err != nil || now.Sub(st.ModTime()) < partsKept {
			continue
		}
		if err := os.RemoveAll(upload); err != nil {
			return err
		}
		_ = os.Remove(filepath.Dir(upload)) // only when it was the last of its key
	}
	return nil
}
