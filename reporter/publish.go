package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// publish makes the stable names show the current run of a commit. Every run begins
// with it, so that what a crash left half done is repaired.
//
//   - Order: reports, then stale names removed, then manifest.json: until
//     then readers of the old manifest find all that it points to.
func (r *Reporter) publish(ctx context.Context, c *schemas.Commit) error {
	folder := schemas.ReportFolder(c.Tenant, c.Period)
	if there, _, err := r.Buckets.Reporting.Get(ctx, folder+schemas.ManifestFile, "", maxSmall); err == nil {
		if sum := sha256.Sum256(there); hex.EncodeToString(sum[:]) == c.Current.Manifest.SHA256 {
			return nil
		}
	} else if !errors.Is(err, bucket.ErrNotExist) {
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
		if err := r.copyStable(ctx, folder+m.Object, name); err != nil {
			return err
		}
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
	_, err := r.Buckets.Reporting.Copy(ctx, folder+schemas.RunFolder(c.Current.Run)+schemas.ManifestFile, folder+schemas.ManifestFile, "")
	return err
}

// copyStable copies a run's file to its stable name, unless it is there.
func (r *Reporter) copyStable(ctx context.Context, from, to string) error {
	source, err := r.Buckets.Reporting.Stat(ctx, from)
	if err != nil {
		return err
	}
	there, err := r.Buckets.Reporting.Stat(ctx, to)
	if err == nil && there.ETag == source.ETag && there.Size == source.Size {
		return nil
	} else if err != nil && !errors.Is(err, bucket.ErrNotExist) {
		return err
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
