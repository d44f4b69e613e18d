package reporter

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// sink is where a report's plaintext goes: digest, compression, seal, digest,
// object store. Nothing of it is on a disk before it is sealed. Whoever writes makes the
// digest, a second goroutine compresses, a third seals and uploads.
type sink struct {
	plain  *digester
	packs  *async
	packer io.WriteCloser
	seals  *async
	seal   io.WriteCloser
	sealed *digester
	object *bucket.Writer
}

// digester counts and hashes what passes.
type digester struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (d *digester) Write(b []byte) (int, error) {
	n, err := d.w.Write(b)
	d.sum.Write(b[:n])
	d.n += int64(n)
	return n, err
}

func (d *digester) digest() schemas.Digest {
	return schemas.Digest{Bytes: d.n, SHA256: hex.EncodeToString(d.sum.Sum(nil))}
}

// newSink opens a report at key.
func (r *Reporter) newSink(ctx context.Context, key string, c schemas.Compression, to []crypto.Recipient) (*sink, error) {
	object, err := r.Buckets.Reporting.Writer(ctx, key)
	if err != nil {
		return nil, err
	}
	s := &sink{object: object, sealed: &digester{w: object, sum: sha256.New()}}
	if s.seal, err = crypto.Seal(s.sealed, to...); err != nil {
		object.Abort(err)
		return nil, err
	}
	s.seals = newAsync(s.seal)
	if s.packer, err = newPacker(s.seals, c); err != nil {
		_ = s.seals.Close()
		object.Abort(err)
		return nil, err
	}
	s.packs = newAsync(s.packer)
	s.plain = &digester{w: s.packs, sum: sha256.New()}
	return s, nil
}

// newPacker compresses what is written to it; a fast level: reports compress nearly as well
// with it, in half the time.
func newPacker(w io.Writer, c schemas.Compression) (io.WriteCloser, error) {
	switch c {
	case schemas.CompressGzip:
		return kgzip.NewWriterLevel(w, gzip.BestSpeed)
	case schemas.CompressZstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	case schemas.CompressNone:
		return nopCloser{w}, nil
	}
	return nil, fmt.Errorf("compression %q: must be gzip, zstd or none", c)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func (s *sink) Write(b []byte) (int, error) { return s.plain.Write(b) }

// finish ends the plaintext; the object is not published yet.
func (s *sink) finish() error {
	if err := s.packs.Close(); err != nil {
		return err
	}
	if err := s.packer.Close(); err != nil {
		return err
	}
	return errors.Join(s.seals.Close(), s.seal.Close())
}

// publish makes the object appear.
func (s *sink) publish() error { return s.object.Close() }

// abandon leaves nothing behind.
func (s *sink) abandon(cause error) {
	_ = s.packs.Close()
	_ = s.seals.Close()
	s.object.Abort(cause)
}

// async hands writes to another goroutine in pieces, so that making rows, compressing
// them, and waiting for the object store go on side by side.
type async struct {
	buf    []byte
	queue  chan []byte
	free   chan []byte
	done   chan struct{}
	err    error
	closed bool
}

const asyncPiece = 256 << 10

func newAsync(w io.Writer) *async {
	a := &async{queue: make(chan []byte, 4), free: make(chan []byte, 6), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for b := range a.queue {
			if a.err == nil {
				_, a.err = w.Write(b)
			}
			select {
			case a.free <- b[:0]:
			default:
			}
		}
	}()
	return a
}

// Write never fails; Close tells.
func (a *async) Write(b []byte) (int, error) {
	a.buf = append(a.buf, b...)
	if len(a.buf) >= asyncPiece {
		a.queue <- a.buf
		select {
		case a.buf = <-a.free:
		default:
			a.buf = make([]byte, 0, asyncPiece+asyncPiece/4)
		}
	}
	return len(b), nil
}

// Close waits until everything was written.
func (a *async) Close() error {
	if !a.closed {
		a.closed = true
		if len(a.buf) > 0 {
			a.queue <- a.buf
		}
		close(a.queue)
	}
	<-a.done
	return a.err
}

// reportJob is a report to be written in a run.
type reportJob struct {
	report   schemas.Report
	folder   string // of the period
	run      string
	tenant   *Tenant
	previous *schemas.ManifestReport
}

// openReport begins a report of a run.
func (r *Reporter) openReport(ctx context.Context, j reportJob) (*sink, error) {
	key := j.folder + schemas.RunFolder(j.run) + schemas.ReportFile(j.report, j.tenant.Compression)
	s, err := r.newSink(ctx, key, j.tenant.Compression, j.tenant.recipients(j.report))
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", key, err)
	}
	return s, nil
}

// closeReport publishes a report, unless its bytes, recipients and compression are those
// of the run before: then that run's object stands.
func (r *Reporter) closeReport(ctx context.Context, s *sink, j reportJob, columns []string, rows int64) (schemas.ManifestReport, error) {
	m, err := s.end(j, columns, rows)
	if err != nil {
		s.abandon(err)
		return schemas.ManifestReport{}, err
	}
	if p := j.previous; p != nil && p.Plaintext == m.Plaintext && r.stands(ctx, j.folder, p, j.tenant) {
		s.abandon(errUnchanged)
		return *p, nil
	}
	if err := s.publish(); err != nil {
		return schemas.ManifestReport{}, err
	}
	return m, nil
}

// end ends a report, which is not published yet, and says what a manifest says of it.
func (s *sink) end(j reportJob, columns []string, rows int64) (schemas.ManifestReport, error) {
	if err := s.finish(); err != nil {
		return schemas.ManifestReport{}, err
	}
	return schemas.ManifestReport{Report: j.report, Object: schemas.RunFolder(j.run) + schemas.ReportFile(j.report, j.tenant.Compression), Rows: rows, Columns: columns,
		Plaintext: s.plain.digest(), Sealed: s.sealed.digest(), Recipients: fingerprints(j.tenant.recipients(j.report))}, nil
}

var errUnchanged = errors.New("the report did not change")

// stands tells whether a report of an earlier run serves as it is: packed and sealed as the
// tenant wants it now, and still there.
func (r *Reporter) stands(ctx context.Context, folder string, p *schemas.ManifestReport, t *Tenant) bool {
	if !sameSeal(p, t) {
		return false
	}
	info, err := r.Buckets.Reporting.Stat(ctx, folder+p.Object)
	return err == nil && info.Size == p.Sealed.Bytes
}

// sameSeal tells whether a report of an earlier run is packed and sealed as the tenant
// wants it now.
func sameSeal(p *schemas.ManifestReport, t *Tenant) bool {
	c, err := schemas.CompressionOf(p.Object)
	return err == nil && c == t.Compression && slices.Equal(p.Recipients, fingerprints(t.recipients(p.Report)))
}

func fingerprints(to []crypto.Recipient) []string {
	out := make([]string, 0, len(to))
	for _, t := range to {
		out = append(out, t.Fingerprint())
	}
	slices.Sort(out)
	return slices.Compact(out)
}
