package servers_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/bucket/internal/servers"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// A service is an S3 service with users: one of package servers, or the embedded store.
type service struct {
	name     string
	endpoint string
	owner    servers.Credentials
	dialect  bucket.Dialect
	add      func(name string) servers.Credentials
	remove   func(name string)
	allow    func(name, policy string) // MinIO
}

// onEachService runs a test against the embedded store, a separate versitygw, and where they are asked
// for, the others.
func onEachService(t *testing.T, test func(*testing.T, service)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, embedded(t)) })
	dialects := map[servers.Kind]bucket.Dialect{
		servers.Versitygw: bucket.DialectVersity, servers.MinIO: bucket.DialectMinIO, servers.Ceph: bucket.DialectCeph,
	}
	for _, kind := range servers.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			if testing.Short() {
				t.Skip("starts other programs")
			}
			s := servers.Start(t, kind)
			test(t, service{name: string(kind), endpoint: s.Endpoint, owner: s.Owner, dialect: dialects[kind],
				add: s.AddUser, remove: s.RemoveUser, allow: s.SetUserPolicy})
		})
	}
}

// accounts are users of the embedded store.
type accounts struct{ secrets sync.Map }

func (a *accounts) Secret(access string) (string, bool, error) {
	secret, ok := a.secrets.Load(access)
	if !ok {
		return "", false, nil
	}
	return secret.(string), true, nil
}

func embedded(t *testing.T) service {
	t.Helper()
	var users accounts
	e, err := bucket.OpenEmbedded(t.Context(), bucket.EmbeddedConfig{Dir: t.TempDir(), Accounts: &users})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := e.Config()
	return service{name: "embedded", endpoint: cfg.Endpoint, dialect: bucket.DialectVersity,
		owner: servers.Credentials{AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey, Principal: cfg.AccessKey},
		add: func(name string) servers.Credentials {
			c := servers.Credentials{AccessKey: name, SecretKey: name + "-has-a-secret", Principal: name}
			users.secrets.Store(name, c.SecretKey)
			return c
		},
		remove: func(name string) { users.secrets.Delete(name) },
	}
}

func (s service) config(c servers.Credentials) bucket.Config {
	return bucket.Config{Endpoint: s.endpoint, AccessKey: c.AccessKey, SecretKey: c.SecretKey}
}

// client is S3 as an account sees it; the zero account is nobody.
func (s service) client(t testing.TB, c servers.Credentials) *minio.Core {
	t.Helper()
	u, err := url.Parse(s.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	core, err := minio.NewCore(u.Host, &minio.Options{Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""),
		Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return core
}

// A reader is an account and what it is granted; without a name it is nobody.
type reader struct {
	name   string
	grants map[schemas.Tenant][]schemas.Report
	servers.Credentials
}

const usage, sessions = schemas.ReportUsage, schemas.ReportSessions

// tenants are four, of which two have names that begin with another's.
var tenants = []schemas.Tenant{"acme", "acme-eu", "acme2", "beta"}

func everyone() []reader {
	type grants = map[schemas.Tenant][]schemas.Report
	return []reader{
		{name: "onlyusage", grants: grants{"acme": {usage}}},
		{name: "onlysessions", grants: grants{"acme": {sessions}}},
		{name: "bothreports", grants: grants{"acme": {usage, sessions}}},
		{name: "twotenants", grants: grants{"acme": {usage}, "beta": {usage, sessions}}},
		{name: "longername", grants: grants{"acme2": {usage, sessions}}},
		{name: "ungranted"},
		{},
	}
}

// mayGet says what the grants mean, without the patterns that policies are made of: a manifest and the list
// of signers for every reader of the tenant, input lists and diffs with usage, a report for who is granted it.
func (r reader) mayGet(key string) bool {
	if key == schemas.SignersFile {
		return len(r.grants) > 0
	}
	parts := strings.Split(key, "/")
	reports := r.grants[schemas.Tenant(parts[0])]
	if len(parts) < 3 {
		return false
	}
	switch name := parts[len(parts)-1]; {
	case name == schemas.ManifestFile, name == schemas.SignatureFile:
		return len(reports) > 0
	case name == schemas.InputsFile, strings.HasPrefix(name, "usage."):
		return slices.Contains(reports, usage)
	case strings.HasPrefix(name, "sessions."):
		return slices.Contains(reports, sessions)
	}
	return false
}

// mayList is whether everything below prefix is of tenants that the reader is granted something of.
func (r reader) mayList(prefix string) bool {
	tenant, _, below := strings.Cut(prefix, "/")
	return below && len(r.grants[schemas.Tenant(tenant)]) > 0
}

func (r reader) String() string {
	if r.name == "" {
		return "nobody"
	}
	return r.name
}

// A world is a Reporting bucket with reports of all tenants, and readers with their grants applied.
type world struct {
	service
	*reporter.Reporter
	bucket  string
	shelf   string // a bucket that readers may write to
	keys    []string
	readers []reader
}

func newWorld(t *testing.T, s service) *world {
	t.Helper()
	store, err := bucket.Dial(t.Context(), s.config(s.owner))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{service: s, bucket: "reporting", shelf: "shelf", readers: everyone()}
	w.Reporter = &reporter.Reporter{Store: store, Log: slog.New(slog.DiscardHandler), Now: time.Now, Buckets: reporter.Buckets{
		Usage: store.Bucket("usage"), Catalog: store.Bucket("catalog"), Metering: store.Bucket("metering"), Reporting: store.Bucket(w.bucket)}}
	if err := w.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.fill(t)
	for i := range w.readers {
		if r := &w.readers[i]; r.name != "" {
			r.Credentials = s.add(r.name)
		}
	}
	w.Access = reporter.Access{Dialect: s.dialect, Credentials: w.credentials}
	w.openShelf(t)
	w.grant(t)
	return w
}

// content is what the object of a key holds.
func content(key string) string { return "the object <" + key + ">\n" }

// fill puts everything into the bucket that a month with a run and a restatement has, and some things that
// resemble it.
func (w *world) fill(t *testing.T) {
	t.Helper()
	report := func(name string) string { return name + ".csv.gz.age" }
	w.keys = []string{schemas.SignersFile, report("usage"), "usage/2026-10/" + report("usage")}
	for _, tenant := range tenants {
		month := schemas.ReportFolder(tenant, mustPeriod(t, "2026-10"))
		for _, folder := range []string{month, month + "runs/2026-10-14T09-17-00Z/", month + "restatements/1/"} {
			for _, name := range []string{report("usage"), report("sessions"), schemas.ManifestFile, schemas.SignatureFile} {
				w.keys = append(w.keys, folder+name)
			}
			if folder != month {
				w.keys = append(w.keys, folder+schemas.InputsFile)
			}
		}
		w.keys = append(w.keys, month+"restatements/1/"+report("usage.diff"), month+"usages.csv", month+"notes.txt", string(tenant)+"/usage.csv")
	}
	slices.Sort(w.keys)
	for _, key := range w.keys {
		if _, err := w.Buckets.Reporting.PutBytes(t.Context(), key, []byte(content(key))); err != nil {
			t.Fatal(err)
		}
	}
}

func mustPeriod(t *testing.T, text string) schemas.Period {
	t.Helper()
	p, err := schemas.ParsePeriod(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) credentials(name string) (bucket.Config, bool, error) {
	for _, r := range w.readers {
		if r.name == name {
			return w.config(r.Credentials), true, nil
		}
	}
	return bucket.Config{}, false, nil
}

// grant writes the readers' grants as the reporter does, and where users have policies of their own, as its
// operator then has to.
func (w *world) grant(t *testing.T) {
	t.Helper()
	var configured []reporter.Tenant
	for _, id := range tenants {
		tenant := reporter.Tenant{ID: id, Readers: make(map[schemas.Report][]string)}
		for _, r := range w.readers {
			for _, report := range r.grants[id] {
				tenant.Readers[report] = append(tenant.Readers[report], r.name)
			}
		}
		configured = append(configured, tenant)
	}
	w.Tenants = configured
	state, err := w.ApplyGrants(t.Context(), reporter.GrantOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, policy := range state.UserPolicies {
		w.allow(name, withShelf(t, policy, w.shelf))
	}
	if state, err = w.CheckGrants(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := state.Err(); err != nil {
		t.Error(err)
	}
}

// openShelf makes a bucket that every account may write to, so that only the source of a copy is in question.
func (w *world) openShelf(t *testing.T) {
	t.Helper()
	owner := w.client(t, w.owner)
	if err := owner.MakeBucket(t.Context(), w.shelf, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if w.dialect == bucket.DialectMinIO {
		return
	}
	var principals []string
	for _, r := range w.readers {
		if r.name != "" {
			principals = append(principals, r.Principal)
		}
	}
	statement := mayPut(w.shelf)
	statement["Principal"] = map[string]any{"AWS": principals}
	if err := owner.SetBucketPolicy(t.Context(), w.shelf, document(t, statement)); err != nil {
		t.Fatal(err)
	}
}

func mayPut(bucket string) map[string]any {
	return map[string]any{"Effect": "Allow", "Action": []string{"s3:PutObject"}, "Resource": []string{"arn:aws:s3:::" + bucket + "/*"}}
}

func document(t *testing.T, statements ...any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withShelf is a user's policy that allows writing to the shelf, too.
func withShelf(t *testing.T, policy, shelf string) string {
	t.Helper()
	var doc struct{ Statement []any }
	if err := json.Unmarshal([]byte(policy), &doc); err != nil {
		t.Fatal(err)
	}
	return document(t, append(doc.Statement, mayPut(shelf))...)
}

// objects are what the owner sees in the bucket, by key.
func (w *world) objects(t *testing.T) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for info, err := range w.Buckets.Reporting.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		out[info.Key] = fmt.Sprint(info.ETag, info.Size)
	}
	return out
}

// text reads all of a stream that is closed then.
func text(r io.ReadCloser) (string, error) {
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

// scratch is an empty file.
func scratch(t *testing.T, name string) string {
	t.Helper()
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
