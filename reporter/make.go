package reporter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	kgzip "github.com/klauspost/compress/gzip"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// run is the making of one tenant's reports of a period.
type run struct {
	r      *Reporter
	plan   *plan
	tenant *Tenant
	period schemas.Period
	head   *schemas.Commit // nil: the first run
	rules  accounting.Rules
	result *TenantResult

	bounds    accounting.Bounds
	inputs    []input
	catalog   *catalogView
	name      string
	commit    schemas.Commit
	statement *accounting.Statement
	sorted    *sorter // nil: the sessions are those of the head
	past      bool    // the as-of lies before that of the current run: readers keep that one
	final     bool    // the month is final: what has changed since makes a restatement

	restatement int // number of the one that is made; 0: none
	diff        *schemas.ManifestReport
	rulesBefore string // digest, where other rules are taken now
	warnings    []string
}

// rulesOf are the rules of a period: those of its first run, else the configured ones.
func rulesOf(head *schemas.Commit, configured accounting.Rules) (accounting.Rules, error) {
	if head == nil {
		return configured, nil
	}
	return parseRules(head, head.RulesInForce())
}

func parseRules(c *schemas.Commit, raw json.RawMessage) (rules accounting.Rules, err error) {
	if err := json.Unmarshal(raw, &rules); err != nil {
		return rules, fmt.Errorf("read the rules of commit %d of %s %s: %w", c.Number, c.Tenant, c.Period, err)
	}
	return rules, nil
}

// make runs the steps in order. Nothing that readers see changes before the commit.
func (x *run) make(ctx context.Context) error {
	if err := x.begin(ctx); err != nil || x.result.Note != "" {
		return err
	}
	if err := x.collect(ctx); err != nil {
		return err
	}
	if x.final {
		if due, err := x.restatementDue(ctx); err != nil || !due {
			return err
		}
	}
	close, err := x.r.cutHour(ctx, x.tenant.ID, x.bounds, x.inputs)
	if err != nil {
		return err
	}
	defer close()
	defer func() {
		if x.sorted != nil {
			x.sorted.close()
		}
	}()
	if err := x.fold(ctx); err != nil {
		return err
	}
	if x.name, err = x.r.claim(ctx, x.tenant.ID, x.period, x.plan.asOf, x.commit.Parent); err != nil {
		return err
	}
	reports, err := x.writeReports(ctx)
	if err != nil {
		return err
	}
	if x.restatement > 0 {
		if x.changesNothing(reports) {
			return x.leaveFinal(ctx)
		}
		if err := x.writeDiff(ctx); err != nil {
			return err
		}
	}
	manifest, err := x.writeManifest(ctx, reports)
	if err != nil {
		return err
	}
	return x.conclude(ctx, manifest)
}

// begin repairs what an earlier run left and finds out whether there is
// anything to do.
func (x *run) begin(ctx context.Context) error {
	head, err := x.r.head(ctx, x.tenant.ID, x.period) // under the lease: it may have moved
	if err != nil {
		return err
	}
	if x.head = head; head != nil {
		if err := x.r.publish(ctx, head); err != nil {
			x.r.Log.Error("the stable names of the run before could not be repaired", "tenant", x.tenant.ID, "month", x.period.String(), "run", head.Current.Run, "err", err)
		}
		x.past = head.Current.AsOf > x.plan.asOf.Format(time.RFC3339)
	}
	fixed, err := rulesOf(head, x.rules)
	if err != nil {
		return err
	}
	switch {
	case x.plan.currentRules && head != nil && fixed.Digest() != x.rules.Digest():
		x.rulesBefore = fixed.Digest()
	case x.plan.currentRules:
	case x.rules.Idle != fixed.Idle:
		return fmt.Errorf("another run has just fixed other idle times for this month: %w", ErrOvertaken)
	default:
		x.rules = fixed
	}
	for _, report := range schemas.Reports {
		if len(x.tenant.Recipients[report]) == 0 {
			x.result.Missing = append(x.result.Missing, report)
		}
	}
	if len(x.result.Missing) == len(schemas.Reports) {
		return x.r.nobody(x.tenant.ID)
	}
	if err := x.keepsReports(); err != nil {
		return err
	}
	for _, report := range x.result.Missing {
		x.r.Log.Warn("report left out: no recipient is granted it", "tenant", x.tenant.ID, "report", report)
	}
	if !x.plan.asOf.After(x.period.Start()) {
		return fmt.Errorf("the as-of %s is not after the month's start", x.plan.asOf.Format(time.RFC3339))
	}
	x.final = head != nil && head.Current.State == StateFinal && !x.past
	return nil
}

// keepsReports does not let a month become final without a report for no other reason than that its keys have
// expired: until one is granted it stays as it is.
func (x *run) keepsReports() error {
	if x.r.State(x.period, x.plan.asOf) != StateFinal {
		return nil
	}
	t, err := x.r.Tenant(x.tenant.ID)
	if err != nil {
		return err
	}
	if gone := t.expired(x.r.Now()); len(gone) > 0 {
		return fmt.Errorf("the month is not made final without %s: %s", gone, strings.Join(t.Expiring(x.r.Now()), "; "))
	}
	return nil
}

// nobody says why a tenant has no recipient.
func (r *Reporter) nobody(id schemas.Tenant) error {
	if t, err := r.Tenant(id); err == nil && len(t.Expires) > 0 {
		if lines := t.Expiring(r.Now()); len(lines) > 0 {
			return fmt.Errorf("nobody could read them: %s", strings.Join(lines, "; "))
		}
	}
	return fmt.Errorf("nobody could read them: add a recipient (an age or SSH public key; \"playmeter keygen\" makes one) under grants of tenant %s", id)
}

// collect pins the inputs and works out what the results depend on.
func (x *run) collect(ctx context.Context) (err error) {
	x.bounds = accounting.NewBounds(x.period, x.plan.asOf, x.rules.Idle)
	prior, err := x.priorInputs(ctx)
	if err != nil {
		return err
	}
	if err := x.findInputs(ctx, prior); err != nil {
		return err
	}
	if x.catalog, err = x.r.loadCatalog(ctx, x.tenant.ID, x.bounds); err != nil {
		return err
	}
	x.result.Aside = x.catalog.asides
	rules, err := json.Marshal(x.rules)
	if err != nil {
		return err
	}
	x.commit = schemas.Commit{Tenant: x.tenant.ID, Period: x.period, Rules: rules, Basis: schemas.Basis{Files: filesDigest(x.inputs),
		Snapshots: x.catalog.listed, Catalog: x.catalog.digest, Rules: x.rules.Digest(), Fold: foldVersion}}
	if x.head != nil {
		x.commit.Parent = x.head.Number
	}
	x.commit.Statement = digestOf("statement", foldVersion, fmt.Sprint(schemas.TallyFormat), x.period.String(), inputsDigest(x.inputs), x.rules.Digest(), x.divided())
	x.commit.SessionsKey = digestOf("sessions", x.commit.Statement, x.catalog.digest, x.r.Agents.Digest(), x.r.Geo.Name())
	return nil
}

// findInputs pins the inputs. Where one is missing, another process may have counted a file
// that was not there yet when this run planned: it plans once more.
func (x *run) findInputs(ctx context.Context, prior []schemas.Input) error {
	inputs, other, err := x.plan.inputs(x.tenant.ID, x.bounds, prior)
	if errors.Is(err, errNoTally) {
		again, perr := x.r.makePlan(ctx, x.period, x.plan.asOf, []accounting.Rules{x.rules})
		if perr != nil {
			return perr
		}
		again.currentRules, x.plan = x.plan.currentRules, again
		inputs, other, err = x.plan.inputs(x.tenant.ID, x.bounds, prior)
	}
	if err != nil {
		return err
	}
	if x.inputs = inputs; other > 0 {
		x.warnings = append(x.warnings, fmt.Sprintf("%d usage files that are gone were counted under other idle times: their sessions are split by those", other))
	}
	return nil
}

// foldVersion changes with what the fold makes of the same tallies, so that no statement
// stored by other software is taken for ours.
const foldVersion = "1"

func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// divided is the as-of where rows lie at or after it, else empty: then the
// statement does not depend on it.
func (x *run) divided() string {
	for _, in := range x.inputs {
		for _, h := range in.at.info().Tenants[x.tenant.ID].Hours {
			if x.bounds.Holds(h.Hour) && h.Last >= x.bounds.AsOf {
				return fmt.Sprint(x.bounds.AsOf)
			}
		}
	}
	return ""
}

func (x *run) priorInputs(ctx context.Context) ([]schemas.Input, error) {
	if x.head == nil {
		return nil, nil
	}
	packed, _, err := x.r.Buckets.Metering.Get(ctx, x.head.NewestInputs(), "", maxStatement)
	if err != nil {
		return nil, err
	}
	return schemas.ParseInputs(packed)
}

// fold makes statement and sessions, or takes them over from the run before
// where nothing that they depend on has changed.
func (x *run) fold(ctx context.Context) error {
	// After a restatement the key speaks of that, and not of the current run's report.
	if x.head != nil && x.restatement == 0 && x.head.Restated == nil && x.head.SessionsKey == x.commit.SessionsKey && x.sessionsStand(ctx) {
		if s, err := x.r.readStatement(ctx, x.head); err == nil {
			x.statement = s
			x.commit.Sessions, x.commit.SessionRows = x.head.Sessions, x.head.SessionRows
			return nil
		} else if !errors.Is(err, bucket.ErrNotExist) {
			x.r.Log.Warn("the stored statement could not be read; it is folded again", "tenant", x.tenant.ID, "err", err)
		}
	}
	x.r.progress(Progress{Stage: "fold", Tenant: x.tenant.ID, Total: int64(len(x.inputs)), Unit: "files"})
	x.sorted = newSorter(x.r.Temp)
	mask, err := x.r.masker(x.tenant.ID, x.rules)
	if err != nil {
		return err
	}
	finish := &accounting.Finisher{Facts: x.catalog.holdings.Facts(), Agents: x.r.Agents, Geo: x.r.Geo, Mask: mask}
	f := x.r.newFold(x.tenant.ID, x.bounds, x.rules, x.inputs)
	if x.statement, err = f.run(ctx, finish, x.sorted.add); err != nil {
		return err
	}
	x.commit.SessionRows = x.sorted.rows
	if x.past {
		return nil
	}
	return x.r.storeStatement(ctx, &x.commit, x.statement)
}

// sessionsStand tells whether the head's sessions report serves the tenant as it is.
func (x *run) sessionsStand(ctx context.Context) bool {
	if len(x.tenant.Recipients[schemas.ReportSessions]) == 0 {
		return true
	}
	p := x.head.Current.Report(schemas.ReportSessions)
	return p != nil && x.r.stands(ctx, schemas.ReportFolder(x.tenant.ID, x.period), p, x.tenant)
}

func (x *run) job(report schemas.Report) reportJob {
	j := reportJob{report: report, folder: schemas.ReportFolder(x.tenant.ID, x.period), run: x.name, tenant: x.tenant}
	if x.head != nil && x.restatement == 0 { // a restatement is whole by itself
		j.previous = x.head.Current.Report(report)
	}
	return j
}

// writeReports writes what the tenant is granted.
func (x *run) writeReports(ctx context.Context) ([]schemas.ManifestReport, error) {
	var reports []schemas.ManifestReport
	if len(x.tenant.Recipients[schemas.ReportUsage]) > 0 {
		m, err := x.writeUsage(ctx)
		if err != nil {
			return nil, err
		}
		reports = append(reports, m)
	}
	m, err := x.writeSessions(ctx)
	if err != nil {
		return nil, err
	}
	if m != nil {
		reports = append(reports, *m)
	}
	return reports, nil
}

func (x *run) writeUsage(ctx context.Context) (schemas.ManifestReport, error) {
	j := x.job(schemas.ReportUsage)
	s, err := x.r.openReport(ctx, j)
	if err != nil {
		return schemas.ManifestReport{}, err
	}
	u := accounting.UsageReport{TenantID: x.tenant.ID, Name: x.tenant.Name, Statement: x.statement, Holdings: x.catalog.holdings, Guard: x.rules.CSVGuard}
	columns, rows, err := u.Write(s)
	if err != nil {
		s.abandon(err)
		return schemas.ManifestReport{}, err
	}
	return x.r.closeReport(ctx, s, j, columns, rows)
}

// writeSessions streams the sessions, in order, to the metering bucket and,
// where somebody may read it, to the report.
func (x *run) writeSessions(ctx context.Context) (*schemas.ManifestReport, error) {
	j := x.job(schemas.ReportSessions)
	granted := len(x.tenant.Recipients[schemas.ReportSessions]) > 0
	if x.sorted == nil {
		if !granted {
			return nil, nil
		}
		return j.previous, nil
	}
	var s *sink
	var err error
	out := io.Discard
	if granted {
		if s, err = x.r.openReport(ctx, j); err != nil {
			return nil, err
		}
		out = s
	}
	if err := x.streamSessions(ctx, out); err != nil {
		if s != nil {
			s.abandon(err)
		}
		return nil, err
	}
	if s == nil {
		return nil, nil
	}
	m, err := x.r.closeReport(ctx, s, j, schemas.SessionColumns, x.sorted.rows)
	return &m, err
}

func (x *run) streamSessions(ctx context.Context, out io.Writer) error {
	days := &dayStore{r: x.r, ctx: ctx, tenant: x.tenant.ID, period: x.period, run: x.name, known: make(map[string]string), day: -1}
	if x.head != nil {
		for _, o := range x.head.Sessions {
			days.known[withoutRun(o.Name)] = o.Name
		}
	}
	done := int64(0)
	err := writeSessionsCSV(out, x.sorted, x.rules.CSVGuard, func(session *schemas.Session, encoded []byte) error {
		if !x.past {
			if err := days.add(session, encoded); err != nil {
				return err
			}
		}
		if done++; done%50_000 == 0 {
			x.r.progress(Progress{Stage: "write", Tenant: x.tenant.ID, Done: done, Total: x.sorted.rows, Unit: "sessions"})
			return ctx.Err()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := days.store(); err != nil {
		return err
	}
	x.commit.Sessions = days.objects
	return nil
}

// writeSessionsCSV writes the sessions report; each is shown every session before it is written.
func writeSessionsCSV(w io.Writer, sorted *sorter, guard bool, each func(s *schemas.Session, encoded []byte) error) error {
	csv := schemas.SessionWriter{Guard: guard}
	buf := schemas.AppendHeader(nil, schemas.SessionColumns)
	var session schemas.Session
	err := sorted.each(func(encoded []byte) error {
		if err := schemas.DecodeSession(encoded, &session); err != nil {
			return err
		}
		if err := each(&session, encoded); err != nil {
			return err
		}
		if buf = csv.Append(buf, &session); len(buf) < 64<<10 {
			return nil
		}
		_, err := w.Write(buf)
		buf = buf[:0]
		return err
	})
	if err != nil {
		return err
	}
	_, err = w.Write(buf)
	return err
}

// gzipped is b as one gzip member, the same for the same bytes.
func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w, err := kgzip.NewWriterLevel(&out, kgzip.BestCompression)
	if err != nil {
		panic(err) // cannot happen: the level is a constant
	}
	if _, err := w.Write(b); err != nil {
		panic(err) // cannot happen: a buffer takes all
	}
	if err := w.Close(); err != nil {
		panic(err) // likewise
	}
	return out.Bytes()
}
