package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// file is what is handed out.
type file struct {
	what     string // as the record calls it
	run      string
	key      string
	name     string // to be saved under; empty: it is to be looked at
	kind     string // media type
	etag     string // without quotes
	size     int64
	modified time.Time
	content  io.ReadSeeker
}

// HeaderRun names the run that an answer is of.
const HeaderRun = "Playmeter-Run"

// report hands out a sealed report: exactly the bytes that are in the Reporting bucket.
func (v *service) report(report schemas.Report) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, q *request) error {
		set, key, entry, which, err := v.sealed(q, report)
		if err != nil {
			return err
		}
		info, err := v.stat(q, key, which)
		if err != nil {
			return err
		}
		if info.Size != entry.Sealed.Bytes {
			return fmt.Errorf("read %s: %w: it has %d bytes, not %d", key, errAltered, info.Size, entry.Sealed.Bytes)
		}
		return v.hand(w, q, &file{what: string(report), run: set.Manifest.Run, key: key, name: saveAs(q, which, path.Base(key)),
			kind: "application/octet-stream", etag: entry.Sealed.SHA256, size: info.Size, modified: info.Modified,
			content: v.content(q, info, entry.Sealed.SHA256)})
	}
}

// sealed finds the object of a report.
func (v *service) sealed(q *request, report schemas.Report) (*reporter.PublishedSet, string, *schemas.ManifestReport, reporter.Which, error) {
	set, which, err := v.set(q, report)
	if err != nil {
		return nil, "", nil, which, err
	}
	key, entry, err := set.Report(report)
	if errors.Is(err, reporter.ErrNotPublished) {
		err = noReport(set.Manifest, report)
	}
	return set, key, entry, which, err
}

// noReport says why a run has no such report. What a restatement changed is sealed once: not again with those
// that repeat it for other recipients.
func noReport(m *schemas.Manifest, report schemas.Report) *problem {
	if report == schemas.ReportDiff && m.Rekeys != nil && m.Restatement > 1 {
		return newProblem(http.StatusNotFound, "Restatement %d repeats restatement %d for other recipients. What that changed is sealed there alone, for the recipients of then: ask with ?restatement=%d.",
			m.Restatement, m.Restatement-1, m.Restatement-1)
	}
	return newProblem(http.StatusNotFound, "Run %s has no %s report: nobody was granted it, or it is not of that kind.", m.Run, report)
}

// stat asks for an object that a manifest names. That of an old run may be gone; that of the current one may
// have been replaced since its manifest was read.
func (v *service) stat(q *request, key string, which reporter.Which) (bucket.Info, error) {
	info, err := v.Reports.Buckets.Reporting.Stat(q.Context(), key)
	if errors.Is(err, bucket.ErrNotExist) {
		gone := bucket.ErrChanged
		if which.Run != "" {
			gone = reporter.ErrPruned
		}
		err = fmt.Errorf("stat %s: %w", key, gone)
	}
	return info, err
}

func (v *service) content(q *request, info bucket.Info, sha256 string) *content {
	return &content{ctx: q.Context(), bucket: v.Reports.Buckets.Reporting, key: info.Key, etag: info.ETag, size: info.Size, sha256: sha256}
}

// saveAs is a file's name that says whose it is. All of its parts are of letters, digits and -._ alone.
func saveAs(q *request, which reporter.Which, base string) string {
	name := string(q.tenant) + "-" + q.month.String()
	switch {
	case which.Run != "":
		name += "-" + which.Run
	case which.Restatement > 0:
		name += "-restatement-" + strconv.Itoa(which.Restatement)
	}
	return name + "-" + base
}

// inputs hands out the list of usage files that a run counted.
func (v *service) inputs(w http.ResponseWriter, q *request) error {
	set, which, err := v.set(q, schemas.ReportUsage)
	if err != nil {
		return err
	}
	key, err := set.Inputs()
	if err != nil {
		return err
	}
	info, err := v.stat(q, key, which)
	if err != nil {
		return err
	}
	return v.hand(w, q, &file{what: "inputs", run: set.Manifest.Run, key: key, name: saveAs(q, which, path.Base(key)),
		kind: "application/gzip", etag: info.ETag, size: info.Size, modified: info.Modified, content: v.content(q, info, "")})
}

// manifest hands out the manifest of a run.
func (v *service) manifest(w http.ResponseWriter, q *request) error {
	set, _, err := v.set(q, schemas.ReportUsage)
	if err != nil {
		return err
	}
	return v.hand(w, q, smallFile("manifest", set.Manifest.Run, "application/json", set.Raw, set.Info))
}

// signature hands out the signature of what manifest hands out.
func (v *service) signature(w http.ResponseWriter, q *request) error {
	set, _, err := v.set(q, schemas.ReportUsage)
	if err != nil {
		return err
	}
	body, info, err := v.Reports.Buckets.Reporting.Get(q.Context(), set.Signature(), "", crypto.MaxSignature)
	if errors.Is(err, bucket.ErrNotExist) {
		return newProblem(http.StatusNotFound, "The manifest of run %s is not signed.", set.Manifest.Run)
	} else if err != nil {
		return err
	}
	return v.hand(w, q, smallFile("signature", set.Manifest.Run, "text/plain; charset=utf-8", body, info))
}

func smallFile(what, run, kind string, body []byte, info bucket.Info) *file {
	return &file{what: what, run: run, key: info.Key, kind: kind, etag: digestOf(body), size: int64(len(body)), modified: info.Modified, content: bytes.NewReader(body)}
}

// signers hands out the list of those who sign manifests. It is no secret and of no tenant, so it is not
// put on record who fetched it.
func (v *service) signers(w http.ResponseWriter, q *request) error {
	body, info, err := v.Reports.Buckets.Reporting.Get(q.Context(), schemas.SignersFile, "", crypto.MaxAllowedSigners)
	if errors.Is(err, bucket.ErrNotExist) {
		return newProblem(http.StatusNotFound, "No list of signers is published yet: the first run publishes it.")
	} else if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Etag", quoted(digestOf(body)))
	g := &gate{w: w, q: q, size: int64(len(body)), control: http.NewResponseController(w)}
	http.ServeContent(g, q.Request, "", info.Modified, bytes.NewReader(body))
	return g.end()
}

// maxRanges is how many ranges of one object are served in one answer.
const maxRanges = 16

// hand answers with a file, or a part of it, once it is on record who gets it.
func (v *service) hand(w http.ResponseWriter, q *request, f *file) error {
	entry := Entry{Event: EventGranted, What: f.what, Run: f.run, Object: f.key, Range: q.Header.Get("Range")}
	g := &gate{w: w, q: q, size: f.size, control: http.NewResponseController(w),
		granted: func(status int) error { entry.Status = status; return v.commit(q, &entry) }}
	if c, ok := f.content.(*content); ok {
		g.content = c
		defer c.close()
	}
	if strings.Count(q.Header.Get("Range"), ",") >= maxRanges {
		return g.problem(http.StatusRequestedRangeNotSatisfiable, "Ask for at most %d ranges at once.", maxRanges)
	}
	if q.Method == http.MethodGet {
		done, err := v.stream(q)
		if err != nil {
			return err
		}
		defer done()
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "private, no-cache") // it may be kept, and is asked after each time
	h.Set("Etag", quoted(f.etag))
	h.Set(HeaderRun, f.run)
	if f.name != "" {
		h.Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	}
	defer func() {
		if g.status != 0 {
			entry.Event, entry.Status, entry.Bytes = EventSent, g.status, g.sent
			v.record(q, &entry)
		}
	}()
	http.ServeContent(g, q.Request, "", f.modified, f.content)
	return g.end()
}

// stream takes one of the places of those that fetch something long; done gives it back.
func (v *service) stream(q *request) (done func(), err error) {
	done, ofToken := v.limits.streams.take(q.caller.token.ID)
	switch {
	case done != nil:
		return done, nil
	case ofToken:
		return nil, retryAfter(newProblem(http.StatusTooManyRequests, "Fetch at most %d at once with one token.", streamsOfToken), time.Second)
	}
	return nil, unavailable(nil, "Too many reports are fetched at present: ask again.")
}

func quoted(etag string) string { return `"` + etag + `"` }
