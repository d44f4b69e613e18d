package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// importCatalog puts a snapshot that has been read.
func (a *app) importCatalog(ctx context.Context, o importing, args []string) error {
	switch {
	case len(args) != 1:
		return usagef("import --catalog takes one file, which holds all objects of the tenant")
	case o.prefix != "" || o.check:
		return usagef("--prefix and --check are for usage files")
	}
	if o.at.IsZero() {
		o.at = time.Now()
	}
	file, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	ending, err := catalogEnding(file)
	if err != nil {
		return err
	}
	f := localFile{path: file, key: schemas.CatalogName(o.catalog, o.at, ending)}
	objects, err := readSnapshot(&f, o.force)
	if err != nil {
		return err
	}
	s, err := a.open(ctx, toWrite)
	if err != nil {
		return err
	}
	defer s.close()
	if err := putSnapshot(ctx, s.reporter.Buckets.Catalog, f, o.replace); err != nil {
		return err
	}
	if _, known := s.config.Tenant(o.catalog); !known {
		a.say("warning: tenant %s is not configured, so no report uses it yet", o.catalog)
	}
	if a.json {
		return a.printJSON(map[string]any{"key": f.key, "objects": objects, "bytes": f.size})
	}
	a.say("%s: %s objects", f.key, humanize.Comma(int64(objects)))
	return nil
}

func catalogEnding(file string) (string, error) {
	for _, ending := range []string{".parquet", ".ndjson", ".ndjson.gz", ".ndjson.zst"} {
		if strings.HasSuffix(file, ending) {
			return ending, nil
		}
	}
	return "", usagef("import %s: a catalog snapshot ends in .parquet, .ndjson, .ndjson.gz or .ndjson.zst", file)
}

// readSnapshot refuses what no run could use, unless forced.
func readSnapshot(f *localFile, force bool) (objects int, err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return 0, usagef("import: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	f.size = info.Size()
	c, err := schemas.ReadCatalog(f.key, in, f.size)
	switch {
	case err == nil:
		return len(c.Objects), nil
	case errors.Is(err, schemas.ErrUnreadable) && force:
		return 0, nil
	}
	return 0, fmt.Errorf("import %s: %w; it was not put (--force puts it all the same, and runs set it aside)", f.path, err)
}

func putSnapshot(ctx context.Context, to *bucket.Bucket, f localFile, replace bool) error {
	same, err := there(ctx, to, f)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
	case err != nil:
		return err
	case same:
		return nil
	case !replace:
		return fmt.Errorf("import %s: there is another snapshot of that instant, %s; give another --at, or --replace", f.path, f.key)
	}
	return putFile(ctx, to, f)
}
