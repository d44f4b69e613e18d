package reporter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// publish makes the stable names show the current run of a commit. Every run begins
// with it, so that what a crash left half done is repaired.
//
//   - Order: who may sign, reports, stale names removed, the manifest's signature,
//     then manifest.json: until then readers of the old manifest find all
//     that it points to.
func (r *Reporter) publish(ctx context.Context, c *schemas.Commit) error {
	if err := r.publishSigners(ctx); err != nil {
		return err
	}
	// Before and after: a run that was committed meanwhile may have published before us, and
	// pruned what the commit at hand points to.
	for shown := int64(0); ; shown = c.Number {
		n, _, err := r.highest(ctx, schemas.CommitFolder(c.Tenant, c.Period))
		if err != nil || n <= shown {
			return err
		}
		if n > c.Number {
			if c, err = r.readCommit(ctx, schemas.CommitName(c.Tenant, c.Period, n)); err != nil {
				return err
			}
		}
		if err := r.publishOne(ctx, c); err != nil {
			return err
		}
	}
}

func (r *Reporter) publishOne(ctx context.Context, c *schemas.Commit) error {
	folder := schemas.ReportFolder(c.Tenant, c.Period)
	manifest, sig, err := r.currentManifest(ctx, folder, c)
	if err != nil {
		return err
	}
	current, err := r.holds(ctx, folder+schemas.ManifestFile, manifest)
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
	for _, k := range c.Kept {
		if k.Restatement > 0 {
			if err := r.publishRestatement(ctx, folder, k); err != nil {
				return err
			}
		}
	}
	if signed, err := r.holds(ctx, folder+schemas.SignatureFile, sig); err != nil || current && signed {
		return err
	}
	if err := r.removeStale(ctx, folder, stable); err != nil {
		return err
	}
	return r.putManifest(ctx, folder, manifest, sig)
}

// publishRestatement copies the files of a restatement's run to its number, the manifest last.
func (r *Reporter) publishRestatement(ctx context.Context, folder string, k schemas.KeptRun) error {
	from, to := schemas.RunFolder(k.Run), schemas.RestatementFolder(k.Restatement)
	names := []string{schemas.InputsFile, schemas.SignatureFile, schemas.ManifestFile}
	for _, o := range k.Objects {
		names = append([]string{strings.TrimPrefix(o, from)}, names...)
	}
	last, err := r.Buckets.Reporting.Stat(ctx, folder+to+schemas.ManifestFile)
	if err != nil && !errors.Is(err, bucket.ErrNotExist) {
		return err
	}
	if err == nil && last.Size > 0 {
		return nil // it is written last, and never changes
	}
	for _, name := range names {
		err := r.copyStable(ctx, folder+from+name, folder+to+name, false)
		if name == schemas.SignatureFile && errors.Is(err, bucket.ErrNotExist) {
			continue // it was not signed
		} else if err != nil {
			return err
		}
	}
	return nil
}

// currentManifest is what the stable name of a month's manifest must show, and its signature:
// those of the commit's current run, which a restatement adds a pointer to.
func (r *Reporter) currentManifest(ctx context.Context, folder string, c *schemas.Commit) (manifest, sig []byte, err error) {
	manifest, sig, err = r.runManifest(ctx, folder, c)
	if err != nil || c.Restated == nil {
		return manifest, sig, err
	}
	var m schemas.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, nil, fmt.Errorf("read the manifest of run %s: %w", c.Current.Run, err)
	}
	m.RestatedBy = &schemas.RestatedBy{Restatement: c.Restated.Restatement, Run: c.Restated.Run,
		Manifest: schemas.RestatementFolder(c.Restated.Restatement) + schemas.ManifestFile, SHA256: c.Restated.Manifest.SHA256}
	if manifest, err = encodeManifest(&m); err != nil {
		return nil, nil, err
	}
	there, _, err := r.Buckets.Reporting.Get(ctx, folder+schemas.SignatureFile, "", crypto.MaxSignature)
	if err == nil {
		if _, err := r.Signers.Verify(manifest, there, crypto.SignerPrincipal, crypto.ManifestNamespace, r.Now()); err == nil {
			return manifest, there, nil // perhaps by an older key of ours
		}
	}
	sig, err = r.sign(manifest)
	return manifest, sig, err
}

// runManifest is the manifest of a commit's current run, and its signature.
func (r *Reporter) runManifest(ctx context.Context, folder string, c *schemas.Commit) (manifest, sig []byte, err error) {
	run := folder + schemas.RunFolder(c.Current.Run)
	manifest, _, err = r.Buckets.Reporting.Get(ctx, run+schemas.ManifestFile, "", maxSmall)
	if err != nil {
		return nil, nil, err
	}
	if digestOfBytes(manifest) != c.Current.Manifest {
		return nil, nil, fmt.Errorf("read %s: it is not the manifest that commit %d names: restore it", run+schemas.ManifestFile, c.Number)
	}
	sig, _, err = r.Buckets.Reporting.Get(ctx, run+schemas.SignatureFile, "", crypto.MaxSignature)
	if errors.Is(err, bucket.ErrNotExist) { // lost, or of a time without signatures
		if sig, err = r.sign(manifest); err == nil && sig != nil {
			_, err = r.Buckets.Reporting.PutBytes(ctx, run+schemas.SignatureFile, sig)
		}
	}
	return manifest, sig, err
}

func digestOfBytes(b []byte) schemas.Digest {
	sum := sha256.Sum256(b)
	return schemas.Digest{Bytes: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}

// holds tells whether an object has that content; nil: whether there is none.
func (r *Reporter) holds(ctx context.Context, name string, content []byte) (bool, error) {
	there, _, err := r.Buckets.Reporting.Get(ctx, name, "", maxSmall)
	if errors.Is(err, bucket.ErrNotExist) {
		return content == nil, nil
	}
	return content != nil && bytes.Equal(there, content), err
}

// publishSigners makes sure that the list of those who sign names us. What others have put
// into it stays.
func (r *Reporter) publishSigners(ctx context.Context) error {
	if r.Signers.Len() == 0 {
		return nil
	}
	there, _, err := r.Buckets.Reporting.Get(ctx, schemas.SignersFile, "", crypto.MaxAllowedSigners)
	if errors.Is(err, bucket.ErrTooLarge) {
		r.Log.Error("the published list of signers is none: remove it", "object", schemas.SignersFile, "err", err)
		return nil
	} else if err != nil && !errors.Is(err, bucket.ErrNotExist) {
		return err
	}
	list, changed := r.Signers.Join(there)
	if !changed {
		return nil
	}
	_, err = r.Buckets.Reporting.PutBytes(ctx, schemas.SignersFile, list)
	return err
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

// removeStale removes the stable names of reports that the current run does not have.
func (r *Reporter) removeStale(ctx context.Context, folder string, stable map[string]bool) error {
	for _, report := range schemas.Reports {
		for _, compression := range schemas.Compressions {
			if name := folder + schemas.ReportFile(report, compression); !stable[name] {
				if err := r.removeStable(ctx, name); err != nil {
					return err
				}
			}
		}
	}
	return nil
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
