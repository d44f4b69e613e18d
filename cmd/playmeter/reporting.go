package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/playmeter/playmeter/accounting/enrichment"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// site is an installation that is open: its settings, store and reporter.
type site struct {
	config   *Config
	store    *bucket.Store
	reporter *reporter.Reporter
	log      *intake.Log // of posted events; nil where there is none, or it is of no concern
	closer   io.Closer
	progress atomic.Pointer[func(reporter.Progress)]
}

// show has progress told to to from now on, and returns to whom it was told before.
func (s *site) show(to func(reporter.Progress)) func(reporter.Progress) {
	if before := s.progress.Swap(&to); before != nil {
		return *before
	}
	return func(reporter.Progress) {}
}

func (s *site) tell(p reporter.Progress) {
	if to := s.progress.Load(); to != nil {
		(*to)(p)
	}
}

// close gives log and store back; its error matters less than what was done before.
func (s *site) close() error {
	if s.log == nil {
		return s.closer.Close()
	}
	return errors.Join(s.log.Close(), s.closer.Close())
}

// needs says what a command wants of an installation.
type needs int

const (
	toRead   needs = iota // the data must be there already
	toAudit               // likewise, and no more than the reporting bucket need be open to us
	toWrite               // folders and buckets are made where they are missing
	toReport              // likewise, and the key that signs
)

// open reads the configuration and opens what it names.
func (a *app) open(ctx context.Context, n needs) (*site, error) {
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	return a.openConfig(ctx, c, n, "")
}

func (a *app) openConfig(ctx context.Context, c *Config, n needs, listen string) (*site, error) {
	if n < toWrite && c.ObjectStore.Embedded() {
		if _, err := os.Stat(c.DataDir); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no data in %s yet; name another folder with --data-dir, or begin with \"playmeter demo\" or \"playmeter serve\"", c.DataDir)
		}
	}
	temp, err := makeFolders(c)
	if err != nil {
		return nil, err
	}
	s := &site{config: c}
	if s.reporter, err = newReporter(c, temp); err != nil {
		return nil, err
	}
	s.reporter.Log, s.reporter.Progress = a.log(), s.tell
	if n == toReport {
		if err := s.signs(); err != nil {
			return nil, err
		}
	}
	if s.store, s.closer, err = a.store(ctx, c, listen); err != nil {
		return nil, err
	}
	if public := c.ObjectStore.PublicEndpoint; public != "" {
		if err := s.store.SetPublic(public); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.reporter.Store = s.store
	s.reporter.Buckets = reporter.Buckets{Usage: s.store.Bucket(c.Buckets.Usage), Catalog: s.store.Bucket(c.Buckets.Catalog),
		Metering: s.store.Bucket(c.Buckets.Metering), Reporting: s.store.Bucket(c.Buckets.Reporting)}
	s.reporter.Access = access(c, s.store.Config())
	if n == toAudit {
		return s, nil
	}
	if err := s.reporter.Prepare(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if n == toReport && listen == "" { // a daemon opens it once the store is its own
		if err := s.openLog(ctx, false); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// keysDir is where the installation keeps its signing key.
func (c *Config) keysDir() string { return filepath.Join(c.DataDir, "keys") }

// signs opens the key that signs manifests, which is made the first time.
func (s *site) signs() error {
	k, err := crypto.OpenKeyring(s.config.keysDir(), time.Now())
	if err != nil {
		return fmt.Errorf("the key that signs manifests: %w", err)
	}
	s.reporter.Signer, s.reporter.Signers = k.Signer, k.Allowed
	if k.Made {
		s.reporter.Log.Info("signing key made", "object", s.config.keysDir(), "key", k.Signer.Fingerprint())
	}
	return nil
}

// makeFolders makes the data directory and its folder for temporary files, both
// their owner's alone.
func makeFolders(c *Config) (temp string, err error) {
	if err := makePrivate(c.DataDir); err != nil {
		return "", fmt.Errorf("make the data directory: %w; choose another with --data-dir", err)
	}
	temp = filepath.Join(c.DataDir, "tmp")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	return temp, nil
}

// makePrivate makes a folder that only its owner may enter. One that is there,
// open to others and full of other things is somebody's, and stays as it is.
func makePrivate(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o700)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case info.Mode().Perm()&0o077 == 0:
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	ours := func(e fs.DirEntry) bool { return e.Name() == "objects" }
	if len(entries) > 0 && !slices.ContainsFunc(entries, ours) {
		return fmt.Errorf("%s holds other things and others may enter it", dir)
	}
	return os.Chmod(dir, 0o700)
}

func newReporter(c *Config, temp string) (*reporter.Reporter, error) {
	geo, err := enrichment.LoadGeo(c.GeoIP)
	if err != nil {
		return nil, err
	}
	r := &reporter.Reporter{Agents: enrichment.NewUserAgents(), Geo: geo, Grace: c.Reports.Grace,
		Keep: reporter.Keep(c.Reports.Keep), Restate: reporter.Restate(c.Reports.Restate), Forget: reporter.Forget(c.Privacy.Keep),
		Version: softwareVersion(), Temp: temp, Workers: runtime.GOMAXPROCS(0), Now: time.Now}
	if r.Tenants, r.Pseudonyms, err = newTenants(c, c.keysDir()); err != nil {
		return nil, err
	}
	return r, nil
}

// newTenants are the tenants of a configuration as the reporter knows them, and the key of viewers'
// pseudonyms, where there is one or any tenant's viewers are masked.
func newTenants(c *Config, keysDir string) ([]reporter.Tenant, *crypto.Pseudonyms, error) {
	masks := slices.ContainsFunc(c.Tenants, func(t TenantSettings) bool { return c.RulesOf(&t).Privacy.Any() })
	pseudonyms, err := crypto.OpenPseudonyms(keysDir, masks)
	if err != nil {
		return nil, nil, err
	}
	var out []reporter.Tenant
	for i := range c.Tenants {
		t, err := newTenant(c, &c.Tenants[i])
		if err != nil {
			return nil, nil, err
		}
		if t.Rules.Privacy.Any() {
			t.Rules.Privacy.Key = pseudonyms.Fingerprint()
		}
		out = append(out, t)
	}
	return out, pseudonyms, nil
}

func newTenant(c *Config, t *TenantSettings) (reporter.Tenant, error) {
	out := reporter.Tenant{ID: t.ID, Name: t.Name, Schedule: c.ScheduleOf(t), Compression: c.Reports.Compression,
		Rules: c.RulesOf(t), Recipients: make(map[schemas.Report][]crypto.Recipient), Expires: make(map[string]time.Time),
		Readers: make(map[schemas.Report][]string)}
	for _, report := range schemas.Reports {
		for _, text := range t.Recipients(report) {
			key, err := crypto.ParseRecipient(text)
			if err != nil {
				return out, fmt.Errorf("tenant %s: %w", t.ID, err)
			}
			out.Recipients[report] = append(out.Recipients[report], key)
		}
		out.Readers[report] = t.Readers(report)
	}
	for _, g := range t.Grants {
		if g.Recipient == "" || g.Expires.IsZero() {
			continue
		}
		key, err := crypto.ParseRecipient(g.Recipient)
		if err != nil {
			return out, fmt.Errorf("tenant %s: %w", t.ID, err)
		}
		out.Expires[key.Fingerprint()] = g.Expires.Time
	}
	return out, nil
}

// tenantIDs reads ids of tenants off the command line.
func tenantIDs(texts []string) ([]schemas.Tenant, error) {
	var ids []schemas.Tenant
	for _, text := range texts {
		id, err := schemas.ParseTenant(text)
		if err != nil {
			return nil, usageError{err}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// showProgress shows a reporter's stages.
func showProgress(p *progress) func(reporter.Progress) {
	labels := map[string]string{"tally": "counting usage files", "reconcile": "looking for copies", "fold": "adding up", "write": "writing reports", "verify": "checking reports"}
	return func(at reporter.Progress) {
		label := labels[at.Stage]
		if at.Tenant != "" {
			label += " of " + cutText(string(at.Tenant), 16)
		}
		p.at(label, at.Done, at.Total, at.Unit)
	}
}
