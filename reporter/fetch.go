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
	// Progress, if set, is told how many sealed bytes have come, of how many.
	Progress func(done, total int64)
}

// Fetch writes the CSV of a tenant's report to out: the one that the period's
// manifest.json points to, so that usage and sessions fetched under one manifest belong together.
//
//   - Errors: bytes that are not those of the manifest; then what was written
//     to out so far must not be used.
func (f *Fetcher) Fetch(ctx context.Context, tenant schemas.Tenant, p schemas.Period, report schemas.Report, out io.Writer) (*schemas.Manifest, error) {
	folder := schemas.ReportFolder(tenant, p)
	raw, _, err := f.Reporting.Get(ctx, folder+schemas.ManifestFile, "", maxSmall)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("there are no reports of tenant %s for %s yet: %w; \"playmeter run --month %s\" makes them", tenant, p, err, p)
	} else if err != nil {
		return nil, err
	}
	var m schemas.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("read %s%s: %w", folder, schemas.ManifestFile, err)
	}
	for _, entry := range m.Reports {
		if entry.Report == report {
			return &m, f.open(ctx, folder+entry.Object, &entry, out)
		}
	}
	return nil, fmt.Errorf("the run %s of tenant %s has no %s report: no recipient is granted it", m.Run, tenant, report)
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
