package reporter

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	kgzip "github.com/klauspost/compress/gzip"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// summed is what an object came to.
type summed struct {
	sealed schemas.Digest
	plain  *schemas.Digest // nil: not opened
	bad    error           // why it could not be opened, or read
}

// checkRun compares a run's objects with its manifest. Of a run outside of the chain they may be gone.
func (a *audit) checkRun(ctx context.Context, rec *record) error {
	if !rec.fits {
		return nil
	}
	if err := a.checkInputs(ctx, rec); err != nil {
		return err
	}
	for _, e := range rec.m.Objects() {
		if err := a.checkReport(ctx, rec, &e); err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) checkReport(ctx context.Context, rec *record, e *schemas.ManifestReport) error {
	if !a.isReport(rec.run, e) {
		a.find(rec.folder+schemas.ManifestFile, nextAsk, "it names %q as its %s report, which is none of this chain", e.Object, e.Report)
		return nil
	}
	if _, ok := a.listed[e.Object]; !ok {
		if !rec.inChain {
			return nil
		} else if a.kept(e.Object) {
			a.find(e.Object, nextRestore, "it is missing")
		} else {
			a.pruned[e.Object] = true
			rec.pruned++
		}
		return nil
	}
	got, err := a.sum(ctx, e.Object, e)
	if err != nil || got.bad != nil && got.sealed == (schemas.Digest{}) {
		return err // what kept us from reading it has been found
	}
	switch {
	case got.sealed != e.Sealed:
		a.findOther(e.Object, rec.folder, got.sealed, e.Sealed)
	case got.bad != nil:
		a.find(e.Object, "report it: this is a bug", "it is the object that was sealed, and does not open: %v", got.bad)
	case got.plain != nil && *got.plain != e.Plaintext:
		a.find(e.Object, "report it: this is a bug", "its CSV is not the one that %s%s names: %d bytes, SHA-256 %s", a.folder, rec.folder+schemas.ManifestFile, got.plain.Bytes, got.plain.SHA256)
	}
	return nil
}

func (a *audit) findOther(name, folder string, got, want schemas.Digest) {
	a.find(name, nextRestore, "it is not the object that %s%s names: %d bytes, SHA-256 %s, where %d, %s were written",
		a.folder, folder+schemas.ManifestFile, got.Bytes, got.SHA256, want.Bytes, want.SHA256)
}

// isReport tells whether a manifest's entry names a report of its own run, or of one of the chain.
func (a *audit) isReport(owner string, e *schemas.ManifestReport) bool {
	rest, ok := strings.CutPrefix(e.Object, "runs/")
	run, file, sub := strings.Cut(rest, "/")
	c, err := schemas.CompressionOf(file)
	return ok && sub && err == nil && file == schemas.ReportFile(e.Report, c) && (!a.whole || run == owner || a.runs[run] != nil && a.runs[run].inChain)
}

// kept tells whether a report must still be there: that of the current run, of a final one
// or of a restatement. Those of others may have been pruned.
func (a *audit) kept(object string) bool {
	for _, rec := range a.chain {
		if rec.m == nil {
			continue
		}
		current := a.stable != nil && a.stable.m != nil && rec.run == a.stable.m.Run || a.commit != nil && rec.run == a.commit.Current.Run
		if !current && rec.m.State != StateFinal && rec.m.Restatement == 0 {
			continue
		}
		if slices.ContainsFunc(rec.m.Objects(), func(e schemas.ManifestReport) bool { return e.Object == object }) {
			return true
		}
	}
	return false
}

// sum downloads an object once and works out its digests. With an entry of a manifest it is
// opened as well, where we have the key.
func (a *audit) sum(ctx context.Context, name string, e *schemas.ManifestReport) (*summed, error) {
	if s, ok := a.sums[name]; ok && (s.bad != nil || s.sealed != (schemas.Digest{})) {
		return s, nil
	}
	s := new(summed)
	a.sums[name] = s
	body, _, err := a.Reporting.Reader(ctx, a.folder+name, "")
	if err == nil {
		defer body.Close()
		err = a.read(body, s, e)
	}
	if isDenied(err) {
		s.bad, a.denied[name] = err, true
		return s, nil
	}
	if err != nil && isFault(err) {
		s.bad = err
		a.find(name, nextFor(name), "it cannot be read: %v", err)
		return s, nil
	}
	a.out.Objects++
	a.out.Bytes += s.sealed.Bytes
	return s, err
}

func (a *audit) read(body io.Reader, s *summed, e *schemas.ManifestReport) error {
	in := &failing{r: body}
	before := a.done
	sealed := &reading{r: in, sum: sha256.New(), each: func(done int64) {
		a.done = before + done
		if a.Progress != nil {
			a.Progress(Progress{Stage: "verify", Tenant: a.tenant, Done: a.done, Total: max(a.total, a.done), Unit: "bytes"})
		}
	}}
	if e != nil && a.Identities.Len() > 0 {
		a.open(sealed, s, e)
	}
	if _, err := io.Copy(io.Discard, sealed); err != nil || in.err != nil {
		return cmp.Or(in.err, err)
	}
	s.sealed = schemas.Digest{Bytes: sealed.n, SHA256: hex.EncodeToString(sealed.sum.Sum(nil))}
	return nil
}

func (a *audit) open(sealed io.Reader, s *summed, e *schemas.ManifestReport) {
	compression, err := schemas.CompressionOf(e.Object)
	if err != nil {
		return // cannot happen: it was looked at before
	}
	plain := &digester{w: &atMost{e.Plaintext.Bytes}, sum: sha256.New()}
	err = unseal(plain, sealed, a.Identities, compression)
	switch {
	case errors.Is(err, crypto.ErrNoIdentity):
		a.out.Unopened++
	case err != nil:
		s.bad = err
	default:
		a.out.Opened++
		s.plain = new(plain.digest())
	}
}

// failing remembers why reading failed, whoever swallows it.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// atMost takes no more than n bytes: what is longer need not be unpacked to its end.
type atMost struct{ n int64 }

func (w *atMost) Write(b []byte) (int, error) {
	if w.n -= int64(len(b)); w.n < 0 {
		return 0, errors.New("the CSV is longer than its manifest says")
	}
	return len(b), nil
}

// gzipHeaders are how our input lists may begin: no name, and no time, which our gzip writer
// writes as the year 1.
var gzipHeaders = []string{"\x1f\x8b\x08\x00\x00\x09\x6e\x88\x02\xff", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"}

// checkInputs compares a run's list of inputs with its manifest.
func (a *audit) checkInputs(ctx context.Context, rec *record) error {
	name, in := rec.folder+schemas.InputsFile, &rec.m.Inputs
	if in.List != name {
		a.find(rec.folder+schemas.ManifestFile, nextAsk, "it names %q as its list of inputs", in.List)
		return nil
	}
	if _, ok := a.listed[name]; !ok {
		if rec.inChain {
			a.find(name, nextRestore, "it is missing")
		}
		return nil
	}
	a.sums[name] = new(summed)
	body, _, err := a.Reporting.Reader(ctx, a.folder+name, "")
	if err == nil {
		defer body.Close()
		from := &failing{r: body}
		if err = readInputs(from, in); err != nil && from.err != nil {
			err = from.err
		}
	}
	switch {
	case err == nil:
		a.out.Objects++
		a.out.Bytes += a.listed[name].Size
		return nil
	case isDenied(err):
		a.denied[name] = true
		return nil
	case isFault(err), errors.Is(err, errOtherInputs):
		a.find(name, nextRestore, "%v", err)
		return nil
	}
	return err
}

// isDenied tells an object that is not granted from a key that is none.
func isDenied(err error) bool {
	return errors.Is(err, bucket.ErrDenied) && !errors.Is(err, bucket.ErrKey)
}

var errOtherInputs = errors.New("it is not the list that its manifest names")

// readInputs compares a list with what its manifest says of it.
func readInputs(body io.Reader, want *schemas.Inputs) error {
	from := bufio.NewReader(body)
	if head, err := from.Peek(len(gzipHeaders[0])); err != nil || !slices.Contains(gzipHeaders, string(head)) {
		return fmt.Errorf("%w: it does not begin as our gzip files do", errOtherInputs)
	}
	z, err := kgzip.NewReader(from)
	if err != nil {
		return fmt.Errorf("%w: %v", errOtherInputs, err)
	}
	z.Multistream(false)
	files, size, sum := 0, int64(0), sha256.New()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line schemas.Input
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("%w: line %d: %v", errOtherInputs, files+1, err)
		}
		sum.Write(lines.Bytes())
		sum.Write([]byte{'\n'})
		size += line.Size
		if files++; files > want.Files {
			return fmt.Errorf("%w: it has more than %d lines", errOtherInputs, want.Files)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %v", errOtherInputs, err)
	}
	if n, err := from.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: something follows its end", errOtherInputs)
	} else if err != io.EOF {
		return err
	}
	if digest := "sha256:" + hex.EncodeToString(sum.Sum(nil)); files != want.Files || size != want.Bytes || digest != want.Digest {
		return fmt.Errorf("%w: %d files, %d bytes, %s, where %d, %d, %s were written", errOtherInputs, files, size, digest, want.Files, want.Bytes, want.Digest)
	}
	return nil
}

// checkStable compares the stable names with the objects of the run that they show.
func (a *audit) checkStable(ctx context.Context) error {
	s := a.stable
	if s == nil {
		if _, there := a.listed[schemas.ManifestFile]; !there {
			a.find(schemas.ManifestFile, nextPublish, "it is missing")
		}
		return nil
	}
	if s.m == nil || s.by == "" {
		return nil
	}
	a.out.Current = s.m.Run
	rec := a.runs[s.m.Run]
	switch name := schemas.RunFolder(s.m.Run) + schemas.ManifestFile; {
	case s.m.Tenant != a.tenant || s.m.Period != a.period:
		a.find(schemas.ManifestFile, nextPublish, "it is a manifest of tenant %s for %s, and was moved here", s.m.Tenant, s.m.Period)
		return nil
	case rec == nil:
		a.find(name, nextRestore, "it is missing or cannot be read: the stable manifest.json is its copy")
		return nil
	case a.whole && !rec.inChain:
		a.find(schemas.ManifestFile, nextPublish, "it is the manifest of run %s, which is not in the chain", s.m.Run)
		return nil
	}
	a.compareStable(s, rec)
	stable := make(map[string]bool)
	for i := range s.m.Reports {
		e := &s.m.Reports[i]
		if !a.isReport(s.m.Run, e) {
			continue // found where the run was checked
		}
		name := path.Base(e.Object)
		stable[name] = true
		if _, ok := a.listed[name]; !ok {
			a.find(name, nextPublish, "it is missing")
			continue
		}
		got, err := a.sum(ctx, name, nil)
		if err != nil {
			return err
		}
		if got.bad == nil && got.sealed != e.Sealed {
			a.find(name, nextPublish, "it is not %s%s, which the stable name must show", a.folder, e.Object)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.listed)) {
		if _, err := schemas.CompressionOf(name); err == nil && !strings.Contains(name, "/") && !stable[name] {
			a.find(name, nextAsk+", and remove it", "the current run %s has no such report", s.m.Run)
		}
	}
	return nil
}

// compareStable compares the stable manifest with that of its run, from which it may differ by
// restated_by alone.
func (a *audit) compareStable(s, rec *record) {
	if s.m.RestatedBy == nil {
		if !bytes.Equal(s.raw, rec.raw) {
			a.find(schemas.ManifestFile, nextPublish, "it is not %s%s", a.folder, rec.folder+schemas.ManifestFile)
		} else if rec.sig != nil && !bytes.Equal(s.sig, rec.sig) {
			a.find(schemas.SignatureFile, nextPublish, "it is not %s%s", a.folder, rec.folder+schemas.SignatureFile)
		}
		return
	}
	switch same, err := sameButRestated(s.raw, rec.raw); {
	case err != nil || !same:
		a.find(schemas.ManifestFile, nextPublish, "without restated_by it is not %s%s", a.folder, rec.folder+schemas.ManifestFile)
	case s.m.State != StateFinal:
		a.find(schemas.ManifestFile, nextPublish, "it bears restated_by, and is %s, not final", s.m.State)
	}
}

// sameButRestated compares two manifests as JSON, the first without its restated_by.
func sameButRestated(stable, run []byte) (bool, error) {
	var fields [2]map[string]json.RawMessage
	for i, raw := range [][]byte{stable, run} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return false, err
		}
		if err := json.Unmarshal(compact.Bytes(), &fields[i]); err != nil {
			return false, err
		}
	}
	delete(fields[0], "restated_by")
	return maps.EqualFunc(fields[0], fields[1], func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }), nil
}

// checkRestatements compares the folders of restatements with the runs that they copy.
func (a *audit) checkRestatements(ctx context.Context) error {
	last := 0
	for _, rec := range a.chain {
		if rec.fits && rec.m.Restatement > 0 {
			last = max(last, rec.m.Restatement)
			if err := a.checkRestatement(ctx, rec); err != nil {
				return err
			}
		}
	}
	a.checkRestatedBy(last)
	for _, name := range slices.Sorted(maps.Keys(a.listed)) {
		number, ok := strings.CutPrefix(name, "restatements/")
		number, _, _ = strings.Cut(number, "/")
		if n, err := strconv.Atoi(number); ok && (err != nil || n < 1 || n > last || strconv.Itoa(n) != number) && a.whole {
			a.find(name, nextAsk, "no run of the chain is restatement %s", number)
		}
	}
	return nil
}

func (a *audit) checkRestatement(ctx context.Context, rec *record) error {
	folder := schemas.RestatementFolder(rec.m.Restatement)
	want := map[string]schemas.Digest{}
	for _, e := range rec.m.Objects() {
		want[path.Base(e.Object)] = e.Sealed
	}
	want[schemas.ManifestFile], want[schemas.SignatureFile] = digestOfBytes(rec.raw), digestOfBytes(rec.sig)
	for name := range a.listed {
		if file, ok := strings.CutPrefix(name, folder); ok {
			if _, named := want[file]; !named {
				want[file] = schemas.Digest{} // as its run has it
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(want)) {
		if err := a.compareCopy(ctx, folder+file, rec.folder+file, want[file]); err != nil {
			return err
		}
	}
	return nil
}

// compareCopy compares an object with a digest, or, without one, with the object that it is a copy of.
func (a *audit) compareCopy(ctx context.Context, name, of string, want schemas.Digest) error {
	if _, ok := a.listed[name]; !ok {
		a.find(name, nextPublish, "it is missing")
		return nil
	}
	if want == (schemas.Digest{}) {
		if _, ok := a.listed[of]; !ok {
			a.find(name, nextAsk, "it is a copy of %s%s, which is not there", a.folder, of)
			return nil
		}
		original, err := a.sum(ctx, of, nil)
		if err != nil || original.bad != nil {
			return err
		}
		want = original.sealed
	}
	got, err := a.sum(ctx, name, nil)
	if err == nil && got.bad == nil && got.sealed != want {
		a.find(name, nextPublish, "it is not the object of its run %s%s", a.folder, path.Dir(of))
	}
	return err
}

// checkRestatedBy compares what the stable manifest says of the newest restatement with the chain.
func (a *audit) checkRestatedBy(last int) {
	if a.stable == nil || a.stable.m == nil || a.stable.by == "" || !a.whole {
		return
	}
	by := a.stable.m.RestatedBy
	if by == nil {
		if last > 0 {
			a.find(schemas.ManifestFile, nextPublish, "it lacks restated_by, and restatement %d is there", last)
		}
		return
	}
	i := slices.IndexFunc(a.chain, func(rec *record) bool { return rec.run == by.Run })
	name := schemas.RestatementFolder(by.Restatement) + schemas.ManifestFile
	if i < 0 || by.Restatement != last || by.Manifest != name || a.chain[i].m.Restatement != last || a.chain[i].sha256 != by.SHA256 {
		a.find(schemas.ManifestFile, nextPublish, "its restated_by is not the newest restatement, %d", last)
	}
}
