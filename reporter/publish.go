package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// publish makes the stable names show the current run of a commit. Every run begins
// with it, so that what a crash left half done is repaired.
//
//   - Order: reports, then stale names removed, then manifest.json: until
//     then readers of the old manifest find all that it points to.
func (r *Reporter) publish(ctx context.Context, c *schemas.Commit) error {
	for {
		if err := r.publishOne(ctx, c); err != nil {
			return err
		}
		// A run that was committed meanwhile may have published before us.
		n, _, err := r.highest(ctx, schemas.CommitFolder(c.Tenant, c.Period))
		if err != nil || n <= c.Number {
			return err
		}
		if c, err = r.readCommit(ctx, schemas.CommitName(c.Tenant, c.Period, n)); err != nil {
			return err
		}
	}
}

func (r *Reporter) publishOne(ctx context.Context, c *schemas.Commit) error {
	folder := schemas.ReportFolder(c.Tenant, c.Period)
	current, err := r.manifestStands(ctx, folder, c)
	if err != nil {
		return err
	}
	stable := make(map[string]bool)
	for _, m := range c.Current.Reports {
		compression, err := schemas.CompressionOf(m.Object)
		if err != nil {
			return fmt.Errorf("commit %d of %s %s: %w", c.Number, c.Tenant, c.Period, err)
		}
		name := folder + schemas.ReportFile(m.Report, compression)
		stable[name] = true
		if err := r.copyStable(ctx, folder+m.Object, name, current); err != nil {
			return err
		}
	}
	if current {
		return nil
	}
	for _, report := range schemas.Reports {
		for _, compression := range schemas.Compressions {
			if name := folder + schemas.ReportFile(report, compression); !stable[name] {
				if err := r.removeStable(ctx, name); err != nil {
					return err
				}
			}
		}
	}
	_, err = r.Buckets.Reporting.Copy(ctx, folder+schemas.RunFolder(c.Current.Run)+schemas.ManifestFile, folder+schemas.ManifestFile, "")
	return err
}

// manifestStands tells whether the manifest at the stable name is that of the commit's
// current run.
func (r *Reporter) manifestStands(ctx context.Context, folder string, c *schemas.Commit) (bool, error) {
	there, _, err := r.Buckets.Reporting.Get(ctx, folder+schemas.ManifestFile, "", maxSmall)
	if errors.Is(err, bucket.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	sum := sha256.Sum256(there)
	return hex.EncodeToString(sum[:]) == c.Current.Manifest.SHA256, nil
}

// copyStable copies a run's file to its stable name, unless it is there: the same ETag, or, of
// an object uploaded in parts, whose copy gets another, the same size under a manifest
// that is current.
func (r *Reporter) copyStable(ctx context.Context, from, to string, current bool) error {
	source, err := r.Buckets.Reporting.Stat(ctx, from)
	if err != nil {
		return err
	}
	there, err := r.Buckets.Reporting.Stat(ctx, to)
	if err != nil && !errors.Is(err, bucket.ErrNotExist) {
		return err
	}
	if err == nil && there.Size == source.Size && (there.ETag == source.ETag || current && strings.Contains(source.ETag, "-")) {
		return nil
	}
	_, err = r.Buckets.Reporting.Copy(ctx, from, to, source.ETag)
	return err
}

func (r *Reporter) removeStable(ctx context.Context, name string) error {
	switch _, err := r.Buckets.Reporting.Stat(ctx, name); {
	case errors.Is(err, bucket.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return r.Buckets.Reporting.Delete(ctx, name)
}
