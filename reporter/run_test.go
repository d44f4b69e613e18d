package reporter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// play is n playout requests of one viewing, a segment of two seconds each, from
// the given instant of the month on.
func play(node string, seq int, tenant, object, session string, at time.Duration, n int) []schemas.Event {
	var events []schemas.Event
	for i := range n {
		events = append(events, schemas.Event{NodeID: node, Seq: new(int64(seq + i)), Time: october.Start().Add(at + time.Duration(i)*2*time.Second).UnixNano(),
			TenantID: tenant, Kind: "playout", ObjectID: object, SessionID: session, Bytes: new(int64(1000)), Track: "video",
			Width: new(int32(1920)), Height: new(int32(1080)), Segment: new(int32(i)), DurationMicros: new(int64(2_000_000))})
	}
	return events
}

func (s *site) putEvents(key string, events []schemas.Event) {
	s.t.Helper()
	var file bytes.Buffer
	w := schemas.NewUsageWriter(&file)
	if err := errors.Join(w.Write(events), w.Close()); err != nil {
		s.t.Fatal(err)
	}
	s.putBytes(key, file.Bytes())
}

func (s *site) putBytes(key string, data []byte) {
	s.t.Helper()
	if _, err := s.Buckets.Usage.PutBytes(s.t.Context(), key, data); err != nil {
		s.t.Fatal(err)
	}
}

// usage reads the usage report as a map of object to column to cell.
func (s *site) usage(tenant schemas.Tenant) map[string]map[string]string {
	s.t.Helper()
	lines := strings.Split(strings.TrimSpace(string(s.report(tenant, october, schemas.ReportUsage))), "\n")
	header := strings.Split(lines[0], ",")
	out := make(map[string]map[string]string)
	for _, line := range lines[1:] {
		row := make(map[string]string)
		for i, cell := range strings.Split(line, ",") {
			row[header[i]] = cell
		}
		out[row["object_id"]] = row
	}
	return out
}

func (s *site) wantCell(tenant schemas.Tenant, object, column, want string) {
	s.t.Helper()
	if got := s.usage(tenant)[object][column]; got != want {
		s.t.Errorf("%s of %s = %q, want %q", column, object, got, want)
	}
}

const seconds = "usage.playout.video_md_clear_sec"

func acme() Tenant { return Tenant{ID: "acme", Name: "Acme", Schedule: "@hourly"} }

var afterOctober = october.End().Add(time.Hour)

func TestASecondRunWithNothingNewCountsNothing(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	first := s.run(RunOptions{Period: october, AsOf: afterOctober})
	second := s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Minute)})
	if first.Counted != 1 || second.Counted != 0 {
		t.Errorf("counted %d files, then %d; want 1, then 0", first.Counted, second.Counted)
	}
	for i, report := range second.Tenants[0].Manifest.Reports {
		if old := first.Tenants[0].Manifest.Reports[i]; old.Object != report.Object {
			t.Errorf("%s was written again: %s, was %s", report.Report, report.Object, old.Object)
		}
	}
	if second.Tenants[0].Run == first.Tenants[0].Run || second.Tenants[0].Manifest.Previous.Run != first.Tenants[0].Run {
		t.Errorf("run %s follows %v, want a new one that follows %s", second.Tenants[0].Run, second.Tenants[0].Manifest.Previous, first.Tenants[0].Run)
	}
	s.wantCell("acme", "film", seconds, "20")
}

func TestARunAtTheSameInstantGetsANumber(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 1))
	o := RunOptions{Period: october, AsOf: afterOctober}
	one, two := s.run(o).Tenants[0].Run, s.run(o).Tenants[0].Run
	if one != "2026-11-01T01-00-00Z" || two != "2026-11-01T01-00-00Z-2" {
		t.Errorf("runs are %s and %s", one, two)
	}
}

func TestNewReplacedAndVanishedFiles(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.putEvents("b.parquet", play("n2", 0, "acme", "film", "s2", 2*time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("acme", "film", seconds, "30")

	s.putEvents("b.parquet", play("n2", 0, "acme", "film", "s2", 2*time.Hour, 7))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("acme", "film", seconds, "34")

	if err := s.Buckets.Usage.Delete(t.Context(), "a.parquet"); err != nil {
		t.Fatal(err)
	}
	result := s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("acme", "film", seconds, "34")
	if files := result.Tenants[0].Manifest.Inputs.Files; files != 2 {
		t.Errorf("the manifest counts %d files, want the vanished one too: 2", files)
	}
	s.putBytes("b.parquet", []byte("not parquet at all"))
	result = s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("acme", "film", seconds, "34")
	if len(result.Aside) != 1 || result.Aside[0].Key != "b.parquet" {
		t.Errorf("set aside %v, want b.parquet", result.Aside)
	}
}

func TestAVanishedFileStaysCountedForATenantThatComesLater(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", append(play("n1", 0, "acme", "film", "s1", time.Hour, 1), play("n1", 1, "late", "clip", "s2", time.Hour, 4)...))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	if err := s.Buckets.Usage.Delete(t.Context(), "a.parquet"); err != nil {
		t.Fatal(err)
	}
	late := s.Tenants[0]
	late.ID, late.Name = "late", "Late"
	s.Tenants = append(s.Tenants, late)
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("late", "clip", seconds, "8")
}

func TestDamagedFilesAreSetAsideAndTheRestCounts(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("good.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 3))
	s.putBytes("empty.parquet", nil)
	s.putBytes("cut.ndjson.gz", []byte{0x1f, 0x8b, 8, 0})
	s.putBytes("_half/written.parquet", []byte("x"))
	s.putBytes("lines.ndjson", []byte("{not json\n\n"))
	result := s.run(RunOptions{Period: october, AsOf: afterOctober})
	var keys []string
	for _, a := range result.Aside {
		keys = append(keys, a.Key)
		if a.Reason == "" {
			t.Errorf("%s was set aside without a reason", a.Key)
		}
	}
	if fmt.Sprint(keys) != "[cut.ndjson.gz empty.parquet]" {
		t.Errorf("set aside %v", keys)
	}
	m := result.Tenants[0].Manifest
	if m.Complete || m.SetAside != 2 {
		t.Errorf("complete %t with %d set aside, want false with 2", m.Complete, m.SetAside)
	}
	s.wantCell("acme", "film", seconds, "6")
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Placeless["bad_line"] != 1 || len(status.Aside) != 2 {
		t.Errorf("status shows %v and %v", status.Placeless, status.Aside)
	}
}

func TestCopiesInsideAFileCountOnce(t *testing.T) {
	s := newSite(t, acme())
	events := play("n1", 0, "acme", "film", "s1", time.Hour, 5)
	differing := events[2]
	differing.Bytes = new(int64(5))
	reused := events[3]
	reused.Time += int64(time.Minute)
	byID := events[4]
	byID.Seq, byID.EventID, byID.Time = nil, "e1", byID.Time+1
	s.putEvents("a.parquet", append(events, events[1], differing, reused, byID, byID))
	result := s.run(RunOptions{Period: october, AsOf: afterOctober})
	e := result.Tenants[0].Manifest.Events
	if e.Duplicates != 3 || e.Differing != 1 || e.Counted["playout"] != 7 || e.Read != 10 {
		t.Errorf("got %+v", e)
	}
	s.wantCell("acme", "film", "usage.playout.bytes", "7000")
}

func TestNoRecipientNoFile(t *testing.T) {
	tenant := acme()
	tenant.Recipients = map[schemas.Report][]crypto.Recipient{}
	s := newSite(t, tenant)
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	result, err := s.Run(t.Context(), RunOptions{Period: october, AsOf: afterOctober})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Err(); err == nil || !strings.Contains(err.Error(), "add a recipient") {
		t.Errorf("got %v, want an error that says what to add", err)
	}
	for info, err := range s.Buckets.Reporting.List(t.Context(), "", "") {
		t.Errorf("the Reporting bucket holds %s (%v)", info.Key, err)
	}
}

func TestRecipientsAndCompressionTakeEffectAtTheNextRun(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.Tenants[0].Compression = schemas.CompressZstd
	s.Tenants[0].Recipients = map[schemas.Report][]crypto.Recipient{schemas.ReportUsage: {s.to}}
	result := s.run(RunOptions{Period: october, AsOf: afterOctober})
	if got := fmt.Sprint(result.Tenants[0].Missing); got != "[sessions]" {
		t.Errorf("left out %s, want [sessions]", got)
	}
	s.wantCell("acme", "film", seconds, "10")
	var names []string
	for info, err := range s.Buckets.Reporting.List(t.Context(), "acme/2026-10/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.TrimPrefix(info.Key, "acme/2026-10/"); !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	if got := fmt.Sprint(names); got != "[manifest.json usage.csv.zst.age]" {
		t.Errorf("stable names are %s", got)
	}
}

func TestACrashBeforeTheStableNamesIsRepairedByTheNextRun(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	for _, name := range []string{"manifest.json", "usage.csv.gz.age", "sessions.csv.gz.age"} {
		if err := s.Buckets.Reporting.Delete(t.Context(), "acme/2026-10/"+name); err != nil {
			t.Fatal(err)
		}
	}
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("acme", "film", seconds, "10")
	for _, name := range []string{"manifest.json", "usage.csv.gz.age", "sessions.csv.gz.age"} {
		if _, err := s.Buckets.Reporting.Stat(t.Context(), "acme/2026-10/"+name); err != nil {
			t.Error(err)
		}
	}
}

func TestAnEarlierAsOfDoesNotTurnTheStableNamesBack(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 50*time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)})
	early := s.run(RunOptions{Period: october, AsOf: october.Start().Add(20 * time.Hour)}).Tenants[0]
	s.wantCell("acme", "film", seconds, "20")
	if early.Current || early.Note == "" {
		t.Errorf("an earlier as-of is current (%t), note %q", early.Current, early.Note)
	}
	if e := early.Manifest.Events; e.AfterAsOf != 5 || e.Counted["playout"] != 5 {
		t.Errorf("the earlier as-of counts %+v", e)
	}
}

func TestAFinalMonthStaysAsItIs(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	final := s.run(RunOptions{Period: october, AsOf: october.End().Add(80 * time.Hour)}).Tenants[0]
	if final.State != StateFinal {
		t.Fatalf("state is %s", final.State)
	}
	s.putEvents("late.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 5))
	again := s.run(RunOptions{Period: october, AsOf: october.End().Add(90 * time.Hour)}).Tenants[0]
	if again.Current || again.Restatement != 1 || again.Note == "" {
		t.Errorf("late usage made %+v, want a restatement beside %s", again, final.Run)
	}
	s.wantCell("acme", "film", seconds, "10")
}

func TestTheRulesOfAPeriodAreThoseOfItsFirstRun(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	first := s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Manifest
	s.Tenants[0].Rules.Tiers.Md.Long = 5000
	s.Tenants[0].Rules.Tiers.Md.Short = 5000
	second := s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Manifest
	s.wantCell("acme", "film", seconds, "10")
	if first.Rules.Digest != second.Rules.Digest {
		t.Errorf("the rules changed within the period: %s, %s", first.Rules.Digest, second.Rules.Digest)
	}
}

func TestTwoRunsAtOnceLeaveOneWhole(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	o := s.Reporter
	other := Reporter{Store: o.Store, Buckets: o.Buckets, Tenants: o.Tenants, Agents: o.Agents, Grace: o.Grace, Version: o.Version,
		Temp: t.TempDir(), Workers: 1, Log: o.Log, Now: o.Now}
	var wg sync.WaitGroup
	results := make([]*Result, 2)
	for i, r := range []*Reporter{s.Reporter, &other} {
		wg.Go(func() {
			result, err := r.Run(context.Background(), RunOptions{Period: october, AsOf: afterOctober})
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = result
		})
	}
	wg.Wait()
	done := 0
	for _, r := range results {
		switch err := r.Err(); {
		case err == nil:
			done++
		case !errors.Is(err, ErrBusy) && !errors.Is(err, ErrOvertaken):
			t.Error(err)
		}
	}
	if done == 0 {
		t.Error("neither run was made")
	}
	s.wantCell("acme", "film", seconds, "10")
}

func TestACommitIsAFence(t *testing.T) {
	s := newSite(t, acme())
	c := schemas.Commit{Tenant: "acme", Period: october, Rules: json.RawMessage("{}")}
	first, second := c, c
	if err := s.commit(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	if err := s.commit(t.Context(), &second); !errors.Is(err, ErrOvertaken) {
		t.Errorf("a second commit on the same parent gave %v, want ErrOvertaken", err)
	}
}

func TestAnotherTenantsRowsDoNotShow(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", append(play("n1", 0, "acme", "film", "s1", time.Hour, 2), play("n1", 2, "other", "secret", "s9", time.Hour, 9)...))
	m := s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Manifest
	if m.Events.Read != 2 || len(m.Nodes) != 1 || m.Nodes[0].Events != 2 {
		t.Errorf("the manifest counts %+v, nodes %+v", m.Events, m.Nodes)
	}
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Unconfigured) != 1 || status.Unconfigured[0] != (UnconfiguredTenant{"other", 9}) {
		t.Errorf("unconfigured: %v", status.Unconfigured)
	}
}

func TestFetchFindsAnExchangedObject(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 2))
	m := s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Manifest
	key := "acme/2026-10/" + m.Reports[0].Object
	var forged bytes.Buffer
	w, err := crypto.Seal(&forged, s.to)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(gzipped([]byte("object_id\nforged\n")))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Buckets.Reporting.PutBytes(t.Context(), key, forged.Bytes()); err != nil {
		t.Fatal(err)
	}
	f := Fetcher{Reporting: s.Buckets.Reporting, Identities: s.identity}
	if _, err := f.Fetch(t.Context(), "acme", october, schemas.ReportUsage, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "manifest names") {
		t.Errorf("fetching a forged report gave %v", err)
	}
	if _, err := f.Fetch(t.Context(), "acme", october.Next(), schemas.ReportUsage, new(bytes.Buffer)); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("fetching a month without reports gave %v", err)
	}
}
