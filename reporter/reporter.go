package reporter

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/accounting/enrichment"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// Tenant is whom reports are made for.
type Tenant struct {
	ID          schemas.Tenant
	Name        string
	Schedule    string // robfig/cron, UTC
	Recipients  map[schemas.Report][]crypto.Recipient
	Compression schemas.Compression
	// Expires is from when on nothing is sealed to a recipient any more, by fingerprint; those that
	// are not in it never expire.
	Expires map[string]time.Time
	// Readers are those whom the object store lets get a report, by the names that they have there.
	Readers map[schemas.Report][]string
	// Rules take effect with the first run of a period (SPEC 6).
	Rules accounting.Rules
}

// recipients are those who may open a report; a diff of usage says what usage does.
func (t *Tenant) recipients(report schemas.Report) []crypto.Recipient {
	if report == schemas.ReportDiff {
		report = schemas.ReportUsage
	}
	return t.Recipients[report]
}

// Buckets are the four buckets of an installation.
type Buckets struct {
	Usage, Catalog, Metering, Reporting *bucket.Bucket
}

// Reporter makes reports. Its fields are set before first use and not changed
// afterwards; see [Reporter.SetTenants] for what may change.
type Reporter struct {
	Store   *bucket.Store
	Buckets Buckets
	Tenants []Tenant
	Access  Access // of readers to the Reporting bucket
	// Pseudonyms are what viewers are masked with, where the rules of a tenant mask any.
	Pseudonyms *crypto.Pseudonyms
	Agents     *enrichment.UserAgents
	Geo        *enrichment.Geo
	Grace      time.Duration // how long a month stays open after its end
	Keep       Keep
	Restate    Restate
	Forget     Forget         // when personal data goes
	Version    string         // of the software
	Temp       string         // folder for temporary files, which are encrypted
	Workers    int            // files tallied at once
	Signer     *crypto.Signer // signs manifests; nil: they stay unsigned
	// Signers are published beside the reports: who wants to check a manifest finds there
	// which keys this installation signs with.
	Signers crypto.AllowedSigners
	Log     *slog.Logger
	Now     func() time.Time

	// PackGrace is how long a pack stays after it was merged into another, by the store's
	// clock; 0: six hours.
	PackGrace time.Duration

	// ClockTrust is how long after the newest usage file the clock is still believed where something goes for
	// good; 0: two days.
	ClockTrust time.Duration

	// Progress, if set, is told how far the work is. It may be called from
	// several goroutines.
	Progress func(Progress)
	// Before, if set, puts what is on its way into the usage bucket there, at the beginning of every run. Where
	// it fails nothing is reported.
	Before func(context.Context) error
	// Began, if set, is told of each run of a schedule, and of Begin, before it does anything.
	Began func(RunOptions)
	// Done, if set, is told what came of each of them; the result is nil
	// where nothing could be done. Runs that were abandoned are not told.
	Done func(schemas.Period, *Result, error)

	turnOnce sync.Once
	turns    chan struct{} // see turn

	tenantsMu sync.Mutex
	changed   chan struct{} // closed when Tenants has changed; nil: nobody waits

	shelfMu sync.Mutex
	shelf   *shelf // as it was loaded last: packs do not change under their names

	planMu sync.Mutex
	seen   *plan            // of the newest run
	same   map[RunID]string // of runs that stand: the basis that is known to give the same

	commitMu sync.Mutex
	commits  map[string]*schemas.Commit // the newest of each month, by key
	done     map[string]bool            // what is done or said once in this process: see once

	ledgerMu sync.Mutex
	ledgers  map[schemas.Day]*knownLedger // as they were loaded or made last
}

// Keep is how many old runs of a month keep their reports (SPEC 7); finals and restatements always do.
type Keep struct {
	Runs  int // the last so many
	Daily int // and the last of each of the last so many days
}

// Restate bounds the restatements of final months (SPEC 6).
type Restate struct {
	Every time.Duration // at most one of a tenant in this time
	Until time.Duration // none later than this after the month's end
}

// Progress is how far a stage of a run is.
type Progress struct {
	Stage  string         // tally, fold, write
	Tenant schemas.Tenant // empty for tally
	Done   int64
	Total  int64 // 0: not known
	Unit   string
}

func (r *Reporter) progress(p Progress) {
	if r.Progress != nil {
		r.Progress(p)
	}
}

// SoftMemory is from how many bytes of memory on a process that makes reports had better collect garbage
// more often than let its heap grow: what it holds at once is about half of that, whatever the size of the month.
const SoftMemory = 400 << 20

// Prepare makes sure that the buckets exist.
func (r *Reporter) Prepare(ctx context.Context) error {
	for _, b := range []*bucket.Bucket{r.Buckets.Usage, r.Buckets.Catalog, r.Buckets.Metering, r.Buckets.Reporting} {
		if err := b.Ensure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Tenant finds a configured tenant.
func (r *Reporter) Tenant(id schemas.Tenant) (Tenant, error) {
	for _, t := range r.tenants() {
		if t.ID == id {
			return t, nil
		}
	}
	return Tenant{}, fmt.Errorf("tenant %q is not configured: add it under tenants", id)
}

// State is how far a month is (SPEC 6).
func (r *Reporter) State(p schemas.Period, asOf time.Time) string {
	switch {
	case asOf.Before(p.End()):
		return StateOpen
	case asOf.Before(p.End().Add(r.Grace)):
		return StateClosing
	}
	return StateFinal
}

// The states of a month.
const (
	StateOpen    = "open"
	StateClosing = "closing"
	StateFinal   = "final"
)
