package statistics

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// fuzzed are empty statistics for a fuzz test.
func fuzzed(f *testing.F) *Database {
	f.Helper()
	d, err := Open(f.Context(), Options{Folder: f.TempDir(), Metering: newBucket(f), Memory: 256 << 20, Log: quiet()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = d.Close() })
	return d
}

func FuzzFilter(f *testing.F) {
	for _, q := range []string{"", "from=2026-10-01&to=2026-10-31&stream=a*b%25_%5C&user=-&ip=203.0.113.0/24&agent=X&min=0.5&max=10&server=a&server=b&server=a", "ip=::/64&tier=hi&drm=drm",
		"protocol=-&country=DE&region=%27&city=%22&server_region=;&platform=tv&os=%00", "ip=fe80::1%25eth0", "ip=0123456789abcdef0123456789abcdef", "min=.&max=.5", "from=%ff"} {
		f.Add(q)
	}
	d := fuzzed(f)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		filter, err := ParseFilter(q)
		again, err2 := ParseFilter(filter.Values())
		if !reflect.DeepEqual(filter, again) || (err == nil) != (err2 == nil) {
			t.Fatalf("%+v (%v) becomes %+v (%v)", filter, err, again, err2)
		}
		if (err == nil) != (filter.Check() == nil) || filter.Empty() != reflect.DeepEqual(filter, Filter{}) {
			t.Fatalf("%+v: %v, then %v; empty %v", filter, err, filter.Check(), filter.Empty())
		}
		if _, asked := d.Totals(t.Context(), Scope{All: true}, filter); (err == nil) != (asked == nil) {
			t.Fatalf("%+v is checked with %v and asked with %v", filter, err, asked)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("", 0)
	f.Add("x", 1)
	for i, c := range []cursor{{Values: []string{"2026-10-01 00:00:00.000000001", "2026-10-01 00:00:00", "films", "1"}}, {Back: true, Values: []string{"1", "films", "iq__00"}},
		{Values: []string{"1", "inod0"}}, {Values: []string{"-0", "340282366920938463463374607431768211455"}}, {Values: []string{"9999-01-01 00:00:00", "1", "1", "films", "1"}}} {
		tab := Tabs[i]
		c.Order = orderOf(tab, tab.Columns()[0].Name, i%2 == 0)
		f.Add(c.String(), i)
	}
	d := fuzzed(f)
	f.Fuzz(func(t *testing.T, text string, n int) {
		tab := Tabs[uint(n)%uint(len(Tabs))]
		column := tab.Columns()[uint(n)/8%uint(len(tab.Columns()))].Name
		if _, err := d.Sessions(t.Context(), Scope{All: true}, View{Tab: tab, Sort: column, Desc: n%2 == 0, Cursor: text, Limit: 3}); err != nil && !errors.Is(err, ErrView) {
			t.Fatalf("%s by %s with the cursor %q: %v", tab, column, text, err)
		}
		keys := slices.Concat(tabs[tab].keys[column], tabs[tab].ties)
		order := orderOf(tab, column, n%2 == 0)
		if c, err := parseCursor(text, order, keys); err == nil && c != nil {
			if again, err := parseCursor(c.String(), order, keys); len(text) < maxCursor/8 && (err != nil || !reflect.DeepEqual(c, again)) {
				t.Fatalf("%+v becomes %+v, %v", c, again, err)
			}
		}
	})
}

func FuzzCommit(f *testing.F) {
	f.Add([]byte(`{"tenant":"films","period":"2026-10","sessions":[{"day":"2026-10-01","name":"a","rows":1},{"day":"2026-10-01","name":"b","rows":2},{"day":"2026-10-31","name":"","rows":0}],"rules":{"tiers":{}}}`))
	f.Add([]byte(`{"period":"2026-10","sessions":[{"day":"","name":"a","rows":-1}]}`))
	f.Add([]byte(`{"period":"2026-10","sessions":[{"day":"2026-11-01","name":"a"}],"rules":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var c schemas.Commit
		if json.Unmarshal(body, &c) != nil {
			return
		}
		_, _ = tiersOf(&c)
		want, err := wants(&c, accounting.TiersIndustry, nil)
		if err != nil {
			return
		}
		loaded := map[schemas.Day]string{}
		named := 0
		for _, w := range want {
			if periodOf(w.day) != c.Period {
				t.Fatalf("it wants the day %s of %s", w.day, c.Period)
			}
			loaded[w.day] = w.digest
			named += len(w.names)
		}
		if named != len(c.Sessions) || len(changes(want, loaded)) != 0 || len(changes(want, nil)) != len(want) || len(changes(nil, loaded)) != len(want) {
			t.Fatalf("of %d objects %d are wanted; changes %v", len(c.Sessions), named, changes(want, loaded))
		}
	})
}

func FuzzEngine(f *testing.F) {
	folder := f.TempDir()
	f.Chdir(folder)
	e, err := openEngine(settings{Folder: folder, Memory: 256 << 20, Temp: 1 << 20, Threads: 1, Secret: "secret"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.db.Close() })
	for _, q := range []question{{}, {Mode: modeSQL, Statements: []statement{{SQL: "SELECT 1"}}, Limit: 1}, {Mode: modeRead, Statements: []statement{{"SELECT ?", []any{"x"}}}, Limit: 1},
		{Mode: 9, Statements: []statement{{SQL: "SELECT 1"}}}, {Mode: modeWrite, Statements: []statement{{SQL: "SELECT"}}}, {Statements: []statement{{"SELECT ?", []any{int64(1), true}}}, Limit: -1}} {
		var body bytes.Buffer
		if err := gob.NewEncoder(&body).Encode(q); err != nil {
			f.Fatal(err)
		}
		f.Add(body.Bytes(), "Bearer secret")
		f.Add(body.Bytes(), "")
	}
	f.Add([]byte("garbage"), "Bearer secret")
	f.Add([]byte(nil), "Bearer secret ")
	f.Fuzz(func(t *testing.T, body []byte, bearer string) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Authorization", bearer)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if (bearer == "Bearer secret") == (w.Code == http.StatusUnauthorized) {
			t.Fatalf("with %q: %d", bearer, w.Code)
		}
		if w.Code == http.StatusUnauthorized && strings.TrimSpace(w.Body.String()) != "not for you" {
			t.Fatalf("a stranger is told %q", w.Body)
		}
	})
}
