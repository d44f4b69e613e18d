package reporter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// model is what there is and what was said: the files of the usage bucket and those that once were, the
// snapshots, the months and their runs.
type model struct {
	limits    Restate
	config    siteConfig
	listed    map[string]*usageFile
	once      map[string][]*usageFile // readable ones that a run has met, the newest last
	withdrawn map[[2]string]bool      // by key and ETag
	aside     map[[2]string]bool      // likewise: a run could not read it
	snapshots map[schemas.Tenant][]heldSnapshot
	months    map[monthKey]monthState
}

type monthKey struct {
	tenant schemas.Tenant
	period schemas.Period
}

// monthState is a month of which a run was made.
type monthState struct {
	last              string   // the run that was committed last
	current, restated *madeRun // restated: the newest restatement, nil: none
	rules             accounting.Rules
	files, catalog    string // that the run which stands was made from
	restatements      []string
}

func (s *monthState) stands() *madeRun {
	if s.restated != nil {
		return s.restated
	}
	return s.current
}

// madeRun is a run that was made.
type madeRun struct {
	run         string
	asOf        time.Time
	state       string
	restatement int
	report      *plainReport
	manifest    *schemas.Manifest
	csv         map[schemas.Report][]byte
	stable      map[string]string // ETags of the stable names, once they were looked at
}

func newModel(limits Restate) *model {
	return &model{limits: limits, config: siteConfig{usage: true, sessions: true, idle: usual}, listed: make(map[string]*usageFile), once: make(map[string][]*usageFile),
		withdrawn: make(map[[2]string]bool), aside: make(map[[2]string]bool), snapshots: make(map[schemas.Tenant][]heldSnapshot), months: make(map[monthKey]monthState)}
}

// tenants are those that are configured.
func (m *model) tenants() []schemas.Tenant {
	if m.config.second {
		return []schemas.Tenant{"acme", "bolt"}
	}
	return []schemas.Tenant{"acme"}
}

func (m *model) granted(tenant schemas.Tenant) (out []schemas.Report) {
	if tenant != "acme" || m.config.usage {
		out = append(out, schemas.ReportUsage)
	}
	if tenant != "acme" || m.config.sessions {
		out = append(out, schemas.ReportSessions)
	}
	return out
}

// see is what every run does first: it counts the files that it finds.
func (m *model) see() {
	for key, f := range m.listed {
		if f.readable {
			m.once[key] = append(slices.DeleteFunc(slices.Clone(m.once[key]), func(o *usageFile) bool { return o.etag == f.etag }), f)
		} else {
			m.aside[[2]string{key, f.etag}] = true
		}
	}
}

// files are those that count, and those that would, were they not withdrawn; by key.
func (m *model) files() (count, withdrawn []countedFile) {
	for _, key := range slices.Sorted(maps.Keys(m.once)) {
		f := countedFile{usageFile: m.once[key][len(m.once[key])-1]}
		now := m.listed[key]
		f.gone = now == nil
		f.locked = now == nil || !now.readable
		if m.withdrawn[[2]string{key, f.etag}] {
			withdrawn = append(withdrawn, f)
		} else {
			count = append(count, f)
		}
	}
	return count, withdrawn
}

// withdraw takes what is under a key out of the count, or, where that could not be read, what counts in its place.
func (m *model) withdraw(key string) {
	now, once := m.listed[key], m.once[key]
	switch {
	case now != nil && (now.readable || len(once) == 0 || !m.aside[[2]string{key, now.etag}]):
		m.withdrawn[[2]string{key, now.etag}] = true
	case len(once) > 0:
		m.withdrawn[[2]string{key, once[len(once)-1].etag}] = true
	}
}

// expectation is what a run has to come to.
type expectation struct {
	fails       string // in its error; empty: none
	made        bool
	past        bool
	state       string
	restatement int
	rulesBefore string
	report      *plainReport
	aside       int
	withdrawn   []string
	overwritten bool // a snapshot that the report which stands was made from

	files, catalog string
}

// expect foretells a run.
func (m *model) expect(r *runStep, tenant schemas.Tenant) *expectation {
	s, ran := m.months[monthKey{tenant, r.period}]
	x := &expectation{past: ran && s.current.asOf.After(r.asOf), state: "open"}
	granted := m.granted(tenant)
	switch {
	case len(granted) == 0:
		x.fails = "add a recipient"
		return x
	case !r.asOf.After(r.period.Start()):
		x.fails = "is not after the month's start"
		return x
	}
	end := r.period.End()
	if !r.asOf.Before(end) {
		x.state = "closing"
	}
	if !r.asOf.Before(end.Add(72 * time.Hour)) {
		x.state = "final"
	}
	rules := m.config.rules()
	if ran && !r.current {
		rules = s.rules
	} else if ran && rules.Digest() != s.rules.Digest() {
		x.rulesBefore = s.rules.Digest()
	}
	x.count(m, r, tenant, rules)
	if ran && s.current.state == "final" && !x.past {
		return m.restate(x, &s, r, tenant, granted)
	}
	if x.divides() {
		x.fails = "choose an as-of on the hour"
		return x
	}
	x.made = true
	return x
}

func (x *expectation) count(m *model, r *runStep, tenant schemas.Tenant, rules accounting.Rules) {
	c := &plainCount{tenant: tenant, from: r.period.Start().UnixNano(), until: r.period.End().UnixNano(), rules: rules}
	c.asOf = min(r.asOf.UnixNano(), c.until)
	count, withdrawn := m.files()
	c.files = count
	c.catalog, x.aside = c.inForce(m.snapshots[tenant])
	for key, f := range m.listed {
		if !f.readable && !m.withdrawn[[2]string{key, f.etag}] {
			x.aside++
		}
	}
	for _, f := range withdrawn {
		if in, _ := c.places(f); in {
			x.withdrawn = append(x.withdrawn, f.key)
		}
	}
	c.count()
	name := map[schemas.Tenant]string{"acme": "Acme", "bolt": "Bolt"}[tenant]
	x.report = c.report(name)
	for _, f := range append(slices.Clone(c.inputs), c.near...) {
		x.files += fmt.Sprintln(f.key, f.etag, slices.ContainsFunc(c.near, func(n countedFile) bool { return n.key == f.key }))
	}
	lines := strings.Split(x.files, "\n")
	slices.Sort(lines)
	x.files = strings.Join(lines, "\n")
	for _, s := range c.catalog {
		x.catalog += fmt.Sprintln(s.key, s.etag)
	}
}

// divides tells whether the as-of divides an hour of a file that cannot be counted again.
func (x *expectation) divides() bool {
	c := x.report
	if c.asOf == c.until || c.asOf%hour == 0 {
		return false
	}
	for _, f := range c.inputs {
		for i := range f.rows {
			if e := &f.rows[i]; f.locked && e.TenantID == string(c.tenant) && e.Time >= c.asOf && hourOf(e.Time) == hourOf(c.asOf) {
				return true
			}
		}
	}
	return false
}

// restate decides what becomes of a run of a final month.
func (m *model) restate(x *expectation, s *monthState, r *runStep, tenant schemas.Tenant, granted []schemas.Report) *expectation {
	if x.files == s.files && x.catalog == s.catalog && x.rulesBefore == "" || !r.asOf.Before(r.period.End().Add(m.limits.Until)) {
		return x
	}
	for key, other := range m.months {
		if key.tenant == tenant && other.restated != nil && r.asOf.Before(other.restated.asOf.Add(m.limits.Every)) {
			return x
		}
	}
	stands := s.stands()
	same := len(granted) == len(stands.csv)
	for _, report := range granted {
		same = same && stands.csv[report] != nil && stands.report.text[report] == x.report.text[report]
	}
	if same {
		return x
	}
	x.made, x.restatement = true, stands.restatement+1
	for _, used := range stands.report.catalog { // of the report that stands nothing is kept but what it was made from
		now := m.snapshots[tenant][slices.IndexFunc(m.snapshots[tenant], func(s heldSnapshot) bool { return s.key == used.key })]
		x.overwritten = x.overwritten || now.etag != used.etag
		if len(now.holdings) == 0 && slices.Contains(granted, schemas.ReportUsage) {
			x.fails = "can no longer be read"
		}
	}
	return x
}

// commit notes that a run was made.
func (m *model) commit(key monthKey, x *expectation, run *madeRun) {
	s := m.months[key]
	s.last = run.run
	switch {
	case x.past:
	case x.restatement > 0:
		s.restated = run
		s.restatements = append(slices.Clone(s.restatements), run.run)
	default:
		s.current = run
	}
	if !x.past {
		s.rules, s.files, s.catalog = x.report.rules, x.files, x.catalog
	}
	m.months[key] = s
}
