package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// Fetcher gets reports out of the Reporting bucket and opens them.
type Fetcher struct {
	Reporting  *bucket.Bucket
	Identities crypto.Identities
	// Restatement, if not 0, is the number of the restatement whose reports are meant.
	Restatement int
	// Progress, if set, is told how many sealed bytes have come, of how many.
	Progress func(done, total int64)
}

// Fetch writes the CSV of a tenant's report to out: the one that the period's
// manifest.json points to, so that usage and sessions fetched under one manifest belong together, or
// that of a restatement. What a restatement changed (schemas.ReportDiff) is that of the newest unless
// another is asked for.
//
//   - Errors: bytes that are not those of the manifest; then what was written
//     to out so far must not be used.
func (f *Fetcher) Fetch(ctx context.Context, tenant schemas.Tenant, p schemas.Period, report schemas.Report, out io.Writer) (*schemas.Manifest, error) {
	folder := schemas.ReportFolder(tenant, p)
	m, err := f.manifest(ctx, folder+schemas.ManifestFile)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("there are no reports of tenant %s for %s yet: %w; \"playmeter run --month %s\" makes them", tenant, p, err, p)
	} else if err != nil {
		return nil, err
	}
	newest := 0
	if m.RestatedBy != nil {
		newest = m.RestatedBy.Restatement
	}
	n := f.Restatement
	if n == 0 && report == schemas.ReportDiff {
		n = newest
	}
	switch {
	case n > newest || n == 0 && report == schemas.ReportDiff:
		return nil, fmt.Errorf("tenant %s, %s: %s", tenant, p, restatements(newest))
	case n > 0:
		if m, err = f.manifest(ctx, folder+schemas.RestatementFolder(n)+schemas.ManifestFile); err != nil {
			return nil, err
		}
	}
	for _, entry := range m.Objects() {
		if entry.Report == report {
			return m, f.open(ctx, folder+entry.Object, &entry, out)
		}
	}
	if report == schemas.ReportDiff && m.Rekeys != nil {
		return nil, fmt.Errorf("restatement %d repeats restatement %d for other recipients, and what that changed is sealed there alone: ask for it with --restatement %d and a key of that time", m.Restatement, m.Restatement-1, m.Restatement-1)
	}
	if report == schemas.ReportDiff {
		report = schemas.ReportUsage
	}
	return nil, fmt.Errorf("the run %s of tenant %s has no %s report: no recipient is granted it", m.Run, tenant, report)
}

// restatements says how many there are.
func restatements(n int) string {
	switch n {
	case 0:
		return "the month has not been restated"
	case 1:
		return "there is only restatement 1"
	}
	return fmt.Sprintf("there are restatements 1 to %d", n)
}

func (f *Fetcher) manifest(ctx context.Context, key string) (*schemas.Manifest, error) {
	raw, _, err := f.Reporting.Get(ctx, key, "", maxSmall)
	if err != nil {
		return nil, err
	}
	var m schemas.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return &m, nil
}

// open downloads, checks, decrypts and unpacks a report.
func (f *Fetcher) open(ctx context.Context, key string, entry *schemas.ManifestReport, out io.Writer) error {
	compression, err := schemas.CompressionOf(key)
	if err != nil {
		return err
	}
	body, _, err := f.Reporting.Reader(ctx, key, "")
	if err != nil {
		return err
	}
	defer body.Close()
	sealed := &reading{r: body, sum: sha256.New(), each: func(done int64) {
		if f.Progress != nil {
			f.Progress(done, entry.Sealed.Bytes)
		}
	}}
	plain := &digester{w: out, sum: sha256.New()}
	if err := unseal(plain, sealed, f.Identities, compression); err != nil {
		return fmt.Errorf("open %s: %w", key, err)
	}
	if _, err := io.Copy(io.Discard, sealed); err != nil {
		return err
	}
	if got := (schemas.Digest{Bytes: sealed.n, SHA256: hex.EncodeToString(sealed.sum.Sum(nil))}); got != entry.Sealed {
		return fmt.Errorf("open %s: it is not the object that its manifest names: %d bytes, SHA-256 %s, where %d, %s were written", key, got.Bytes, got.SHA256, entry.Sealed.Bytes, entry.Sealed.SHA256)
	}
	if got := plain.digest(); got != entry.Plaintext {
		return fmt.Errorf("open %s: the CSV is not the one that its manifest names: %d bytes, SHA-256 %s, where %d, %s were written", key, got.Bytes, got.SHA256, entry.Plaintext.Bytes, entry.Plaintext.SHA256)
	}
	return nil
}

func unseal(out io.Writer, sealed io.Reader, ids crypto.Identities, c schemas.Compression) error {
	packed, err := crypto.Open(sealed, ids)
	if err != nil {
		return err
	}
	switch c {
	case schemas.CompressGzip:
		z, err := kgzip.NewReader(packed)
		if err != nil {
			return err
		}
		packed = z
	case schemas.CompressZstd:
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		packed = z
	}
	_, err = io.Copy(out, packed)
	return err
}

// reading counts and hashes what is read.
type reading struct {
	r   io.Reader
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	n    int64
	each func(int64)
}

func (r *reading) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.sum.Write(b[:n])
	r.n += int64(n)
	r.each(r.n)
	return n, err
}
