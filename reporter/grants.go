package reporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// Access is what is known of the readers whom the object store lets at reports.
type Access struct {
	// Dialect of the store's policies; empty: what the store says it is.
	Dialect bucket.Dialect
	// Principals are how policies name readers, where that does not follow from their names.
	Principals map[string]string
	// Credentials, if set, is a reader's own key, where it is known. With it is proved what the
	// reader gets.
	Credentials func(reader string) (cfg bucket.Config, known bool, err error)
	// Exists, if set, tells whether there is such a reader. Stores refuse policies that name
	// others, so those are left out, and told of.
	Exists func(reader string) (bool, error)
}

// GrantsState is what came of applying the grants, and of trying them.
type GrantsState struct {
	At      time.Time      `json:"at"`
	Dialect bucket.Dialect `json:"dialect,omitempty"`
	Readers []string       `json:"readers"` // that are granted anything
	Changed bool           `json:"changed"` // the policy was another before
	// Problems is all that is wrong: a bucket more open, or less, than the grants say.
	Problems []string `json:"problems"`
	// Unproved is what could not be tried, and why.
	Unproved []string     `json:"unproved"`
	Checks   []GrantCheck `json:"checks"`
	// Policy is the bucket's; UserPolicies are what MinIO's admin tool has to set, by user.
	Policy       string            `json:"policy,omitempty"`
	UserPolicies map[string]string `json:"user_policies,omitempty"`
}

// GrantCheck is one thing that was tried as a reader.
type GrantCheck struct {
	Reader string `json:"reader"` // empty: nobody, an unsigned request
	Action string `json:"action"` // get, list, put or delete
	Key    string `json:"key"`    // or prefix
	Want   string `json:"want"`   // allowed or denied
	Got    string `json:"got"`    // likewise
}

// What a check comes to.
const (
	Allowed = "allowed"
	Denied  = "denied"
)

// Good tells whether it came out as the grants say.
func (c *GrantCheck) Good() bool { return c.Got == c.Want }

// toldProblems is how many problems an error tells.
const toldProblems = 5

// Err tells the first of the problems; nil where there are none.
func (s *GrantsState) Err() error {
	switch more := len(s.Problems) - toldProblems; {
	case len(s.Problems) == 0:
		return nil
	case more > 0:
		return fmt.Errorf("grants: %s; and %d more", strings.Join(s.Problems[:toldProblems], "; "), more)
	}
	return fmt.Errorf("grants: %s", strings.Join(s.Problems, "; "))
}

// GrantOptions say how to apply grants.
type GrantOptions struct {
	DryRun  bool // only says what the policy would be
	Replace bool // takes away what others allow, too
	// All tries every reader with every tenant; else with the reader's own and some others.
	All bool
	// Stale, if not empty, says why the grants at hand may not be those that are meant.
	Stale string
}

// ApplyGrants writes the policy of the Reporting bucket so that each reader gets what the tenants'
// grants give, no more and no less, and tries it with the readers' own keys. What came of it
// is kept in the metering bucket, for "status".
//
//   - Errors: the store could not be asked or told. What is wrong with the grants themselves is in
//     the state: see GrantsState.Err.
func (r *Reporter) ApplyGrants(ctx context.Context, o GrantOptions) (*GrantsState, error) {
	s := &GrantsState{At: r.Now().UTC().Truncate(time.Second), Problems: []string{}, Unproved: []string{}, Checks: []GrantCheck{}}
	g := &grants{r: r, tenants: r.tenants(), state: s}
	if o.Stale != "" {
		g.problem("the changed configuration is not taken over, and grants are applied as they were before: %s", o.Stale)
	}
	if err := g.plan(ctx, o); err != nil {
		return nil, fmt.Errorf("apply the readers' grants: %w", err)
	}
	if o.DryRun {
		return s, nil
	}
	if s.Changed {
		if err := g.write(ctx, o); err != nil {
			return nil, fmt.Errorf("apply the readers' grants: %w%s", err, s.sizeHint())
		}
	}
	if err := g.prove(ctx, o.All, s.Changed); err != nil {
		return nil, fmt.Errorf("try the readers' grants: %w", err)
	}
	return s, r.keepGrants(ctx, s)
}

// sizeHint says what may be wrong with a policy that a store does not take.
func (s *GrantsState) sizeHint() string {
	if s.Dialect != bucket.DialectVersity || len(s.Policy) < 3<<10 {
		return ""
	}
	return fmt.Sprintf(" (the policy has %d bytes; a versitygw keeps it in an extended attribute, where ext4 has room for 3,896: start it with --sidecar FOLDER)", len(s.Policy))
}

// CheckGrants tries the grants, and says what the policy differs in; it changes nothing.
func (r *Reporter) CheckGrants(ctx context.Context) (*GrantsState, error) {
	s, err := r.ApplyGrants(ctx, GrantOptions{DryRun: true})
	if err != nil {
		return nil, err
	}
	if s.Changed {
		s.Problems = append(s.Problems, `the policy of the bucket is not the one that the grants make: "playmeter grants apply" writes it`)
	}
	g := &grants{r: r, tenants: r.tenants(), state: s}
	return s, g.prove(ctx, true, false)
}

func (r *Reporter) keepGrants(ctx context.Context, s *GrantsState) error {
	raw, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	_, err = r.Buckets.Metering.PutBytes(ctx, schemas.GrantsFile, raw)
	return err
}

// LastGrants is what came of the grants when they were last applied; nil: they never were.
func (r *Reporter) LastGrants(ctx context.Context) (*GrantsState, error) {
	var s GrantsState
	err := r.readJSON(ctx, r.Buckets.Metering, schemas.GrantsFile, &s)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil
	}
	return &s, err
}

// grants is one look at the grants of readers.
type grants struct {
	r       *Reporter
	tenants []Tenant
	state   *GrantsState
	there   string // the policy as it was found
}

// plan works out the policy.
func (g *grants) plan(ctx context.Context, o GrantOptions) error {
	s := g.state
	s.Readers = g.readers()
	there, err := g.r.Buckets.Reporting.Policy(ctx)
	if err != nil && len(s.Readers) == 0 && ctx.Err() == nil { // we have no business with it, and may not be let at it
		s.Unproved = append(s.Unproved, fmt.Sprintf("whether others are let at the bucket by its policy: %v", err))
		return nil
	} else if err != nil {
		return err
	}
	if s.Dialect = g.r.Access.Dialect; s.Dialect == "" && (len(s.Readers) > 0 || there != "") {
		if s.Dialect, err = g.r.Store.Dialect(ctx); err != nil {
			return err
		}
	}
	rules := g.allowances(g.principal)
	g.there = there
	plan, err := s.Dialect.PlanPolicy(g.r.Buckets.Reporting.Name(), there, rules, o.Replace)
	if err != nil {
		return err
	}
	s.Policy, s.Changed = plan.Policy, plan.Changed
	if s.Dialect == bucket.DialectMinIO {
		s.UserPolicies = bucket.UserPolicies(g.r.Buckets.Reporting.Name(), rules)
	}
	if !o.Replace {
		for _, f := range plan.Foreign {
			g.problem(`a statement of the bucket's policy that is not ours allows something: remove it, or let "playmeter grants apply --replace" do that: %s`, f)
		}
	}
	return nil
}

// write writes the policy. Where the store refuses it, somebody whom it names may not exist there: then the
// readers are added one by one, so that what is taken from the others, and given to them, takes effect.
func (g *grants) write(ctx context.Context, o GrantOptions) error {
	err := g.r.Buckets.Reporting.SetPolicy(ctx, g.state.Policy)
	if !errors.Is(err, bucket.ErrPolicy) || len(g.state.Readers) == 0 {
		return err
	}
	taken, written := make(map[string]bool), ""
	try := func() error {
		rules := g.allowances(func(name string) (string, bool) {
			if !taken[name] {
				return "", false
			}
			return g.principal(name)
		})
		plan, err := g.state.Dialect.PlanPolicy(g.r.Buckets.Reporting.Name(), g.there, rules, o.Replace)
		if err == nil {
			err = g.r.Buckets.Reporting.SetPolicy(ctx, plan.Policy)
		}
		if err == nil {
			written = plan.Policy
		}
		return err
	}
	if err := try(); err != nil { // without any
		return err
	}
	for _, name := range g.state.Readers {
		taken[name] = true
		switch err := try(); {
		case errors.Is(err, bucket.ErrPolicy):
			delete(taken, name)
			g.problem("reader %s is granted reports, and the store does not take it in a policy: does it exist there? (%v)", name, err)
		case err != nil:
			return err
		}
	}
	g.state.Policy = written
	return nil
}

func (g *grants) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(g.state.Problems, text) {
		g.state.Problems = append(g.state.Problems, text)
	}
}

// principal is how the policy names a reader, and false where it can name him in no way.
func (g *grants) principal(reader string) (string, bool) {
	if exists := g.r.Access.Exists; exists != nil {
		switch ok, err := exists(reader); {
		case err != nil:
			g.problem("reader %s: %v", reader, err)
			return "", false
		case !ok:
			g.problem(`reader %s is granted reports and does not exist: "playmeter reader add %s" makes it`, reader, reader)
			return "", false
		}
	}
	if p := g.r.Access.Principals[reader]; p != "" {
		return p, true
	}
	p, err := g.state.Dialect.Principal(reader)
	if err != nil {
		g.problem("%v", err)
		return "", false
	}
	return p, true
}

// allowances say what the grants let readers get and list. Those with the same readers are one, so that
// a reader of many tenants does not make many statements.
//
//   - Shape: by the readers' names; names in it as name gives them, those that it refuses left out.
func (g *grants) allowances(name func(string) (string, bool)) (rules []bucket.Allowance) {
	readers, names := g.readers(), make(map[string]string)
	for _, reader := range readers {
		names[reader], _ = name(reader)
	}
	byReaders := make(map[string]*bucket.Allowance)
	of := func(readers []string) *bucket.Allowance {
		var known []string
		for _, reader := range readers {
			if names[reader] != "" {
				known = append(known, names[reader])
			}
		}
		slices.Sort(known)
		known = slices.Compact(known)
		key := strings.Join(known, "\x00")
		if byReaders[key] == nil {
			byReaders[key] = &bucket.Allowance{Readers: known}
		}
		return byReaders[key]
	}
	for i := range g.tenants {
		t := &g.tenants[i]
		for _, report := range schemas.Reports {
			a := of(t.Readers[report])
			for _, file := range readerFiles(report) {
				a.Get = append(a.Get, g.patterns(t.ID, file)...)
			}
		}
		a := of(t.anyReaders())
		a.Get = append(a.Get, g.patterns(t.ID, schemas.ManifestFile+"*")...)
		a.List = append(a.List, string(t.ID)+"/")
	}
	all := of(readers)
	all.Get = append(all.Get, schemas.SignersFile)
	for _, key := range slices.Sorted(maps.Keys(byReaders)) {
		if a := byReaders[key]; len(a.Readers) > 0 {
			rules = append(rules, *a)
		}
	}
	return rules
}

// readers are all that are granted anything, sorted.
func (g *grants) readers() []string {
	all := []string{}
	for i := range g.tenants {
		all = append(all, g.tenants[i].anyReaders()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readerFiles are the files that a grant of a report lets get, besides manifests: input lists and diffs go with
// usage (SPEC 7).
func readerFiles(report schemas.Report) []string {
	if report == schemas.ReportUsage {
		return []string{"usage.*", schemas.InputsFile}
	}
	return []string{string(report) + ".*"}
}

// patterns are a tenant's files of a name: those of a month, of its runs and of its restatements.
func (g *grants) patterns(t schemas.Tenant, file string) []string {
	all := []string{string(t) + "/*/" + file}
	if !g.state.Dialect.NestsStars() {
		all = append(all, string(t)+"/*/*/*/"+file)
	}
	return all
}

// anyReaders are the readers of any of a tenant's reports, sorted.
func (t *Tenant) anyReaders() []string {
	var all []string
	for _, report := range schemas.Reports {
		all = append(all, t.Readers[report]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
