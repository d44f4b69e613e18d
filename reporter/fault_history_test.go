package reporter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// The history that the fault table disturbs: small, and touching all that is ever written.

// act is a step of the history.
type act struct {
	name    string
	prepare func(*site) // what others do before it
	do      func(p *process, at time.Time) error
	at      time.Time // the as-of
	// overtake is the as-of of a run that overtakes it, and again that of the run after everything.
	overtake, again time.Time
	// alone are the writes that are disturbed; nil: all.
	alone func(write) bool
	// free tells that where another process overtakes it, what it makes may come in another order.
	free bool
}

// newHistory is an installation with two tenants before anything was counted.
func newHistory(t testing.TB) *site {
	beta := acme()
	beta.ID, beta.Name = "beta", "Beta"
	s := newSite(t, acme(), beta).signed()
	s.Keep, s.PackGrace, s.Workers = Keep{Runs: 1}, 10*time.Minute, 1
	return s
}

// faultHistory is what happens, in order.
func faultHistory() []act {
	day := func(n int) time.Time { return october.Start().AddDate(0, 0, n).Add(time.Hour) }
	open := func(name string, at time.Time, prepare func(*site)) act {
		return act{name, prepare, makeReports, at, at.Add(10 * time.Minute), at.Add(2 * time.Hour), nil, false}
	}
	final := func(name string, n int, prepare func(*site)) act {
		at := inNovember(n) // at most one restatement a day
		return act{name, prepare, makeReports, at, at.Add(10 * time.Minute), at.AddDate(0, 0, 2), nil, false}
	}
	withdrawal := open("withdrawal", day(8), nothing)
	withdrawal.do = withdrawAndMake
	anew := final("sealed anew", 7, anotherKey)
	anew.do, anew.free = sealAnewAndMake, true
	early := open("earlier as-of", day(4), nothing)
	early.overtake, early.again = day(9).Add(3*time.Hour), day(9).Add(4*time.Hour)
	return []act{
		open("first run", day(5), firstFiles),
		open("copies and replaced file", day(6), copiesAndReplacement),
		open("other compression", day(7), otherCompression),
		withdrawal,
		open("merging", day(9), manyPacks),
		open("sweeping", day(9).Add(time.Hour), nothing),
		early,
		final("final", 0, leftovers),
		final("restatement", 1, lateFile),
		final("second restatement", 3, lateChanges),
		final("late copies", 5, lateCopies),
		anew,
	}
}

// inParts is an act whose report of sessions is so large that it is uploaded in parts.
func inParts() act {
	at := october.Start().AddDate(0, 0, 5)
	return act{"in parts", largeSessions, makeReports, at, at.Add(time.Hour), at.Add(2 * time.Hour), func(w write) bool {
		verb, _, _ := strings.Cut(w.name, " ")
		return slices.Contains([]string{"INITIATE", "PART", "COMPLETE", "ABORT"}, verb)
	}, false}
}

func nothing(*site) {}

// makeReports makes the reports of all tenants.
func makeReports(p *process, at time.Time) error {
	result, err := p.Run(p.ctx, RunOptions{Period: october, AsOf: at})
	if err != nil {
		return err
	}
	return result.Err()
}

func withdrawAndMake(p *process, at time.Time) error {
	c, err := p.Counted(p.ctx, "b.parquet")
	if err != nil {
		return err
	}
	return errors.Join(p.Withdraw(p.ctx, c), makeReports(p, at))
}

func sealAnewAndMake(p *process, at time.Time) error {
	return errors.Join(p.Rekey(p.ctx, "acme", october).Err, makeReports(p, at))
}

// view is n segments that a tenant's viewer watched.
func view(node string, seq int, tenant schemas.Tenant, object string, at time.Duration, n int) []schemas.Event {
	return play(node, seq, string(tenant), object, fmt.Sprint("viewing-", object, at/time.Hour), at, n)
}

const aDay = 24 * time.Hour

func firstFiles(s *site) {
	s.putEvents("a.parquet", append(view("n1", 0, "acme", "film-a", aDay, 8), view("n1", 8, "beta", "film-b", aDay, 5)...))
	s.putEvents("b.parquet", append(view("n2", 0, "acme", "film-c", 2*aDay, 6), view("n2", 6, "beta", "clip-d", 26*time.Hour, 4)...))
	s.putSnapshot("acme", october.Start(), `{"object_id":"film-a","object_name":"title-one"}`)
}

func copiesAndReplacement(s *site) {
	s.putEvents("c.parquet", append(view("n1", 4, "acme", "film-a", aDay+8*time.Second, 4), view("n3", 0, "beta", "film-b", 3*aDay, 3)...))
	s.putEvents("b.parquet", append(view("n2", 0, "acme", "film-c", 2*aDay, 7), view("n2", 7, "beta", "clip-d", 26*time.Hour, 4)...))
}

func otherCompression(s *site) {
	s.Tenants[0].Compression = schemas.CompressZstd
	s.putEvents("d.parquet", view("n3", 3, "acme", "film-e", 5*aDay, 3))
}

// manyPacks has files counted one at a time, until there are enough packs to be merged.
func manyPacks(s *site) {
	for i := range classPacks {
		s.putEvents(fmt.Sprintf("h%02d.parquet", i), view("n4", 10*i, "acme", fmt.Sprint("film-h", i%3), 6*aDay+time.Duration(i)*time.Hour, 2))
		if _, err := s.makePlan(s.t.Context(), october, october.End(), []accounting.Rules{s.Tenants[0].Rules}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// leftovers are those of a run that was killed, which the sweep of the month finds.
func leftovers(s *site) {
	s.putEvents("e.parquet", view("n5", 0, "acme", "clip-f", 20*aDay, 3))
	head := s.headOf("acme")
	run, err := s.claim(s.t.Context(), "acme", october, october.End(), head.Number)
	if err != nil {
		s.t.Fatal(err)
	}
	s.putReport(acmeOctober+schemas.RunFolder(run)+"usage.csv.zst.age", []byte("x"))
	for _, name := range []string{
		schemas.LeaseName(schemas.LeaseFolder("acme", october), 1),
		schemas.StatementName("acme", october, "left"),
		schemas.InputsName("acme", october, "left", run),
		schemas.SessionsName("acme", october, 1, 1, "left", run),
	} {
		if _, err := s.Buckets.Metering.PutBytes(s.t.Context(), name, []byte("x")); err != nil {
			s.t.Fatal(err)
		}
	}
}

func lateFile(s *site) {
	s.putEvents("f.parquet", append(view("n6", 0, "acme", "film-a", 7*aDay, 5), view("n6", 5, "beta", "film-b", 7*aDay, 2)...))
}

func lateChanges(s *site) {
	s.putEvents("d.parquet", view("n3", 3, "acme", "film-e", 5*aDay, 4))
	s.putSnapshot("beta", october.Start().AddDate(0, 0, 20), `{"object_id":"film-b","object_name":"title-two"}`)
}

func lateCopies(s *site) {
	s.putEvents("g.parquet", view("n6", 0, "acme", "film-a", 7*aDay, 3))
}

// secondKey is the same in every world.
var secondKey = sync.OnceValue(func() crypto.Recipient {
	_, to, err := crypto.NewIdentity()
	if err != nil {
		panic(err)
	}
	return to
})

// anotherKey may open acme's reports from now on, besides the one before.
func anotherKey(s *site) {
	both := []crypto.Recipient{s.to, secondKey()}
	s.Tenants[0].Recipients = map[schemas.Report][]crypto.Recipient{schemas.ReportUsage: both, schemas.ReportSessions: both}
}

// newUsage is what comes while a process is paused.
func newUsage(s *site) {
	s.putEvents("new.parquet", append(view("n7", 0, "acme", "film-n", 3*aDay, 3), view("n7", 3, "beta", "film-n", 3*aDay, 2)...))
}

// largeSessions are few, and have long referrers.
func largeSessions(s *site) {
	s.Tenants[0].Compression = schemas.CompressNone
	var events []schemas.Event
	for i := range bucket.PartSize>>20 + 2 {
		e := view("n1", i, "acme", "film-a", time.Duration(i)*time.Hour, 1)
		e[0].Referrer = "https://example.com/" + strings.Repeat(string(rune('a'+i)), 1<<20-100)
		events = append(events, e...)
	}
	s.putEvents("a.parquet", events)
	if _, err := s.makePlan(s.t.Context(), october, october.End(), []accounting.Rules{s.Tenants[0].Rules}); err != nil {
		s.t.Fatal(err)
	}
}
