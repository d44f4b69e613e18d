package reporter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// testReaders are the readers of the shared store: their names and secrets.
type testReaders struct{}

var readerSecrets sync.Map

func (testReaders) Secret(name string) (string, bool, error) {
	secret, ok := readerSecrets.Load(name)
	if !ok {
		return "", false, nil
	}
	return secret.(string), true, nil
}

// addReader makes a reader whose name is new in the shared store.
func (s *site) addReader(name string) string {
	name = s.readerName(name)
	readerSecrets.Store(name, "the secret of "+name)
	s.t.Cleanup(func() { readerSecrets.Delete(name) })
	return name
}

// readerName is the name of a reader of this site.
func (s *site) readerName(name string) string {
	return strings.TrimSuffix(s.Buckets.Usage.Name(), "usage") + name
}

// as is a reader's view of the Reporting bucket.
func (s *site) as(reader string) *bucket.Bucket {
	s.t.Helper()
	secret, _, _ := testReaders{}.Secret(reader)
	cfg := s.Store.Config()
	cfg.AccessKey, cfg.SecretKey = reader, secret
	return must(bucket.Connect(cfg)).Bucket(s.Buckets.Reporting.Name())
}

// granted is an installation with reports of four tenants, and readers of what their names say.
func granted(t *testing.T) *site {
	t.Helper()
	var tenants []Tenant
	var events []schemas.Event
	for i, id := range []schemas.Tenant{"acme", "acme.b", "bravo", "zulu"} {
		tenants = append(tenants, Tenant{ID: id, Name: string(id)})
		events = append(events, play("n1", 100*i, string(id), "film", "s1", time.Hour, 3)...)
	}
	s := newSite(t, tenants...)
	s.putEvents("a.parquet", events)
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.Access = Access{Dialect: bucket.DialectVersity,
		Exists: func(name string) (bool, error) { _, ok, err := testReaders{}.Secret(name); return ok, err },
		Credentials: func(name string) (bucket.Config, bool, error) {
			secret, ok, err := testReaders{}.Secret(name)
			cfg := s.Store.Config()
			cfg.AccessKey, cfg.SecretKey = name, secret
			return cfg, ok, err
		}}
	both := []schemas.Report{schemas.ReportUsage, schemas.ReportSessions}
	s.letRead(map[schemas.Tenant]map[string][]schemas.Report{
		"acme": {"billing": {schemas.ReportUsage}, "acme-all": both}, "bravo": {"billing": {schemas.ReportUsage}, "viewers": {schemas.ReportSessions}}})
	for _, name := range []string{"billing", "acme-all", "viewers"} {
		s.addReader(name)
	}
	return s
}

// letRead sets the readers of all tenants.
func (s *site) letRead(grants map[schemas.Tenant]map[string][]schemas.Report) {
	tenants := slices.Clone(s.tenants())
	for i := range tenants {
		tenants[i].Readers = make(map[schemas.Report][]string)
		for reader, reports := range grants[tenants[i].ID] {
			for _, report := range reports {
				tenants[i].Readers[report] = append(tenants[i].Readers[report], s.readerName(reader))
			}
		}
	}
	s.SetTenants(tenants, nil)
}

func (s *site) applyGrants(o GrantOptions) *GrantsState {
	s.t.Helper()
	return must(s.ApplyGrants(s.t.Context(), o))
}

// wantGood wants nothing wrong, and n things tried.
func (s *site) wantGood(state *GrantsState, n int) {
	s.t.Helper()
	if err := state.Err(); err != nil || len(state.Checks) != n || len(state.Unproved) > 0 {
		s.t.Errorf("%v; %d things tried, want %d; unproved %v", err, len(state.Checks), n, state.Unproved)
	}
}

// What is tried as one: the listing of all, and of each of four tenants a listing, three objects, a write and a deletion.
const triedAsOne = 1 + 4*(1+3+2)

func TestReadersGetWhatTheyAreGrantedAndNothingElse(t *testing.T) {
	s := granted(t)
	state := s.applyGrants(GrantOptions{})
	s.wantGood(state, 4*triedAsOne)
	if !state.Changed || len(state.Readers) != 3 {
		t.Errorf("%+v", state)
	}
	if again := s.applyGrants(GrantOptions{}); again.Changed {
		t.Error("applied again, the policy has changed")
	}
	if last := must(s.LastGrants(t.Context())); last == nil || len(last.Checks) != len(state.Checks) {
		t.Errorf("what is kept of it: %+v", last)
	}
	s.wantGood(must(s.CheckGrants(t.Context())), 4*triedAsOne)

	billing := s.as(s.readerName("billing"))
	for key, can := range map[string]bool{
		"acme/2026-10/usage.csv.gz.age": true, "acme/2026-10/sessions.csv.gz.age": false, "acme/2026-10/manifest.json": true,
		"acme/2026-10/" + s.inputsOf("acme"): true, "acme.b/2026-10/usage.csv.gz.age": false, "zulu/2026-10/manifest.json": false,
	} {
		if _, _, err := billing.Get(t.Context(), key, "", maxSmall); (err == nil) != can || err != nil && !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func (s *site) inputsOf(tenant schemas.Tenant) string {
	return schemas.RunFolder(s.headOf(tenant).Run.Run) + schemas.InputsFile
}

func TestAGrantThatIsTakenAwayIsGone(t *testing.T) {
	s := granted(t)
	s.applyGrants(GrantOptions{})
	s.letRead(map[schemas.Tenant]map[string][]schemas.Report{"acme": {"billing": {schemas.ReportUsage}}})
	before := must(s.CheckGrants(t.Context()))
	if err := before.Err(); err == nil || !strings.Contains(err.Error(), "grants apply") {
		t.Errorf("before it is applied: %v", err)
	}
	s.wantGood(s.applyGrants(GrantOptions{}), 2*triedAsOne)
	for _, name := range []string{"acme-all", "viewers"} {
		if _, err := s.as(s.readerName(name)).Stat(t.Context(), "acme/2026-10/manifest.json"); !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.letRead(nil)
	s.wantGood(s.applyGrants(GrantOptions{}), triedAsOne)
	if policy := must(s.Buckets.Reporting.Policy(t.Context())); policy != "" {
		t.Errorf("with no grant left there is a policy: %s", policy)
	}
}

func TestABucketThatIsMoreOpenThanTheGrantsIsAnError(t *testing.T) {
	s := granted(t)
	name := s.Buckets.Reporting.Name()
	open := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::%s/*"}]}`, name)
	if err := s.Buckets.Reporting.SetPolicy(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	state := s.applyGrants(GrantOptions{})
	for _, want := range []string{`"Everybody"`, "everybody, without a key, can get", "everybody, without a key, can put", "billing can get " + name + "/zulu/"} {
		if all := strings.Join(state.Problems, "\n"); !strings.Contains(all, want) {
			t.Errorf("%q is not in %s", want, all)
		}
	}
	if err := state.Err(); err == nil || !strings.HasSuffix(err.Error(), fmt.Sprintf("and %d more", len(state.Problems)-5)) {
		t.Errorf("%v", err)
	}
	for info, err := range s.Buckets.Reporting.List(t.Context(), "", "") {
		if err != nil || strings.Contains(info.Key, "probe") {
			t.Errorf("left behind: %s, %v", info.Key, err)
		}
	}
	s.wantGood(s.applyGrants(GrantOptions{Replace: true}), 4*triedAsOne)
}

func TestReadersThatDoNotExistAreTold(t *testing.T) {
	s := granted(t)
	s.letRead(map[schemas.Tenant]map[string][]schemas.Report{"acme": {"billing": {schemas.ReportUsage}, "ghost": {schemas.ReportUsage}}})
	state := s.applyGrants(GrantOptions{})
	if err := state.Err(); err == nil || !strings.Contains(err.Error(), "playmeter reader add "+s.readerName("ghost")) || strings.Contains(state.Policy, "ghost") {
		t.Errorf("%v; policy %s", err, state.Policy)
	}
	s.addReader("ghost")
	s.wantGood(s.applyGrants(GrantOptions{}), 3*triedAsOne)

	// A key that is not the reader's proves nothing, and is no fault of the bucket's.
	s.Access.Credentials = func(name string) (bucket.Config, bool, error) {
		cfg := s.Store.Config()
		cfg.AccessKey, cfg.SecretKey = name, "not the secret of "+name
		return cfg, !strings.HasSuffix(name, "ghost"), nil
	}
	state = s.applyGrants(GrantOptions{})
	if state.Err() != nil || len(state.Unproved) != 2 || len(state.Checks) != triedAsOne {
		t.Errorf("%v; unproved %q, %d things tried", state.Err(), state.Unproved, len(state.Checks))
	}
}

// A reader whom the store does not take in a policy must not keep what was taken from others in force.
func TestAReaderThatTheStoreDoesNotTakeStopsNobodyElse(t *testing.T) {
	s := granted(t)
	s.applyGrants(GrantOptions{})
	s.Access.Principals = map[string]string{s.readerName("acme-all"): "arn:aws:iam:::user/nobody"}
	s.letRead(map[schemas.Tenant]map[string][]schemas.Report{"acme": {"billing": {schemas.ReportUsage}, "acme-all": {schemas.ReportUsage}}})
	state := s.applyGrants(GrantOptions{})
	all := strings.Join(state.Problems, "\n")
	if !strings.Contains(all, s.readerName("acme-all")+" is granted reports, and the store does not take it in a policy") {
		t.Errorf("%s", all)
	}
	if _, err := s.as(s.readerName("billing")).Stat(t.Context(), "acme/2026-10/manifest.json"); err != nil {
		t.Errorf("a reader that the store takes: %v", err)
	}
	if _, err := s.as(s.readerName("viewers")).Stat(t.Context(), "bravo/2026-10/manifest.json"); !errors.Is(err, bucket.ErrDenied) {
		t.Errorf("a reader whose grant was taken away: %v", err)
	}
}

func TestReportsThatAreNotThereYetProveNothing(t *testing.T) {
	s := granted(t)
	s.SetTenants(append(slices.Clone(s.tenants()), Tenant{ID: "new", Name: "new", Readers: map[schemas.Report][]string{schemas.ReportUsage: {s.readerName("billing")}}}), nil)
	state := s.applyGrants(GrantOptions{})
	if state.Err() != nil || len(state.Unproved) != 1 || !strings.Contains(state.Unproved[0], "have none yet: 1") {
		t.Errorf("%v; unproved %q", state.Err(), state.Unproved)
	}
}

func TestATrialSaysWhatWouldBeAndDoesNothing(t *testing.T) {
	s := granted(t)
	state := s.applyGrants(GrantOptions{DryRun: true})
	if !state.Changed || !strings.Contains(state.Policy, "billing") || must(s.Buckets.Reporting.Policy(t.Context())) != "" || must(s.LastGrants(t.Context())) != nil {
		t.Errorf("%+v", state)
	}
}

// Readers who are granted the same share statements, so that the policy of many tenants with one biller stays small.
func TestThePolicyOfManyTenantsIsSmall(t *testing.T) {
	var tenants []Tenant
	for i := range 75 {
		tenants = append(tenants, Tenant{ID: schemas.Tenant(fmt.Sprintf("iten%028d", i)), Readers: map[schemas.Report][]string{schemas.ReportUsage: {"biller"}}})
	}
	g := &grants{tenants: tenants, state: new(GrantsState)}
	readers, rules := g.readers(), g.allowances(func(name string) (string, bool) { return name, true })
	plan, err := bucket.DialectAWS.PlanPolicy("reporting", "", rules, false)
	if err != nil || len(rules) != 1 || len(readers) != 1 {
		t.Errorf("%d rules, %d readers, %d bytes, %v", len(rules), len(readers), len(plan.Policy), err)
	}
}
