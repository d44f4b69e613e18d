package statistics

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// A fixture is a month of two tenants in a metering bucket, statistics that have loaded it, and an oracle that knows it.
type fixture struct {
	*Database
	oracle
	*world
	metering *bucket.Bucket
	commits  map[schemas.Tenant]*commits
	days     map[schemas.Tenant]map[int][]schemas.Session
}

var bothTenants = []schemas.Tenant{"films", "sports"}

// newFixture invents so many sessions a day, of each tenant.
func newFixture(t testing.TB, seed uint64, hostile []string, n ...int) *fixture {
	t.Helper()
	f := &fixture{world: newWorld(seed), metering: newBucket(t), commits: map[schemas.Tenant]*commits{}, days: map[schemas.Tenant]map[int][]schemas.Session{}}
	f.hostile = hostile
	f.tiers = []accounting.Tiers{accounting.TiersIndustry, accounting.TiersFabric}[seed%2]
	for _, tenant := range bothTenants {
		rules := accounting.DefaultRules()
		rules.Tiers = f.tiers
		f.commits[tenant] = &commits{t: t, bucket: f.metering, tenant: tenant, period: f.period, rules: rules}
		f.days[tenant] = f.world.days(n...)
		f.commits[tenant].commit(f.days[tenant], 1+n[0]/2)
		f.learn(tenant, f.period, f.days[tenant])
	}
	f.Database = openDatabase(t, f.metering, t.TempDir())
	follow(t, f.Database)
	return f
}

// scopes are those that views are looked at with.
func scopes() map[string]Scope {
	return map[string]Scope{"one tenant": Of("sports"), "another tenant": Of("films"), "all tenants": {All: true}, "two tenants by name": {Tenants: bothTenants},
		"nobody": {}, "a tenant without sessions": Of("nobody")}
}

// walk follows the pages of a view to the end, then back to the start, and returns the rows of both ways.
func walk(t testing.TB, d *Database, scope Scope, v View) (there, back []Row) {
	t.Helper()
	var p *Page
	for {
		p = must[*Page](t)(d.Sessions(t.Context(), scope, v))
		if len(p.Rows) > v.Limit || len(p.Rows) < v.Limit && p.Next != "" {
			t.Fatalf("a page of %d rows where %d were asked for, with more to come: %v", len(p.Rows), v.Limit, p.Next != "")
		}
		if first := v.Cursor == ""; first != (p.Previous == "") {
			t.Fatalf("first page %v, with a page before it: %v", first, p.Previous != "")
		}
		there = append(there, p.Rows...)
		if p.Next == "" {
			break
		}
		v.Cursor = p.Next
	}
	back = slices.Clone(p.Rows)
	for p.Previous != "" {
		v.Cursor = p.Previous
		if p = must[*Page](t)(d.Sessions(t.Context(), scope, v)); p.Next == "" {
			t.Fatalf("a page that was come to from the one after it has none after it")
		}
		back = append(slices.Clone(p.Rows), back...)
	}
	return there, back
}

// must fails a test with an error.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// sameRows compares rows with those of the oracle.
func sameRows(t testing.TB, what string, v View, got, want []Row) {
	t.Helper()
	if v.Tab == TabUsers {
		got = slices.Clone(got)
		for i := range got {
			got[i].Viewer = "" // the database's own number
		}
		got, want = settled(got, v), settled(want, v)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%s: %d rows, want %d; row %d is\n%s\nwant\n%s", what, len(got), len(want), i, rowAt(got, i), rowAt(want, i))
			return
		}
	}
}

func rowAt(rows []Row, i int) string {
	if i >= len(rows) {
		return "none"
	}
	return fmt.Sprintf("%+v", rows[i])
}

// settled sorts the rows that are equal in what they are sorted by.
func settled(rows []Row, v View) []Row {
	rows = slices.Clone(rows)
	column := v.Sort
	if column == "" {
		column = v.Tab.DefaultSort()
	}
	for i := 0; i < len(rows); {
		j := i + 1
		for j < len(rows) && compareBy(column, &rows[i], &rows[j]) == 0 {
			j++
		}
		slices.SortFunc(rows[i:j], func(a, b Row) int { return strings.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)) })
		i = j
	}
	return rows
}

func TestEveryTabSortedByEveryColumnIsWalkedToTheEndAndBack(t *testing.T) {
	for seed := range seeds(t) {
		f := newFixture(t, seed, nil, 30, 0, 25, 1)
		filters := []Filter{{}, {Min: "1.5"}}
		for _, tab := range Tabs {
			for _, column := range append(tab.Columns(), Column{}) {
				for _, desc := range []bool{false, true} {
					for i, size := range []int{50, 7}[:1+seed%2] {
						if desc && i == 1 || testing.Short() && desc && tab != TabUsers {
							continue
						}
						v := View{Tab: tab, Filter: filters[i], Sort: column.Name, Desc: desc, Limit: size}
						f.compare(t, Scope{All: true}, v)
					}
				}
			}
		}
		f.compare(t, Of("films"), View{Tab: TabUsers, Limit: 1})
		for _, tab := range Tabs {
			f.compare(t, Scope{All: true}, View{Tab: tab, Filter: Filter{To: f.all[0].day, Platform: "tv"}, Limit: 1})
		}
	}
}

// seeds are those of the worlds of a test: few, where time is short.
func seeds(t testing.TB) uint64 {
	if testing.Short() {
		return 1
	}
	return 2
}

// compare walks a view, and compares it with what the oracle says.
func (f *fixture) compare(t *testing.T, scope Scope, v View) {
	t.Helper()
	what := fmt.Sprintf("%s by %q, falling %v, pages of %d, %+v, %+v", v.Tab, v.Sort, v.Desc, v.Limit, scope, v.Filter.Values())
	there, back := walk(t, f.Database, scope, v)
	want := f.rows(scope, v)
	sameRows(t, what, v, there, want)
	if !slices.Equal(there, back) {
		t.Errorf("%s: %d rows there and %d back, and they differ", what, len(there), len(back))
	}
}

// compareWhole compares a view of few rows without walking it, and its totals.
func (f *fixture) compareWhole(t *testing.T, scope Scope, v View) {
	t.Helper()
	v.Limit = MaxLimit
	what := fmt.Sprintf("%s by %q, falling %v, %+v, %v", v.Tab, v.Sort, v.Desc, scope, v.Filter.Values())
	p, err := f.Sessions(t.Context(), scope, v)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	want := f.rows(scope, v)
	sameRows(t, what, v, p.Rows, want)
	if n, known, err := f.Rows(t.Context(), scope, v); err != nil || known && n != int64(len(want)) {
		t.Errorf("%s: %d rows, %v", what, n, err)
	}
}

// values are what filters are set to, each by itself: what occurs, what does not, and the edges.
func (f *fixture) values() map[string][]string {
	k := f.all[len(f.all)/2]
	secs := func(micros int64) string { return string(seconds(micros).AppendMicros(nil)) }
	return map[string][]string{
		"from": {"2026-10-01", "2026-10-03", "2026-10-04", "2026-11-01"}, "to": {"2026-09-30", "2026-10-01", "2026-10-03", "2027-01-01"},
		"stream": {string(k.Object), "iq__*", "*0*", "A title", "a title", "*, with*", "iq__0_", "%", "*", "iq__0*1", "***", `iq__0\*`, `iq\_\_01`, Exactly(string(k.Object)), `iq__\*\\*`},
		"user":   {"user-3", "p4@example.com", "-", "USER-3", "user"},
		"ip": {"203.0.113.7", "::ffff:203.0.113.7", "203.0.113.0/24", "203.0.113.8/29", "203.0.113.9/29", "203.0.113.7/32", "0.0.0.0/0", "203.0.113.6/31", "10.0.0.0/8",
			"2001:db8::/32", "2001:db8::/63", "2001:db8::/64", "2001:db8::/65", "2001:db8:0:0:0:0:0:f/128", "2001:db8:1::a", "2001:db8:1::a/127", "::/0", "::/1", "::/64", "::/96", "::", "-", "::ffff:203.0.113.0/120", "::fffe:0:0/95",
			"0123456789abcdef0123456789abcdef", "0.0.0.0", "0.0.0.0/1"},
		"agent": {"agent/1", "LIKE, OTHERS", "nobody", "%", "_", "Agent/%", "-"},
		"min":   {"0", "0.000001", secs(k.watched()), secs(k.watched() + 1), "100000000"}, "max": {"0", "0.5", secs(k.watched()), "1000", "9999999999.999999"},
		"server": {"inod0", "inod5", "inod9", "INOD1"}, "protocol": {"hls", "-", "HLS"}, "country": {"DE", "de", " fr ", "-", "XX"}, "region": {"Hesse", "-"}, "city": {"Brest", "-"},
		"server_region": {"eu-west", "-"}, "platform": {"tv", "-"}, "os": {"iOS", "-"}, "tier": FilterTiers, "drm": FilterDRM, "watched": {"yes"}, "object": {string(k.Object), "iq__00", "A title", "iq__*"},
	}
}

func TestEveryFilterAloneOnEveryTab(t *testing.T) {
	f := newFixture(t, 4, nil, 40, 40, 3, 20)
	scope := Scope{All: true}
	for _, name := range FilterNames() {
		if f.values()[name] == nil && name != "viewer" { // which has a test of its own
			t.Errorf("nothing is asked for by %s", name)
		}
	}
	for name, values := range f.values() {
		t.Run(name, func(t *testing.T) {
			for _, value := range values {
				filter, err := ParseFilter(url.Values{name: {value}})
				if err != nil {
					t.Errorf("%s=%s: %v", name, value, err)
					continue
				}
				for _, tab := range Tabs {
					f.compareWhole(t, scope, View{Tab: tab, Filter: filter})
				}
				if got, want := must[Totals](t)(f.Totals(t.Context(), scope, filter)), f.totals(scope, filter); got != want {
					t.Errorf("%s=%s: totals %+v, want %+v", name, value, got, want)
				}
			}
		})
	}
	t.Run("several servers", func(t *testing.T) {
		for _, servers := range [][]string{{"inod0", "inod1"}, {"inod5", "inod9"}, {"inod0", "inod1", "inod2", "inod3", "inod4", "inod5"}} {
			for _, tab := range Tabs {
				f.compareWhole(t, scope, View{Tab: tab, Filter: Filter{Servers: servers}})
			}
		}
	})
	t.Run("every tier with clear and with DRM", func(t *testing.T) {
		for _, tier := range FilterTiers {
			for _, drm := range FilterDRM {
				f.compareWhole(t, scope, View{Tab: TabPlayback, Filter: Filter{Tier: tier, DRM: drm}})
				f.compareWhole(t, scope, View{Tab: TabUnique, Filter: Filter{Tier: tier, DRM: drm}})
			}
		}
	})
}

func TestFiltersTogether(t *testing.T) {
	n := 150
	if testing.Short() {
		n = 40
	}
	for seed := range seeds(t) {
		f := newFixture(t, 10+seed, nil, 60, 60, 0, 30)
		random := rand.New(rand.NewPCG(seed, 3))
		found, whose := 0, scopes()
		for range n {
			filter := f.randomFilter(random)
			scope := Scope{All: true}
			for _, s := range whose { // any of them
				scope = s
				break
			}
			tab := Tabs[random.IntN(len(Tabs))]
			columns := tab.Columns()
			v := View{Tab: tab, Filter: filter, Sort: columns[random.IntN(len(columns))].Name, Desc: random.IntN(2) == 0}
			f.compareWhole(t, scope, v)
			v.Limit = 1 + random.IntN(60)
			f.compare(t, scope, v)
			want := f.totals(scope, filter)
			if got := must[Totals](t)(f.Totals(t.Context(), scope, filter)); got != want {
				t.Errorf("%+v: totals %+v, want %+v", filter.Values(), got, want)
			}
			found += min(1, int(want.Sessions))
		}
		if found < n/6 {
			t.Errorf("of %d views %d had rows: the filters are too narrow to prove anything", n, found)
		}
	}
}

// randomFilter sets some fields of a filter.
func (f *fixture) randomFilter(random *rand.Rand) Filter {
	values := f.values()
	names := slices.Sorted(maps.Keys(values))
	for {
		q := url.Values{}
		for range 1 + random.IntN(3) {
			name := names[random.IntN(len(names))]
			q.Add(name, values[name][random.IntN(len(values[name]))])
		}
		if filter, err := ParseFilter(q); err == nil {
			return filter
		}
	}
}

func TestScopes(t *testing.T) {
	f := newFixture(t, 5, nil, 20, 10)
	for name, scope := range scopes() {
		t.Run(name, func(t *testing.T) {
			for _, tab := range Tabs {
				f.compare(t, scope, View{Tab: tab, Limit: 50})
			}
			for _, filter := range []Filter{{}, {Stream: "*"}, {Stream: "x", User: "y"}} {
				if got, want := must[Totals](t)(f.Totals(t.Context(), scope, filter)), f.totals(scope, filter); got != want {
					t.Errorf("totals %+v, want %+v", got, want)
				}
			}
			states := must[[]MonthState](t)(f.State(t.Context(), scope))
			for _, s := range states {
				if !scope.has(s.Tenant) {
					t.Errorf("it is told of %s", s.Tenant)
				}
			}
			choices := must[*Choices](t)(f.Choices(t.Context(), scope, Filter{}))
			if none := len(f.sessions(scope, Filter{})) == 0; none != (len(choices.Servers) == 0) || none != (len(states) == 0) {
				t.Errorf("choices %+v, months %+v", choices, states)
			}
		})
	}
}

// TestALinkSelectsWhatItWasMadeFor: whatever an id or a name looks like, Exactly finds it and no other.
func TestALinkSelectsWhatItWasMadeFor(t *testing.T) {
	texts := []string{"-", "*", `\`, `\*`, `\\`, "a*b", "axb", `a\*b`, `a\b`, "%", "_", "a", `\-`, `-\`, "**", `*\`}
	days := map[int][]schemas.Session{}
	w := newWorld(5)
	for i, text := range texts {
		s := w.session(0)
		s.Object, s.Title, s.Begun = []byte(text), nil, true
		s.Start = w.period.Start().UnixNano() + int64(i)
		s.Fields[schemas.FieldUser] = []byte(text)
		days[0] = append(days[0], s)
	}
	b := newBucket(t)
	c := &commits{t: t, bucket: b, tenant: "itenA", period: october}
	c.commit(days, 100)
	d := openDatabase(t, b, t.TempDir())
	follow(t, d)
	for _, text := range texts {
		for name, f := range map[string]Filter{"stream": {Stream: Exactly(text)}, "user": {User: Exactly(text)}} {
			p := must[*Page](t)(d.Sessions(t.Context(), Scope{All: true}, View{Tab: TabPlayback, Filter: f}))
			var got []string
			for _, r := range p.Rows {
				got = append(got, string(r.Object))
			}
			if !slices.Contains(got, text) || len(got) > 1 && name == "stream" && !slices.Contains(got, Exactly(text)) || len(got) > 2 {
				t.Errorf("%s of %q, which is %q, selects %q", name, text, Exactly(text), got)
			}
		}
	}
}
