package reporter

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/accounting/enrichment"
	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// testStore is the embedded object store that the tests of this package share:
// a process can have one. Its buckets are folders of testObjects.
var (
	testStore   *bucket.Store
	testObjects string
)

func TestMain(m *testing.M) { os.Exit(run1(m)) }

func run1(m *testing.M) int {
	dir, err := os.MkdirTemp("", "playmeter-reporter-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	store, closer, err := bucket.Open(context.Background(), bucket.EmbeddedConfig{Dir: dir, Listen: "127.0.0.1:0", Accounts: testReaders{}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer closer.Close()
	testStore, testObjects = store, filepath.Join(dir, "objects")
	return m.Run()
}

var agents = enrichment.NewUserAgents()

// site is an installation of its own in the shared store.
type site struct {
	*Reporter
	t        testing.TB
	identity crypto.Identities
	to       crypto.Recipient
}

var sites atomic.Int64

// newSite makes an installation with the given tenants, whose reports one
// identity can open.
func newSite(t testing.TB, tenants ...Tenant) *site {
	t.Helper()
	secret, to, err := crypto.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := crypto.ParseIdentities(secret)
	if err != nil {
		t.Fatal(err)
	}
	prefix := fmt.Sprintf("site%d-", sites.Add(1))
	b := func(name string) *bucket.Bucket { return testStore.Bucket(prefix + name) }
	r := &Reporter{Store: testStore, Agents: agents, Grace: 72 * time.Hour, Keep: Keep{24, 35}, Restate: Restate{24 * time.Hour, 9600 * time.Hour}, Version: "test", Temp: t.TempDir(), Workers: 2, Now: time.Now,
		Log:     slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Buckets: Buckets{Usage: b("usage"), Catalog: b("catalog"), Metering: b("metering"), Reporting: b("reporting")}}
	s := &site{Reporter: r, t: t, identity: ids, to: to}
	for _, tenant := range tenants {
		if tenant.Recipients == nil {
			tenant.Recipients = map[schemas.Report][]crypto.Recipient{schemas.ReportUsage: {to}, schemas.ReportSessions: {to}}
		}
		if tenant.Compression == "" {
			tenant.Compression = schemas.CompressGzip
		}
		if tenant.Rules.DensityOf == "" {
			tenant.Rules = accounting.DefaultRules()
		}
		r.Tenants = append(r.Tenants, tenant)
	}
	if err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// testWriter sends log lines to the test's output.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// put uploads files from disk.
func (s *site) put(b *bucket.Bucket, key, path string) {
	s.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := b.PutBytes(s.t.Context(), key, data); err != nil {
		s.t.Fatal(err)
	}
}

// run makes reports and fails the test where one fails.
func (s *site) run(o RunOptions) *Result {
	s.t.Helper()
	result, err := s.Run(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		s.t.Fatal(err)
	}
	return result
}

// report fetches a tenant's report at its stable name and decrypts it.
func (s *site) report(tenant schemas.Tenant, p schemas.Period, report schemas.Report) []byte {
	s.t.Helper()
	var out strings.Builder
	f := Fetcher{Reporting: s.Buckets.Reporting, Identities: s.identity}
	if _, err := f.Fetch(s.t.Context(), tenant, p, report, &out); err != nil {
		s.t.Fatal(err)
	}
	return []byte(out.String())
}

// sampleSite is an installation of a sample month's tenants with their catalogs, and no usage yet.
func sampleSite(t testing.TB, month *sample.Month) *site {
	t.Helper()
	var tenants []Tenant
	for _, x := range sample.Tenants() {
		tenants = append(tenants, Tenant{ID: schemas.Tenant(x.ID), Name: x.Name, Schedule: "@hourly"})
	}
	s := newSite(t, tenants...)
	for key, objects := range month.Catalogs() {
		var file bytes.Buffer
		if err := schemas.WriteCatalog(&file, objects); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Buckets.Catalog.PutBytes(t.Context(), key, file.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
