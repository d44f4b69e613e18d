package reporter

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// newKey is an identity and what it opens.
func newKey(t testing.TB) (crypto.Identities, crypto.Recipient) {
	t.Helper()
	secret, to, err := crypto.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return must(crypto.ParseIdentities(secret)), to
}

// grant seals everything of the first tenant to these keys from now on.
func (s *site) grant(to ...crypto.Recipient) {
	tenants := slices.Clone(s.tenants())
	tenants[0].Recipients = map[schemas.Report][]crypto.Recipient{schemas.ReportUsage: to, schemas.ReportSessions: to}
	s.SetTenants(tenants, nil)
}

// opens tells whether a key opens the report at a name of October.
func (s *site) opens(ids crypto.Identities, name string) bool {
	s.t.Helper()
	body, _, err := s.Buckets.Reporting.Get(s.t.Context(), acmeOctober+name, "", maxSmall)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = crypto.Open(bytes.NewReader(body), ids)
	if err != nil && !errors.Is(err, crypto.ErrNoIdentity) {
		s.t.Fatal(err)
	}
	return err == nil
}

func (s *site) rekeyed() Rekeyed {
	s.t.Helper()
	out := s.Rekey(s.t.Context(), "acme", october)
	if out.Err != nil {
		s.t.Fatal(out.Err)
	}
	return out
}

const stableUsage = "usage.csv.gz.age"

func TestAFinalMonthIsSealedAnewForTheNextKey(t *testing.T) {
	s := newSite(t, acme()).signed()
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	first := s.final(0)
	old := s.identity
	next, to := newKey(t)
	s.grant(s.to, to)
	both := s.rekeyed()
	if len(both.Runs) != 1 || both.Runs[0] != first.Run+"-2" {
		t.Fatalf("new runs %q", both.Runs)
	}
	for _, name := range []string{stableUsage, "sessions.csv.gz.age", schemas.RunFolder(both.Runs[0]) + stableUsage} {
		if !s.opens(old, name) || !s.opens(next, name) {
			t.Errorf("%s is not sealed for both keys", name)
		}
	}
	if s.opens(next, schemas.RunFolder(first.Run)+stableUsage) || !s.opens(old, schemas.RunFolder(first.Run)+stableUsage) {
		t.Error("the run of before has changed")
	}
	if again := s.rekeyed(); len(again.Runs) != 0 || !strings.Contains(again.Note, "already") {
		t.Errorf("once more: %+v", again)
	}

	s.grant(to)
	alone := s.rekeyed()
	if s.opens(old, stableUsage) || !s.opens(next, stableUsage) {
		t.Error("the stable name is not the new key's alone")
	}
	m := must(s.manifestOf(t.Context(), s.headOf("acme")))
	if m.Run != alone.Runs[0] || m.State != StateFinal || m.AsOf != first.Manifest.AsOf || m.Rekeys == nil || m.Rekeys.Run != both.Runs[0] || m.Previous.Run != both.Runs[0] {
		t.Errorf("the manifest says %+v", m)
	}
	for i, r := range m.Reports {
		if was := first.Manifest.Reports[i]; r.Plaintext != was.Plaintext || r.Rows != was.Rows || slices.Equal(r.Recipients, was.Recipients) {
			t.Errorf("%s: %+v, was %+v", r.Report, r, was)
		}
	}
	s.identity = next
	s.wantClean()
	if r := s.recompute(""); !r.Good() {
		t.Errorf("counted again: %+v", r)
	}
	if again := s.final(1); again.Run != alone.Runs[0] || again.Restatement != 0 {
		t.Errorf("a run with nothing new: %+v", again)
	}
}

func TestARestatedMonthIsSealedAnewWithItsRestatement(t *testing.T) {
	s := newSite(t, acme()).signed()
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.putEvents("gone.parquet", play("n1", 10, "acme", "film", "s1", 2*time.Hour, 5))
	s.final(0)
	s.deleteUsage("gone.parquet")
	s.putEvents("b.parquet", play("n1", 15, "acme", "film", "s1", 3*time.Hour, 5))
	one := s.final(1)
	if one.Restatement != 1 {
		t.Fatalf("no restatement: %+v", one)
	}
	s.deleteUsage("b.parquet")
	next, to := newKey(t)
	s.grant(to)
	out := s.rekeyed()
	if len(out.Runs) != 2 {
		t.Fatalf("new runs %q", out.Runs)
	}
	s.identity = next
	s.wantClean()
	s.wantCell("acme", "film", seconds, "30") // the final run's figures stay at the stable names
	for name, can := range map[string]bool{stableUsage: true, "restatements/2/" + stableUsage: true, "restatements/1/" + stableUsage: false} {
		if s.opens(next, name) != can {
			t.Errorf("%s: opened by the new key: %v", name, !can)
		}
	}
	m := must(s.manifestOf(t.Context(), s.headOf("acme")))
	if m.Restatement != 2 || m.Restates.Run != one.Manifest.Restates.Run || m.Rekeys.Run != one.Run || m.Reports[0].Plaintext != one.Manifest.Reports[0].Plaintext {
		t.Errorf("the manifest says %+v", m)
	}
	if again := s.rekeyed(); len(again.Runs) != 0 {
		t.Errorf("once more: %+v", again)
	}

	// Life goes on: what is gone stays counted, and what comes late restates the restatement.
	if same := s.final(2); same.Restatement != 0 {
		t.Errorf("a run with nothing new: %+v", same)
	}
	s.putEvents("c.parquet", play("n1", 20, "acme", "film", "s1", 4*time.Hour, 2))
	three := s.final(4)
	if three.Restatement != 3 {
		t.Fatalf("the late file: %+v", three)
	}
	if changes := s.diffOf(3); !slices.Contains(changes, "film "+seconds+" 40 44 4 [late]") {
		t.Errorf("the diff says %q", changes)
	}
	s.wantClean()
}

func TestWhatCannotBeMadeAgainIsNotSealedAnew(t *testing.T) {
	s := newSite(t, acme()).signed()
	if out := s.Rekey(t.Context(), "acme", october); !errors.Is(out.Err, ErrNoRun) {
		t.Errorf("without any run: %v", out.Err)
	}
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.run(RunOptions{Period: october, AsOf: october.End().Add(-time.Hour)})
	_, to := newKey(t)
	s.grant(to)
	if out := s.rekeyed(); len(out.Runs) != 0 || !strings.Contains(out.Note, "not final") {
		t.Errorf("of an open month: %+v", out)
	}
	first := s.final(0)
	_, other := newKey(t)
	s.grant(other)
	s.Geo = nil
	s.putSnapshot("acme", october.Start().Add(-time.Hour), `{"object_id":"film","object_name":"Renamed"}`)
	before := s.objects()
	p := must(s.openPast(t.Context(), RunID{"acme", october, first.Run}))
	p.manifest.TenantName = "Another name"
	tenant := must(s.Tenant("acme"))
	x := &resealing{run{r: s.Reporter, tenant: &tenant, period: october, rules: p.rules, catalog: p.catalog, inputs: p.inputs, name: "2026-11-04T00-00-00Z", head: s.headOf("acme")}, p}
	if err := x.make(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be made again to the byte") {
		t.Errorf("a report that says something else: %v", err)
	}
	x.withdraw(t.Context())
	if len(s.objects()) != len(before) {
		t.Error("something was left in the Reporting bucket")
	}
	s.grant()
	if out := s.Rekey(t.Context(), "acme", october); out.Err == nil || !strings.Contains(out.Err.Error(), "add a recipient") {
		t.Errorf("for nobody: %v", out.Err)
	}
}

func TestAReportThatIsGrantedLaterIsMadeForFinalMonthsToo(t *testing.T) {
	s := newSite(t, acme()).signed()
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	only := func(reports ...schemas.Report) {
		tenants := slices.Clone(s.tenants())
		tenants[0].Recipients = make(map[schemas.Report][]crypto.Recipient)
		for _, r := range reports {
			tenants[0].Recipients[r] = []crypto.Recipient{s.to}
		}
		s.SetTenants(tenants, nil)
	}
	only(schemas.ReportUsage)
	s.final(0)
	only(schemas.ReportUsage, schemas.ReportSessions)
	if out := s.rekeyed(); len(out.Runs) != 1 {
		t.Fatalf("%+v", out)
	}
	if rows := s.sessionRows(october); len(rows) != 1 {
		t.Errorf("%d sessions", len(rows))
	}
	s.wantClean()
	if r := s.recompute(""); !r.Good() || len(r.Reports) != 2 {
		t.Errorf("counted again: %+v", r)
	}
	only(schemas.ReportSessions)
	if out := s.rekeyed(); len(out.Runs) != 1 {
		t.Fatalf("%+v", out)
	}
	s.wantClean()
	only(schemas.ReportUsage)
	if out := s.Rekey(t.Context(), "acme", october); out.Err == nil || !strings.Contains(out.Err.Error(), "none of the reports") {
		t.Errorf("with nothing to compare: %v", out.Err)
	}
}

// expire has keys end.
func (s *site) expire(at time.Time, keys ...crypto.Recipient) {
	tenants := slices.Clone(s.tenants())
	tenants[0].Expires = make(map[string]time.Time)
	for _, k := range keys {
		tenants[0].Expires[k.Fingerprint()] = at
	}
	s.SetTenants(tenants, nil)
}

func TestNoReportIsLostBecauseItsKeyHasExpired(t *testing.T) {
	s := newSite(t, acme()).signed()
	_, to := newKey(t)
	tenants := slices.Clone(s.tenants())
	tenants[0].Recipients = map[schemas.Report][]crypto.Recipient{schemas.ReportUsage: {s.to}, schemas.ReportSessions: {to}}
	s.SetTenants(tenants, nil)
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.Now = func() time.Time { return inNovember(0) }
	s.run(RunOptions{Period: october, AsOf: october.End().Add(time.Hour)})
	s.expire(october.End().Add(2*time.Hour), to)
	// The month does not become final without the report.
	result := must(s.Run(t.Context(), RunOptions{Period: october, AsOf: inNovember(0)}))
	if err := result.Err(); err == nil || !strings.Contains(err.Error(), "not made final without [sessions]") {
		t.Errorf("the final run: %v", err)
	}
	s.expire(time.Time{})
	s.final(0)
	s.expire(october.End(), to)
	if out := s.Rekey(t.Context(), "acme", october); out.Err == nil || !strings.Contains(out.Err.Error(), "[sessions] would be left out") {
		t.Errorf("sealed anew: %v", out.Err)
	}
	if _, err := s.Buckets.Reporting.Stat(t.Context(), acmeOctober+"sessions.csv.gz.age"); err != nil {
		t.Error(err)
	}
}

// The rules that a restatement took stay, whatever run comes between.
func TestTheRulesOfARestatementOutliveAKeyAndAnEarlierRun(t *testing.T) {
	s := newSite(t, acme()).signed()
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.final(0)
	_, to := newKey(t)
	s.grant(s.to, to)
	tenants := slices.Clone(s.tenants())
	tenants[0].Rules.Tiers.Md = accounting.Edges{Long: 3000, Short: 1700}
	s.SetTenants(tenants, nil)
	if r := s.run(RunOptions{Period: october, AsOf: inNovember(1), CurrentRules: true}).Tenants[0]; r.Restatement != 1 {
		t.Fatalf("other rules: %+v", r)
	}
	if out := s.rekeyed(); len(out.Runs) != 1 {
		t.Fatalf("%+v", out)
	}
	s.run(RunOptions{Period: october, AsOf: october.Start().AddDate(0, 0, 10)})
	s.putEvents("late.parquet", play("n1", 10, "acme", "film", "s1", 2*time.Hour, 5))
	if r := s.final(3); r.Restatement != 2 {
		t.Fatalf("late usage: %+v", r)
	}
	for _, change := range s.diffOf(2) {
		if strings.Contains(change, "_lo_") != strings.Contains(change, "20 30 10 [late]") && strings.Contains(change, "_sec") {
			t.Errorf("the diff says %q", change)
		}
	}
	s.wantClean()
}

func TestRecipientsExpire(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	now := october.Start().AddDate(0, 0, 20)
	s.Now = func() time.Time { return now }
	next, to := newKey(t)
	s.grant(s.to, to)
	end := now.AddDate(0, 0, 2)
	tenants := slices.Clone(s.tenants())
	tenants[0].Expires = map[string]time.Time{s.to.Fingerprint(): end}
	s.SetTenants(tenants, nil)
	tenant := &s.tenants()[0]
	for _, tt := range []struct {
		name string
		at   time.Time
		want string
	}{
		{"long before", end.AddDate(0, 0, -31), ""},
		{"a month before", end.AddDate(0, 0, -30).Add(time.Second), "expires on " + end.Format(time.DateOnly)},
		{"on the day", end, "expired on " + end.Format(time.DateOnly)},
	} {
		if got := strings.Join(tenant.Expiring(tt.at), "\n"); !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
	s.run(RunOptions{Period: october})
	if !s.opens(s.identity, stableUsage) || !s.opens(next, stableUsage) {
		t.Error("before it expired, a key does not open")
	}
	now = end
	s.run(RunOptions{Period: october})
	if s.opens(s.identity, stableUsage) || !s.opens(next, stableUsage) {
		t.Error("an expired key is sealed to, or the other is not")
	}
	tenants[0].Expires[to.Fingerprint()] = end
	result, err := s.Run(t.Context(), RunOptions{Period: october})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Err(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("with nobody left: %v", err)
	}
}
