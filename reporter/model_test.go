package reporter

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// player plays a history and holds what comes of it against a model.
type player struct {
	*model
	ctx       context.Context
	store     *bucket.Store
	buckets   Buckets
	reporting *bucket.Bucket
	temp      string
	identity  crypto.Identities
	to        crypto.Recipient
	processes [2]*Reporter
}

// theatre is where histories are played.
type theatre struct {
	t        testing.TB
	memory   *memoryStore
	inMemory *bucket.Store
	temp     string
	identity crypto.Identities
	to       crypto.Recipient
	played   atomic.Int64
	runs     atomic.Int64
	restated atomic.Int64
}

func newTheatre(t testing.TB) *theatre {
	t.Helper()
	s := &theatre{t: t, temp: t.TempDir()}
	s.memory, s.inMemory = newMemoryStore(t)
	secret, to, err := crypto.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	s.to = to
	if s.identity, err = crypto.ParseIdentities(secret); err != nil {
		t.Fatal(err)
	}
	return s
}

// play plays a history and returns the first step after which something was wrong, and what.
func (s *theatre) play(h *history, embedded bool) (at int, err error) {
	site := fmt.Sprintf("model%d-", s.played.Add(1))
	store := s.inMemory
	if embedded {
		store = testStore
	}
	defer s.memory.forget(site)
	p := &player{model: newModel(h.limits), ctx: context.Background(), store: store, temp: s.temp, identity: s.identity, to: s.to,
		buckets: Buckets{store.Bucket(site + "usage"), store.Bucket(site + "catalog"), store.Bucket(site + "metering"), store.Bucket(site + "reporting")}}
	p.reporting = p.buckets.Reporting
	for i := range p.processes {
		p.restart(i)
	}
	if embedded {
		if err := p.processes[0].Prepare(p.ctx); err != nil {
			return 0, err
		}
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	for at = range h.steps {
		if h.ticks {
			s.memory.tick(site)
		}
		if err := p.step(&h.steps[at]); err != nil {
			return at, err
		}
	}
	for _, month := range p.months {
		s.runs.Add(1)
		s.restated.Add(int64(len(month.restatements)))
	}
	return at, nil
}

// restart replaces a process by one that knows nothing.
func (p *player) restart(i int) {
	p.processes[i] = &Reporter{Store: p.store, Buckets: p.buckets, Agents: agents, Grace: 72 * time.Hour, Keep: Keep{1000, 1000}, Restate: p.limits, Version: "test", Temp: p.temp, Workers: 1,
		Log: slog.New(slog.DiscardHandler), Now: time.Now, PackGrace: -24 * time.Hour}
	p.configure()
}

// configure gives both processes the configuration.
func (p *player) configure() {
	for _, r := range p.processes {
		if r == nil {
			continue
		}
		r.Tenants = nil
		for _, id := range p.tenants() {
			t := Tenant{ID: id, Name: map[schemas.Tenant]string{"acme": "Acme", "bolt": "Bolt"}[id], Compression: schemas.CompressNone, Rules: p.config.rules(),
				Recipients: make(map[schemas.Report][]crypto.Recipient)}
			for _, report := range p.granted(id) {
				t.Recipients[report] = []crypto.Recipient{p.to}
			}
			r.Tenants = append(r.Tenants, t)
		}
	}
}

func (p *player) step(s *step) error {
	switch s.op {
	case "put", "spoil":
		data, f := s.encode()
		if list := p.once[s.key]; slices.ContainsFunc(list, func(o *usageFile) bool { return o.etag == f.etag && o != list[len(list)-1] }) {
			return nil // put back what another file has replaced: which of the two counts once both are gone is not known
		}
		info, err := p.buckets.Usage.PutBytes(p.ctx, s.key, data)
		if err == nil && info.ETag != f.etag {
			err = fmt.Errorf("the store gave %s the ETag %s, not the MD5", s.key, info.ETag)
		}
		p.listed[s.key] = f
		return err
	case "vanish":
		delete(p.listed, s.key)
		return p.buckets.Usage.Delete(p.ctx, s.key)
	case "withdraw":
		return p.takeOut(s.key)
	case "snapshot":
		return p.snapshot(s)
	case "config":
		p.config = s.config
		p.configure()
	case "restart":
		p.restart(s.process)
	case "merge":
		return p.merge(s)
	case "run", "race":
		return p.run(s.runs)
	}
	return nil
}

func (p *player) takeOut(key string) error {
	r := p.processes[0]
	c, err := r.Counted(p.ctx, key)
	if err != nil && p.listed[key] == nil && len(p.once[key]) == 0 {
		return nil // there never was one
	} else if err != nil {
		return err
	}
	p.withdraw(key)
	return r.Withdraw(p.ctx, c)
}

func (p *player) snapshot(s *step) error {
	key, data := schemas.CatalogName(s.tenant, s.at, ".ndjson"), s.catalog()
	sum := md5.Sum(data)
	list := slices.DeleteFunc(slices.Clone(p.snapshots[s.tenant]), func(o heldSnapshot) bool { return o.key == key })
	list = append(list, heldSnapshot{key, hex.EncodeToString(sum[:]), s.at.UnixNano(), s.holdings})
	slices.SortFunc(list, func(a, b heldSnapshot) int { return int(a.at/1e9 - b.at/1e9) })
	p.snapshots[s.tenant] = list
	_, err := p.buckets.Catalog.PutBytes(p.ctx, key, data)
	return err
}

// merge merges some packs into one and removes them.
func (p *player) merge(s *step) error {
	r := p.processes[s.process]
	shelf, err := r.loadShelf(p.ctx)
	if err != nil {
		return err
	}
	chosen := shelf.candidates()
	if len(chosen) < 2 {
		return nil
	}
	random := rand.New(rand.NewPCG(s.choice, 12))
	random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	if err := r.mergePacks(p.ctx, shelf, chosen[:2+random.IntN(len(chosen)-1)]); err != nil {
		return err
	}
	if shelf, err = r.loadShelf(p.ctx); err != nil {
		return err
	}
	return r.sweep(p.ctx, shelf)
}

// run makes runs, two of them at once, and checks what they came to.
func (p *player) run(runs []runStep) error {
	results, errs := make([]*Result, len(runs)), make([]error, len(runs))
	var wg sync.WaitGroup
	for i := range runs {
		wg.Go(func() {
			o := RunOptions{Period: runs[i].period, AsOf: runs[i].asOf, CurrentRules: runs[i].current}
			if runs[i].tenant != "" {
				o.Tenants = []schemas.Tenant{runs[i].tenant}
			}
			results[i], errs[i] = p.processes[runs[i].process].Run(p.ctx, o)
		})
	}
	wg.Wait()
	for i := range runs {
		if known := runs[i].tenant == "" || slices.Contains(p.tenants(), runs[i].tenant); (errs[i] == nil) != known {
			return fmt.Errorf("run: %w", errs[i])
		} else if known {
			p.see()
		}
	}
	for _, tenant := range p.tenants() {
		if err := p.settle(tenant, runs, results); err != nil {
			return err
		}
		if err := p.checkStable(monthKey{tenant, runs[0].period}); err != nil {
			return fmt.Errorf("stable names of %s: %w", tenant, err)
		}
	}
	return nil
}

// settle checks a tenant's results: of two runs at once in the order in which they were made, which
// is one that explains them.
func (p *player) settle(tenant schemas.Tenant, runs []runStep, results []*Result) error {
	type done struct {
		run    *runStep
		result *TenantResult
	}
	var all []done
	busy := 0
	for i, r := range results {
		if r == nil {
			continue
		}
		for k := range r.Tenants {
			if t := &r.Tenants[k]; t.Tenant != tenant {
			} else if errors.Is(t.Err, ErrBusy) || errors.Is(t.Err, ErrOvertaken) {
				busy++
			} else {
				all = append(all, done{&runs[i], t})
			}
		}
	}
	if busy > 0 && len(all) == 0 {
		return fmt.Errorf("%s: each run says that another is under way", tenant)
	}
	months := p.months
	var errs []error
	for range max(1, len(all)) {
		p.months = make(map[monthKey]monthState)
		for k, s := range months {
			p.months[k] = s
		}
		var err error
		for _, d := range all {
			if err = p.check(d.run, d.result); err != nil {
				errs = append(errs, err)
				break
			}
		}
		if err == nil {
			return nil
		}
		slices.Reverse(all)
	}
	return errors.Join(errs...)
}

// shrink leaves out steps, and rows of files, as long as the history still fails.
func (s *theatre) shrink(h *history, embedded bool) *history {
	deadline := time.Now().Add(time.Minute)
	fails := func(h *history) bool {
		if time.Now().After(deadline) {
			return false
		}
		_, err := s.play(h, embedded)
		return err != nil
	}
	for again := true; again; {
		again = false
		for i := len(h.steps) - 1; i >= 0; i-- {
			less := *h
			less.steps = slices.Delete(slices.Clone(h.steps), i, i+1)
			if fails(&less) {
				h, again = &less, true
				continue
			}
			for k := len(h.steps[i].rows) - 1; k >= 0 && len(h.steps[i].rows) > 1; k-- {
				less := *h
				less.steps = slices.Clone(h.steps)
				less.steps[i].rows = slices.Delete(slices.Clone(h.steps[i].rows), k, k+1)
				if fails(&less) {
					h, again = &less, true
				}
			}
		}
	}
	return h
}

// report fails the test with a history that went wrong.
func (s *theatre) report(h *history, embedded bool) {
	if _, err := s.play(h, embedded); err == nil {
		s.t.Errorf("seed %d failed, and played again it did not:\n%s", h.seed, h)
		return
	}
	short := s.shrink(h, embedded)
	at, err := s.play(short, embedded)
	s.t.Errorf("seed %d (PLAYMETER_SEED=%d plays it alone), at step %d: %v\nin\n%s\nin all:\n%s", h.seed, h.seed, at+1, err, short, h)
}

// TestHistories plays random histories and holds every run against a plain re-computation
// from the events.
func TestHistories(t *testing.T) {
	first, n := uint64(0), 2000
	switch {
	case os.Getenv("PLAYMETER_SEED") != "":
		seed, err := strconv.ParseUint(os.Getenv("PLAYMETER_SEED"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = seed, 1
	case os.Getenv("PLAYMETER_LONG") != "":
		first, n = uint64(time.Now().Unix())*1_000_000, 20_000
	case testing.Short():
		n = 200
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // many small histories: there is little to collect
	s := newTheatre(t)
	next, failed := make(chan *history), make(chan *history, n)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for h := range next {
				if _, err := s.play(h, h.seed%100 == 99); err != nil {
					failed <- h
				}
			}
		})
	}
	for i := range uint64(n) {
		if len(failed) > 2 {
			break
		}
		next <- randomHistory(first + i)
	}
	close(next)
	wg.Wait()
	close(failed)
	shown := 0
	for h := range failed {
		if shown++; shown <= 3 {
			s.report(h, h.seed%100 == 99)
		} else {
			t.Errorf("seed %d failed as well", h.seed)
		}
	}
	t.Logf("%d histories, %d months, %d restatements", n, s.runs.Load(), s.restated.Load())
}
