package reporter

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

func runID(tenant schemas.Tenant, run string) RunID { return RunID{tenant, october, run} }

func TestParseRunID(t *testing.T) {
	base := runID("acme", "")
	tests := []struct {
		text string
		base *RunID
		want string // empty: refused
	}{
		{"acme/2026-10", nil, "acme/2026-10"},
		{"acme/2026-10/2026-10-14T09-17-00Z-2", nil, "acme/2026-10/2026-10-14T09-17-00Z-2"},
		{"2026-10-14T09-17-00Z", &base, "acme/2026-10/2026-10-14T09-17-00Z"},
		{"restatement-1", &base, "acme/2026-10/restatement-1"},
		{"other/2026-09", &base, "other/2026-09"},
		{"2026-10-14T09-17-00Z", nil, ""},
		{"", &base, ""},
		{"acme/", nil, ""},
		{"acme/2026-10/", nil, ""},
		{"acme/2026-10/a/b", nil, ""},
		{"acme/2026-13", nil, ""},
		{"../2026-10", nil, ""},
	}
	for _, tt := range tests {
		got, err := ParseRunID(tt.text, tt.base)
		if (err != nil) != (tt.want == "") || err == nil && got.String() != tt.want {
			t.Errorf("%q is %s, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}

// changes lists a diff in short.
func (s *site) changes(a, b RunID) (*Diff, string) {
	s.t.Helper()
	d, err := s.Diff(s.t.Context(), a, b)
	if err != nil {
		s.t.Fatal(err)
	}
	var out strings.Builder
	for c := range d.Changes {
		if !c.Tenancy {
			fmt.Fprintf(&out, "%s %s %s>%s %s %v\n", c.Object, strings.TrimPrefix(c.Column, "usage.playout."), c.Before, c.After, c.Delta, c.Causes)
		}
	}
	return d, out.String()
}

func TestDiffSaysWhatMovedAndWhy(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.putEvents("b.parquet", play("n2", 0, "acme", "other", "s2", time.Hour, 1))
	one := s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Run
	s.putEvents("c.parquet", play("n3", 0, "acme", "film", "s3", 2*time.Hour, 2))
	two := s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Minute)}).Tenants[0].Run
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 4))
	s.deleteUsage("b.parquet")
	s.run(RunOptions{Period: october, AsOf: afterOctober.Add(2 * time.Minute)})

	d, got := s.changes(runID("acme", one), runID("acme", two))
	if want := `film video_md_clear_sec 20>24 4 [late]
film bytes 10000>12000 2000 [late]
film occurrences 10>12 2 [late]
film video_total_hrs 0.005556>0.006667 0.001111 [late]
film views 1>2 1 [late]
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if d.A.Report != LikeIdentical || d.B.Report != LikeIdentical || fmt.Sprint(d.Inputs) != "{[c.parquet] [] [] [] []}" {
		t.Errorf("A is %s, B is %s, inputs %v", d.A.Report, d.B.Report, d.Inputs)
	}
	d, got = s.changes(runID("acme", two), runID("acme", ""))
	if want := "film video_md_clear_sec 24>12 -12 [replaced]\n"; !strings.HasPrefix(got, want) || fmt.Sprint(d.Inputs) != "{[] [a.parquet] [b.parquet] [] []}" {
		t.Errorf("got\n%s%v", got, d.Inputs)
	}
	for _, id := range []RunID{runID("acme", one), runID("acme", two), runID("acme", "")} {
		if d, got := s.changes(id, id); got != "" || !d.Inputs.Empty() {
			t.Errorf("%s differs from itself:\n%s", id, got)
		}
	}
}

func TestARunThatIsNotThere(t *testing.T) {
	s := newSite(t, acme(), Tenant{ID: "zeta"})
	_, err := s.Diff(t.Context(), runID("acme", ""), runID("acme", ""))
	if !errors.Is(err, ErrNoRun) || !strings.Contains(err.Error(), "no report was made of that month yet") {
		t.Errorf("before the first run: %v", err)
	}
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 1))
	run := s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Run
	_, err = s.Diff(t.Context(), runID("acme", "2020-01-01T00-00-00Z"), runID("acme", ""))
	if !errors.Is(err, ErrNoRun) || !strings.Contains(err.Error(), run) {
		t.Errorf("a run that is not there: %v", err)
	}
	if _, err = s.Diff(t.Context(), runID("acme", ""), runID("zeta", "")); !errors.Is(err, ErrTenants) {
		t.Errorf("two tenants: %v", err)
	}
	if _, err = s.Diff(t.Context(), runID("nobody", ""), runID("nobody", "")); err == nil {
		t.Error("a tenant that is not configured was compared")
	}
}

// TestARestatementIsFoundByItsNumber commits a run that says of itself that it is restatement 2.
func TestARestatementIsFoundByItsNumber(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 1))
	s.run(RunOptions{Period: october, AsOf: october.End().Add(s.Grace)})
	c := s.headOf("acme")
	m, err := s.manifestOf(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	m.Restatement = 2
	body, err := encodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	c.Parent, c.Run.Run = c.Number, "2026-11-09T00-00-00Z"
	sum := sha256.Sum256(body)
	c.Run.Manifest = schemas.Digest{Bytes: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}
	if _, err := s.Buckets.Reporting.PutBytes(t.Context(), folderOf(c)+schemas.ManifestFile, body); err != nil {
		t.Fatal(err)
	}
	if err := s.commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	d, got := s.changes(runID("acme", ""), runID("acme", "restatement-2"))
	if got != "" || d.A.Run != c.Current.Run || d.B.Run != c.Run.Run {
		t.Errorf("compared %s with %s:\n%s", d.A.Run, d.B.Run, got)
	}
	if _, err := s.Diff(t.Context(), runID("acme", ""), runID("acme", "restatement-1")); !errors.Is(err, ErrNoRun) {
		t.Errorf("restatement 1: %v", err)
	}
}

// TestAPastRunIsMadeAgainToTheByte folds runs that are no longer current: one on the hour, one
// whose as-of divides an hour, one of an as-of that lies before the current run's.
func TestAPastRunIsMadeAgainToTheByte(t *testing.T) {
	w := newWorld(t, 11, 3_000)
	s := siteOf(t, w, accounting.DefaultRules())
	var runs []RunID
	for _, at := range []time.Duration{10 * 24 * time.Hour, 20*24*time.Hour + 37*time.Minute + 11*time.Second, 5*24*time.Hour + time.Second, 40 * 24 * time.Hour} {
		for _, result := range s.run(RunOptions{Period: october, AsOf: october.Start().Add(at)}).Tenants {
			runs = append(runs, runID(result.Tenant, result.Run))
		}
	}
	for _, id := range runs {
		p, err := s.openPast(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		u, err := p.usage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if like, err := p.likeness(u); like != LikeIdentical || err != nil {
			t.Errorf("%s is made again as %s, %v", id, like, err)
		}
	}
}

func TestWhatARunWasMadeFromAndIsGoneIsNamed(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 3))
	catalog := func(at time.Time, title string) string {
		key := schemas.CatalogName("acme", at, ".ndjson")
		if _, err := s.Buckets.Catalog.PutBytes(t.Context(), key, fmt.Appendf(nil, "{\"object_id\":\"film\",\"title\":%q,\"storage_bytes\":10}\n", title)); err != nil {
			t.Fatal(err)
		}
		return key
	}
	old := catalog(october.Start(), "old")
	one := s.run(RunOptions{Period: october, AsOf: october.Start().Add(2*time.Hour + time.Minute)}).Tenants[0].Run
	s.run(RunOptions{Period: october, AsOf: afterOctober})

	// A snapshot that is put in between later was not the run's.
	catalog(october.Start().Add(time.Minute), "between")
	p, err := s.openPast(t.Context(), runID("acme", one))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := p.usage(t.Context()); err != nil || u.Holdings.Objects["film"].Facts.Title != "old" {
		t.Errorf("the run shows %v, %v", u, err)
	}
	if err := s.Buckets.Catalog.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if _, err := s.openPast(t.Context(), runID("acme", one)); err == nil || !strings.Contains(err.Error(), "2026-10-01T00-00-00Z, which is gone") {
		t.Errorf("without its snapshot: %v", err)
	}
	catalog(october.Start(), "old")

	for info, err := range s.Buckets.Metering.List(t.Context(), schemas.PrefixPacks, "") {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Buckets.Metering.Delete(t.Context(), info.Key); err != nil {
			t.Fatal(err)
		}
	}
	s.shelf = nil
	if _, err := s.openPast(t.Context(), runID("acme", one)); err == nil || !strings.Contains(err.Error(), "a.parquet") || !strings.Contains(err.Error(), "restore") {
		t.Errorf("without its pack: %v", err)
	}
}

func TestARunWhoseHourCannotBeCountedAgainSaysSo(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 100))
	one := s.run(RunOptions{Period: october, AsOf: october.Start().Add(time.Hour + 30*time.Second)}).Tenants[0].Run
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	if _, got := s.changes(runID("acme", one), runID("acme", "")); !strings.Contains(got, "film occurrences 15>100 85 []\n") {
		t.Errorf("got\n%s", got)
	}
	s.deleteUsage("a.parquet")
	if _, err := s.Diff(t.Context(), runID("acme", one), runID("acme", "")); err == nil || !strings.Contains(err.Error(), "a.parquet") {
		t.Errorf("got %v", err)
	}
}

// TestSharesAddUp takes every row of every tenant apart, of a world with everything in it and at an
// as-of within an hour: each column's shares come to its number.
func TestSharesAddUp(t *testing.T) {
	w := newWorld(t, 12, 8_000)
	fabric := accounting.DefaultRules()
	fabric.Tiers, fabric.DensityOf = accounting.TiersFabric, accounting.DensityOfSource
	for i, asOf := range []time.Time{afterOctober, october.Start().Add(15*24*time.Hour + 40*time.Minute)} {
		s := siteOf(t, w, []accounting.Rules{accounting.DefaultRules(), fabric}[i])
		s.run(RunOptions{Period: october, AsOf: asOf})
		for _, tenant := range w.Tenants {
			rows := make(map[string]map[string]string)
			for _, row := range tableOf(t, s.report(schemas.Tenant(tenant.ID), october, schemas.ReportUsage)) {
				rows[row["object_id"]] = row
			}
			explained := s.explainAll(schemas.Tenant(tenant.ID))
			for _, e := range explained {
				row := rows[e.Object]
				if row == nil {
					row = rows["'"+e.Object] // guarded
				}
				s.wantShares(e, row)
			}
			if len(explained) != len(rows) || len(explained[0].Columns) == 0 && len(rows) > 1 {
				t.Errorf("%d of %d rows of %s were explained", len(explained), len(rows), tenant.ID)
			}
		}
	}
}

// explainAll takes all rows of a report apart, the tenancy's first, in one reading.
func (s *site) explainAll(tenant schemas.Tenant) []*Explanation {
	s.t.Helper()
	ctx := s.t.Context()
	p, err := s.openPast(ctx, runID(tenant, ""))
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := p.usage(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	ids := []string{string(tenant)}
	for id := range u.Statement.Objects {
		ids = append(ids, id)
	}
	for id := range u.Holdings.Objects {
		if u.Statement.Objects[id] == nil {
			ids = append(ids, id)
		}
	}
	var all []*accounting.Explainer
	for _, id := range ids {
		x, ok := accounting.NewExplainer(u, p.bounds, p.rules, id)
		if !ok {
			s.t.Fatalf("%q is not in its own report", id)
		}
		all = append(all, x)
	}
	done, err := p.cutHour(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer done()
	err = errors.Join(p.eachSum(ctx, func(file uint32, r *schemas.SumRow) {
		for _, x := range all {
			x.Add(file, r)
		}
	}), p.eachSession(ctx, func(v *schemas.Session) error {
		for _, x := range all {
			x.AddSession(v)
		}
		return nil
	}))
	if err != nil {
		s.t.Fatal(err)
	}
	var out []*Explanation
	for i, x := range all {
		e := &Explanation{Tenant: tenant, Object: ids[i]}
		for _, c := range x.Columns() {
			if c.IsUsage && !c.Value.IsZero() {
				e.Columns = append(e.Columns, p.column(&c, nil))
			}
		}
		out = append(out, e)
	}
	return out
}

// wantShares checks an explanation against the row of the report, by the texts alone.
func (s *site) wantShares(e *Explanation, row map[string]string) {
	s.t.Helper()
	explained := make(map[string]bool)
	for _, c := range e.Columns {
		explained[c.Column] = true
		sum := new(big.Rat)
		for _, share := range c.Shares {
			sum.Add(sum, must2(new(big.Rat).SetString(share.Value)))
		}
		for _, share := range c.Sessions {
			sum.Add(sum, must2(new(big.Rat).SetString(share.Value)))
		}
		shown := new(big.Rat).Set(sum)
		if strings.HasSuffix(c.Column, "_hrs") {
			shown.Quo(shown, big.NewRat(3600, 1))
		}
		text := shown.FloatString(6)
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
		if !c.AddsUp || c.Value != row[c.Column] || text != row[c.Column] {
			s.t.Errorf("%s of %s: the report says %s, the shares come to %s (adds up: %v)", c.Column, e.Object, row[c.Column], text, c.AddsUp)
		}
	}
	for column, cell := range row {
		if strings.HasPrefix(column, "usage.") && cell != "0" && !explained[column] {
			s.t.Errorf("%s of %s is %s, and is not explained", column, e.Object, cell)
		}
	}
}

func must2[T any](v T, ok bool) T {
	if !ok {
		panic("no number")
	}
	return v
}

func TestExplain(t *testing.T) {
	s := newSite(t, acme())
	at := func(key string, at time.Duration) {
		if _, err := s.Buckets.Catalog.PutBytes(t.Context(), schemas.CatalogName("acme", october.Start().Add(at), ".ndjson"), []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	at(`{"object_id":"film","title":"Old","storage_bytes":10}`+"\n", -time.Hour)
	at(`{"object_id":"film","title":"New","storage_bytes":30}`+"\n"+`{"object_id":"idle","storage_bytes":1}`+"\n", time.Hour)
	s.putEvents("a.parquet", append(play("n1", 0, "acme", "film", "s1", time.Hour, 10), play("n1", 50, "acme", "film", "s1", 2*time.Hour, 30)...))
	s.putEvents("b.parquet", play("n2", 0, "acme", "film", "s2", time.Hour, 5))
	s.putEvents("c.parquet", play("n3", 0, "acme", "other", "s3", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	one := func(object, column string) string {
		t.Helper()
		e, err := s.Explain(t.Context(), "acme", october, object, column)
		if err != nil {
			return err.Error()
		}
		c := e.Columns[0]
		out := fmt.Sprintf("%s %s=%s %t:", c.Source, c.Value, c.Exact, c.AddsUp)
		for _, share := range c.Shares {
			out += fmt.Sprintf(" %s@%d=%s", share.File, share.Hour.Hour(), share.Value)
		}
		for _, share := range c.Sessions {
			out += fmt.Sprintf(" %s%s*%d=%s", share.Object, share.SessionID, share.Sessions, share.Value)
		}
		for _, share := range c.Snapshots {
			out += fmt.Sprintf(" %s=%s=%s", share.Snapshot[5:13], share.Storage, share.Value)
		}
		return out
	}
	tests := []struct{ name, object, column, want string }{
		{"bytes, the largest first", "film", "usage.playout.bytes", "usage 45000=45000 true: a.parquet@2=30000 a.parquet@1=10000 b.parquet@1=5000"},
		{"hours are taken apart in seconds", "film", "usage.playout.video_total_hrs", "usage 0.025=90 true: a.parquet@2=60 a.parquet@1=20 b.parquet@1=10"},
		{"views by session, the earlier first", "film", "usage.playout.views", "usage 2=2 true: films1*1=1 films2*1=1"},
		{"views of the tenancy by object", "acme", "usage.playout.views", "usage 3=3 true: film*2=2 other*1=1"},
		{"the tenancy by file", "acme", "usage.playout.occurrences", "usage 50=50 true: a.parquet@2=30 a.parquet@1=10 b.parquet@1=5 c.parquet@1=5"},
		{"what was not counted has no shares", "film", "usage.rep.bytes", "usage 0=0 true:"},
		{"storage is the newest snapshot's", "film", "storage", "catalog 30=30 true: 10-01T01=30=80244000"},
		{"byte hours are each snapshot's", "film", "storage.byte_hours", "catalog 22300=80280000 true: 09-30T23=10=36000 10-01T01=30=80244000"},
		{"byte hours of the tenancy", "acme", "storage.byte_hours", "catalog 23043=82954800 true: 09-30T23=10=36000 10-01T01=31=82918800"},
		{"a fact is the last snapshot's", "film", "info.title", "catalog New= false: 10-01T01=30=80244000"},
		{"an object that no snapshot lists", "other", "storage", "catalog 0= false:"},
		{"activity follows from the rest", "film", "info.active", " active= false:"},
		{"an unknown column lists near ones", "film", "usage.playout.byte", `not in the usage report: column "usage.playout.byte" of run acme/2026-10/2026-11-01T01-00-00Z; did you mean "usage.playout.bytes"?`},
		{"an unknown object lists near ones", "flim", "", `not in the usage report: object "flim" of run acme/2026-10/2026-11-01T01-00-00Z; did you mean "film"?`},
		{"an unknown object with nothing near", "\x1b[2J", "", `not in the usage report: object "\x1b[2J" of run acme/2026-10/2026-11-01T01-00-00Z`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := one(tt.object, tt.column); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestAStatementThatIsLostIsFoldedAgain explains a number without the stored statement.
func TestAStatementThatIsLostIsFoldedAgain(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	head := s.headOf("acme")
	if err := s.Buckets.Metering.Delete(t.Context(), schemas.StatementName("acme", october, head.Statement)); err != nil {
		t.Fatal(err)
	}
	e, err := s.Explain(t.Context(), "acme", october, "film", seconds)
	if err != nil || !e.Columns[0].AddsUp || e.Report != LikeIdentical {
		t.Errorf("%+v, %v", e, err)
	}
	for _, o := range head.Sessions {
		if err := s.Buckets.Metering.Delete(t.Context(), o.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Explain(t.Context(), "acme", october, "film", "usage.playout.views"); err == nil || !strings.Contains(err.Error(), "finished sessions of 2026-10-01 are gone") {
		t.Errorf("without its sessions: %v", err)
	}
}

// TestDeltasOfTwoRunsLeadFromTheOneReportToTheOther adds the deltas of a diff to the cells of one
// sealed report and compares with the other.
func TestDeltasOfTwoRunsLeadFromTheOneReportToTheOther(t *testing.T) {
	w := newWorld(t, 13, 3_000)
	s := siteOf(t, w, accounting.DefaultRules())
	tables := make(map[schemas.Tenant][2]map[string]map[string]string)
	runs := make(map[schemas.Tenant]RunID)
	for i, asOf := range []time.Time{october.Start().Add(12 * 24 * time.Hour), afterOctober} {
		for _, result := range s.run(RunOptions{Period: october, AsOf: asOf}).Tenants {
			pair := tables[result.Tenant]
			pair[i] = make(map[string]map[string]string)
			for _, row := range tableOf(t, s.report(result.Tenant, october, schemas.ReportUsage)) {
				pair[i][row["row"]+row["object_id"]] = row
			}
			if tables[result.Tenant] = pair; i == 0 {
				runs[result.Tenant] = runID(result.Tenant, result.Run)
			}
		}
	}
	for tenant, pair := range tables {
		d, err := s.Diff(t.Context(), runs[tenant], runID(tenant, ""))
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if _, err := accounting.WriteUsageDiff(&file, d.Changes, d.Guard); err != nil {
			t.Fatal(err)
		}
		moved := make(map[string]string)
		for _, c := range tableOf(t, file.Bytes()) {
			moved[c["row"]+c["object_id"]+" "+c["column"]] = c["delta"]
		}
		number := func(cell string) *big.Rat {
			if cell == "" {
				cell = "0"
			}
			return must2(new(big.Rat).SetString(cell))
		}
		for key, row := range pair[1] {
			for column, cell := range row {
				if !accounting.UnitOf(column).IsNumber() {
					continue
				}
				got := number(pair[0][key][column])
				if got.Add(got, number(moved[key+" "+column])).Cmp(number(cell)) != 0 {
					t.Errorf("%s of %s comes to %s, want %s", column, key, got.FloatString(6), cell)
				}
			}
		}
		if len(moved) == 0 {
			t.Errorf("nothing moved for %s", tenant)
		}
	}
}
