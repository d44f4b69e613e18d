package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/reporter"
)

// keeper keeps a daemon's tenants and grants as the configuration says, also when that changes.
type keeper struct {
	app    *app
	site   *site
	intake *intake.Intake
	watch  []string // files whose change means something
	mu     sync.Mutex
	config *Config
	state  *reporter.GrantsState
	err    error // why the grants could not be applied
	stale  error // why the configuration could not be taken over, so that an older one holds
}

// How often things are looked at.
const (
	watchEvery = 2 * time.Second // files; polled, because that also sees what links and network folders hide
	applyEvery = time.Hour       // whether the bucket is still as granted
	retryEvery = time.Minute     // after it was not
)

func newKeeper(a *app, s *site, in *intake.Intake) *keeper {
	path, _ := a.configPath()
	path = a.abs(path)
	return &keeper{app: a, site: s, intake: in, config: s.config, err: errors.New("the readers' grants have not been applied yet"),
		watch: []string{path, filepath.Join(s.config.keysDir(), "readers")}}
}

// current is the configuration in force.
func (k *keeper) current() *Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.config
}

// ready tells what keeps readers from what they are granted, or lets them at more.
func (k *keeper) ready() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return errors.Join(k.stale, k.err)
	}
	return k.state.Err() // a configuration that was not taken over is among it
}

// run goes on until ctx ends.
func (k *keeper) run(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	seen := k.fingerprint()
	last := seen
	next := time.Now().Add(k.apply(ctx))
	for {
		told := false
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			told = true
		case <-look.C:
		}
		now := k.fingerprint()
		settled := now == last // nobody is at writing the file
		last = now
		switch {
		case told || now != seen && settled:
			seen = now
			k.reload()
		case time.Now().Before(next):
			continue
		}
		next = time.Now().Add(k.apply(ctx))
	}
}

// fingerprint is of the contents of the watched files.
func (k *keeper) fingerprint() string {
	h := sha256.New()
	for _, path := range k.watch {
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%d %v ", len(data), err)
		h.Write(data)
	}
	return string(h.Sum(nil))
}

// apply applies the grants, and tells when to do so again.
func (k *keeper) apply(ctx context.Context) time.Duration {
	k.mu.Lock()
	o := reporter.GrantOptions{}
	if k.stale != nil {
		o.Stale = k.stale.Error()
	}
	k.mu.Unlock()
	state, err := k.site.reporter.ApplyGrants(ctx, o)
	if ctx.Err() != nil {
		return applyEvery
	}
	k.mu.Lock()
	var before []string
	if k.state != nil {
		before = k.state.Problems
	}
	k.err = err
	if err == nil {
		k.state = state
	}
	k.mu.Unlock()
	log := k.site.reporter.Log
	switch {
	case err != nil:
		log.Error("the readers' grants could not be applied", "err", err)
		return retryEvery
	case len(state.Problems) > 0:
		if !slices.Equal(state.Problems, before) { // said once
			log.Error("the Reporting bucket is not as granted", "err", state.Err())
		}
		return retryEvery
	case len(state.Readers) > 0:
		log.Info("readers' grants applied", "readers", len(state.Readers), "changed", state.Changed, "tried", len(state.Checks), "not_proved", len(state.Unproved))
	}
	return applyEvery
}

// reload takes over a changed configuration. A bad one changes nothing, and the daemon is not ready until
// it is mended: somebody may have meant to take a grant away.
func (k *keeper) reload() {
	log := k.site.reporter.Log
	c, tenants, pseudonyms, err := k.readAgain()
	k.mu.Lock()
	before := k.config
	if k.stale = err; err == nil {
		k.config = c
	}
	k.mu.Unlock()
	if err != nil {
		log.Error("the changed configuration is not taken over; what was read before holds", "err", err)
		return
	}
	if names := needRestart(k.site.config, c); len(names) > 0 {
		log.Warn("some changed settings take effect only when the daemon is started again", "settings", strings.Join(names, " "))
	}
	if reflect.DeepEqual(before, c) {
		return
	}
	k.site.reporter.SetTenants(tenants, pseudonyms)
	k.intake.SetRules(c.Intake.rules())
	log.Info("configuration read again", "tenants", len(tenants))
}

// readAgain reads the configuration. A file that is gone or empty is rather one that is being written than the
// wish to have no tenants.
func (k *keeper) readAgain() (*Config, []reporter.Tenant, *crypto.Pseudonyms, error) {
	c, err := k.app.config()
	if err != nil {
		return nil, nil, nil, err
	}
	if len(c.Tenants) == 0 && len(k.current().Tenants) > 0 {
		return nil, nil, nil, fmt.Errorf("%s names no tenant any more: mend it; to have none, start the daemon again", k.watch[0])
	}
	tenants, pseudonyms, err := newTenants(c, k.site.config.keysDir())
	return c, tenants, pseudonyms, err
}

// needRestart names what has changed that a running daemon does not take over.
func needRestart(before, now *Config) []string {
	var names []string
	for _, s := range []struct {
		name     string
		old, new any
	}{
		{"data_dir", before.DataDir, now.DataDir}, {"listen", before.Listen, now.Listen}, {"object_store", before.ObjectStore, now.ObjectStore},
		{"buckets", before.Buckets, now.Buckets}, {"geoip", before.GeoIP, now.GeoIP}, {"readers", before.Readers, now.Readers},
		{"reports.grace", before.Reports.Grace, now.Reports.Grace}, {"reports.keep", before.Reports.Keep, now.Reports.Keep},
		{"reports.restate", before.Reports.Restate, now.Reports.Restate}, {"privacy.keep", before.Privacy.Keep, now.Privacy.Keep},
		{"statistics", before.Statistics, now.Statistics},
		{"intake", before.Intake.fixed(), now.Intake.fixed()}, {"sources", before.Sources, now.Sources}, {"logs", before.Logs, now.Logs},
	} {
		if !reflect.DeepEqual(s.old, s.new) {
			names = append(names, s.name)
		}
	}
	return names
}
