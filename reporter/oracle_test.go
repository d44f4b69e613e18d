package reporter

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/accounting/enrichment"
	"github.com/playmeter/playmeter/reporter/internal/oracle"
	"github.com/playmeter/playmeter/schemas"
)

var october = must(schemas.ParsePeriod(oracle.Month))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newWorld generates a world and looks its agents up, so that the oracle joins
// what the product's tables say.
func newWorld(t testing.TB, seed uint64, events int) *oracle.World {
	t.Helper()
	w, err := oracle.Generate(t.TempDir(), seed, events)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	for i := range w.UserAgents {
		d := agents.Lookup(w.UserAgents[i].Agent)
		w.UserAgents[i].Platform, w.UserAgents[i].OS, w.UserAgents[i].Device = d.Platform, d.OS, d.Model
	}
	return w
}

// geoOf writes the world's networks as a geo database.
func geoOf(t testing.TB, w *oracle.World) *enrichment.Geo {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-City", RecordSize: 28, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	name := func(s string) mmdbtype.Map { return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(s)}} }
	for _, g := range w.Geo {
		_, network, err := net.ParseCIDR(g.CIDR)
		if err != nil {
			t.Fatal(err)
		}
		record := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(g.Country)}}
		if g.Region != "" {
			record["subdivisions"] = mmdbtype.Slice{name(g.Region)}
		}
		if g.City != "" {
			record["city"] = name(g.City)
		}
		if err := tree.Insert(network, record); err != nil {
			t.Fatal(err)
		}
	}
	var db bytes.Buffer
	if _, err := tree.WriteTo(&db); err != nil {
		t.Fatal(err)
	}
	geo, err := enrichment.OpenGeo(db.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return geo
}

// siteOf is an installation that holds a world.
func siteOf(t testing.TB, w *oracle.World, rules accounting.Rules) *site {
	t.Helper()
	var tenants []Tenant
	for _, tenant := range w.Tenants {
		tenants = append(tenants, Tenant{ID: schemas.Tenant(tenant.ID), Name: tenant.Name, Rules: rules})
	}
	s := newSite(t, tenants...)
	s.Geo = geoOf(t, w)
	for _, f := range w.Files {
		s.put(s.Buckets.Usage, f.Key, f.Path)
	}
	for _, f := range w.Catalogs {
		s.put(s.Buckets.Catalog, f.Key, f.Path)
	}
	return s
}

// oracleRules says the same as rules in the oracle's words.
func oracleRules(r accounting.Rules) oracle.Rules {
	edges := func(e accounting.Edges) oracle.Edges { return oracle.Edges{Long: int(e.Long), Short: int(e.Short)} }
	return oracle.Rules{Tiers: oracle.Tiers{Hi: edges(r.Tiers.Hi), Md: edges(r.Tiers.Md)}, DensityOf: r.DensityOf,
		IdleWithID: r.Idle.WithID, IdleWithoutID: r.Idle.WithoutID, Guard: r.CSVGuard}
}

// TestReportsEqualTheOracle compares both reports of every tenant, decrypted, with an
// independent computation in SQL over the same files, to the byte.
func TestReportsEqualTheOracle(t *testing.T) {
	events := 300_000
	if testing.Short() {
		events = 30_000
	}
	whole, small := newWorld(t, 1, events), newWorld(t, 2, events/6)
	fabric := accounting.DefaultRules()
	fabric.Tiers, fabric.DensityOf, fabric.CSVGuard = accounting.TiersFabric, accounting.DensityOfSource, false
	fabric.Idle = accounting.Idle{WithID: 2 * time.Hour, WithoutID: 10 * time.Minute}
	for _, tt := range []struct {
		name  string
		w     *oracle.World
		asOf  time.Time
		rules accounting.Rules
	}{
		{"the whole month", whole, october.End().Add(time.Hour), accounting.DefaultRules()},
		{"month to date, within an hour", small, october.Start().Add(13*24*time.Hour + 9*time.Hour + 17*time.Minute + 5*time.Second), accounting.DefaultRules()},
		{"another rate card, short idle times, no guard", small, october.End(), fabric},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.w
			s := siteOf(t, w, tt.rules)
			result := s.run(RunOptions{Period: october, AsOf: tt.asOf})
			for _, a := range result.Aside {
				t.Logf("set aside: %s: %s", a.Key, a.Reason)
			}
			for i, tenant := range w.Tenants {
				compareTenant(t, w, s, &result.Tenants[i], tenant.ID, tt.asOf, tt.rules)
			}
		})
	}
}

func compareTenant(t *testing.T, w *oracle.World, s *site, result *TenantResult, tenant string, asOf time.Time, rules accounting.Rules) {
	t.Helper()
	usage, sessions, err := w.Expect(t.Context(), tenant, oracle.Month, asOf, oracleRules(rules))
	if err != nil {
		t.Fatal(err)
	}
	s.reconcile(schemas.Tenant(tenant), s.report(schemas.Tenant(tenant), october, schemas.ReportUsage), s.report(schemas.Tenant(tenant), october, schemas.ReportSessions))
	for report, want := range map[schemas.Report][]byte{schemas.ReportUsage: usage, schemas.ReportSessions: sessions} {
		got := s.report(schemas.Tenant(tenant), october, report)
		if !bytes.Equal(got, want) {
			t.Errorf("%s of %s differs from the oracle:\n%s", report, tenant, firstDifference(got, want))
		}
	}
	classes, err := w.Classes(t.Context(), tenant, oracle.Month, asOf)
	if err != nil {
		t.Fatal(err)
	}
	if got := classesOf(result.Manifest); fmt.Sprint(got) != fmt.Sprint(classes) && rules.Idle == accounting.DefaultIdle {
		t.Errorf("classes of %s:\n got %v\nwant %v", tenant, got, classes)
	}
}

// classesOf lists the manifest's classes under the oracle's names.
func classesOf(m *schemas.Manifest) map[string]int64 {
	out := map[string]int64{"read": m.Events.Read, "errors": m.Events.Errors, "superseded": m.Events.Superseded,
		"duplicates": m.Events.Duplicates, "outside_period": m.Events.OutsidePeriod, "after_as_of": m.Events.AfterAsOf}
	for kind, n := range m.Events.Counted {
		out["counted/"+kind] = n
	}
	for reason, n := range m.Events.Rejected {
		out["rejected/"+reason] = n
	}
	for class, n := range out {
		if n == 0 {
			delete(out, class)
		}
	}
	return out
}

// firstDifference shows the first lines that differ, and how many do.
func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	var b strings.Builder
	fmt.Fprintf(&b, "%d lines, want %d\n", len(g), len(w))
	if dir := os.Getenv("PLAYMETER_TEST_KEEP"); dir != "" {
		os.WriteFile(dir+"/got.csv", got, 0o600)
		os.WriteFile(dir+"/want.csv", want, 0o600)
	}
	shown := 0
	for i := range max(len(g), len(w)) {
		x, y := "(none)", "(none)"
		if i < len(g) {
			x = g[i]
		}
		if i < len(w) {
			y = w[i]
		}
		if x != y {
			if shown++; shown > 3 {
				break
			}
			fmt.Fprintf(&b, "line %d\n got %s\nwant %s\n", i+1, x, y)
		}
	}
	return b.String()
}
