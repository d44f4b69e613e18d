package reporter

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// restatedSite has an October that is final and was restated once, and a November of two runs, of which one is kept.
func restatedSite(t *testing.T) (s *site, final, restatement, old, current string) {
	s = newSite(t, acme()).signed()
	s.Keep = Keep{Runs: 1}
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	final = s.final(0).Run
	s.putEvents("b.parquet", play("n1", 10, "acme", "film", "s1", 2*time.Hour, 5))
	restatement = s.final(1).Run
	november := october.Next()
	for i, at := range []time.Duration{35 * 24 * time.Hour, 36 * 24 * time.Hour, 37 * 24 * time.Hour} {
		s.putEvents("n.parquet", play("n2", i, "acme", "film", "s2", 33*24*time.Hour, 3+i))
		run := s.run(RunOptions{Period: november, AsOf: october.Start().Add(at)}).Tenants[0].Run
		if i == 0 {
			old = run
		}
		current = run
	}
	return s, final, restatement, old, current
}

func TestPublishedTellsWhatTheCommitsSay(t *testing.T) {
	s, final, restatement, _, current := restatedSite(t)
	months, err := s.Published(t.Context(), "acme")
	if err != nil || len(months) != 2 {
		t.Fatalf("%d months, %v", len(months), err)
	}
	was, is := months[0], months[1]
	if was.Month != october || was.State != StateFinal || was.Run != final || len(was.Reports) != 2 || was.Reports[0].Rows != 2 || was.Reports[0].Sealed.SHA256 == "" {
		t.Errorf("October: %+v", was)
	}
	if len(was.Restatements) != 1 || was.Restatements[0].Restatement != 1 || was.Restatements[0].Run != restatement ||
		!slices.Equal(was.Restatements[0].Reports, []schemas.Report{schemas.ReportUsage, schemas.ReportSessions, schemas.ReportDiff}) {
		t.Errorf("its restatements: %+v", was.Restatements)
	}
	if is.State != StateOpen || is.Run != current || len(is.Restatements) != 0 || !is.Runs[len(is.Runs)-1].Current {
		t.Errorf("November: %+v", is)
	}
	one, err := s.PublishedMonth(t.Context(), "acme", october)
	if err != nil || one.Run != final || len(one.Runs) != 2 {
		t.Errorf("October alone: %+v, %v", one, err)
	}
	if none, err := s.Published(t.Context(), "nobody"); err != nil || len(none) != 0 {
		t.Errorf("nobody's months: %v, %v", none, err)
	}
	if _, err := s.PublishedMonth(t.Context(), "acme", october.Previous()); !errors.Is(err, ErrNotPublished) {
		t.Errorf("a month without reports: %v", err)
	}
}

func TestOnlyHidesWhatIsNotGranted(t *testing.T) {
	s, _, _, _, _ := restatedSite(t)
	m, err := s.PublishedMonth(t.Context(), "acme", october)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(m)
	for granted, hidden := range map[schemas.Report]string{schemas.ReportUsage: `"sessions"`, schemas.ReportSessions: `"usage`} {
		told, err := json.Marshal(m.Only(func(r schemas.Report) bool { return r == granted }))
		if err != nil || strings.Contains(string(told), hidden) || !strings.Contains(string(told), string(granted)) {
			t.Errorf("with %s alone: %s, %v", granted, told, err)
		}
	}
	if after, _ := json.Marshal(m); !bytes.Equal(before, after) {
		t.Error("Only changed what it was asked of")
	}
}

func TestPublishedSets(t *testing.T) {
	s, final, restatement, old, current := restatedSite(t)
	november := october.Next()
	tests := []struct {
		name   string
		period schemas.Period
		which  Which
		report schemas.Report
		run    string // empty: not published
	}{
		{"the current run", november, Which{}, schemas.ReportUsage, current},
		{"the current run by its name", november, Which{Run: current}, schemas.ReportSessions, current},
		{"a run that is kept no longer still has its manifest", november, Which{Run: old}, schemas.ReportUsage, old},
		{"the final one of a restated month", october, Which{}, schemas.ReportUsage, final},
		{"the restatement", october, Which{Restatement: 1}, schemas.ReportUsage, restatement},
		{"the restatement by its run", october, Which{Run: restatement}, schemas.ReportUsage, restatement},
		{"the diff is that of the newest restatement", october, Which{}, schemas.ReportDiff, restatement},
		{"the diff of a restatement", october, Which{Restatement: 1}, schemas.ReportDiff, restatement},
		{"a restatement that there is not", october, Which{Restatement: 2}, schemas.ReportUsage, ""},
		{"a month that was not restated has no diff", november, Which{}, schemas.ReportDiff, ""},
		{"a run of another month", october, Which{Run: current}, schemas.ReportUsage, ""},
		{"a run that never was", november, Which{Run: "2026-11-05T00-00-00Z-7"}, schemas.ReportUsage, ""},
		{"a name that is no run", november, Which{Run: "../../2026-10/runs/" + final}, schemas.ReportUsage, ""},
		{"a month without reports", october.Previous(), Which{}, schemas.ReportUsage, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := s.PublishedFor(t.Context(), "acme", tt.period, tt.which, tt.report)
			if tt.run == "" {
				if !errors.Is(err, ErrNotPublished) {
					t.Errorf("%+v, %v", set, err)
				}
				return
			}
			if err != nil || set.Manifest.Run != tt.run {
				t.Fatalf("%+v, %v; want run %s", set, err, tt.run)
			}
			key, entry, err := set.Report(tt.report)
			if err != nil {
				t.Fatal(err)
			}
			if tt.which.Run != old {
				if info, err := s.Buckets.Reporting.Stat(t.Context(), key); err != nil || info.Size != entry.Sealed.Bytes {
					t.Errorf("its object: %+v, %v; want %+v", info, err, entry)
				}
			}
			sig, _, err := s.Buckets.Reporting.Get(t.Context(), set.Signature(), "", 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Signers.Verify(set.Raw, sig, "playmeter", "playmeter-manifest", time.Now()); err != nil {
				t.Errorf("%s does not sign the manifest: %v", set.Signature(), err)
			}
			list, err := set.Inputs()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Buckets.Reporting.Stat(t.Context(), list); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestARunThatWasNotCommittedIsNotPublished: its folder may be there all the same, after a crash.
func TestARunThatWasNotCommittedIsNotPublished(t *testing.T) {
	s, _, _, _, current := restatedSite(t)
	november := october.Next()
	folder := schemas.ReportFolder("acme", november)
	body, _, err := s.Buckets.Reporting.Get(t.Context(), folder+schemas.ManifestFile, "", maxSmall)
	if err != nil {
		t.Fatal(err)
	}
	for _, claimed := range []bool{false, true} {
		run := "2026-11-09T00-00-00Z"
		if claimed {
			if run, err = s.claim(t.Context(), "acme", november, november.Start().AddDate(0, 0, 8), 1); err != nil {
				t.Fatal(err)
			}
		}
		left := bytes.ReplaceAll(body, []byte(current), []byte(run))
		if _, err := s.Buckets.Reporting.PutBytes(t.Context(), folder+schemas.RunFolder(run)+schemas.ManifestFile, left); err != nil {
			t.Fatal(err)
		}
		if set, err := s.PublishedSet(t.Context(), "acme", november, Which{Run: run}); !errors.Is(err, ErrNotPublished) {
			t.Errorf("claimed %v: %+v, %v", claimed, set, err)
		}
	}
}

// TestAPublishedManifestThatNamesAnotherFileLeadsNowhere: neither to another tenant's files nor to another report, which
// a token may not be for.
func TestAPublishedManifestThatNamesAnotherFileLeadsNowhere(t *testing.T) {
	s, _, _, _, current := restatedSite(t)
	set, err := s.PublishedSet(t.Context(), "acme", october.Next(), Which{})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(set.Manifest.Reports, func(m schemas.ManifestReport) bool { return m.Report == schemas.ReportUsage })
	for _, instead := range []string{
		"../../other/2026-11/usage.csv.gz.age", "runs/" + current + "/../../usage.csv.gz.age", "runs/../usage.csv.gz.age", "/runs/" + current + "/usage.csv.gz.age",
		"runs/" + current + "/", "runs/" + current + "/a/usage.csv.gz.age", "usage.csv.gz.age", "", "runs/" + current + "/..", "runs/" + current + "/manifest.json",
		"runs/" + current + `/x"; filename="y.csv.gz.age`, "runs/" + current + "/x\r\nX-Evil: y.csv.gz.age", "runs/" + current + "/.csv.gz.age",
		"runs/" + current + "/sessions.csv.gz.age", "runs/" + current + "/usage.diff.csv.gz.age", "runs/" + current + "/usage.csv.gz.age.age", "runs/" + current + "/usage.csv.gz.csv.age",
	} {
		set.Manifest.Reports[at].Object = instead
		if key, _, err := set.Report(schemas.ReportUsage); err == nil || errors.Is(err, ErrNotPublished) {
			t.Errorf("%q leads to %s, %v", instead, key, err)
		}
	}
	for _, right := range []string{"usage.csv.gz.age", "usage.csv.zst.age", "usage.csv.age"} {
		set.Manifest.Reports[at].Object = "runs/" + current + "/" + right
		if key, _, err := set.Report(schemas.ReportUsage); err != nil || !strings.HasSuffix(key, right) {
			t.Errorf("%q leads to %s, %v", right, key, err)
		}
	}
}

// TestAPublishedManifestThatNoCommitNamesIsNotTaken: who can write to the Reporting bucket, and not to the metering
// bucket, can neither make one up nor change one.
func TestAPublishedManifestThatNoCommitNamesIsNotTaken(t *testing.T) {
	s, final, restatement, _, current := restatedSite(t)
	november := october.Next()
	stable := schemas.ReportFolder("acme", november) + schemas.ManifestFile
	restated := schemas.ReportFolder("acme", october) + schemas.ManifestFile
	number := schemas.ReportFolder("acme", october) + schemas.RestatementFolder(1) + schemas.ManifestFile
	run := schemas.ReportFolder("acme", october) + schemas.RunFolder(restatement) + schemas.ManifestFile
	tests := []struct {
		name, key, from, to string
		period              schemas.Period
		which               Which
	}{
		{"another tenant", stable, `"tenant": "acme"`, `"tenant": "other"`, november, Which{}},
		{"another month", stable, `"period": "2026-11"`, `"period": "2026-10"`, november, Which{}},
		{"a name that is no run", stable, `"run": "` + current + `"`, `"run": "../../other"`, november, Which{}},
		{"a run that never was", stable, `"run": "` + current + `"`, `"run": "2026-11-09T00-00-00Z"`, november, Which{}},
		{"a restatement that it is not", stable, `"restatement": 0`, `"restatement": 1`, november, Which{}},
		{"sessions in place of usage", stable, "/usage.csv.gz.age", "/sessions.csv.gz.age", november, Which{}},
		{"the digest of another object", stable, `"sha256": "`, `"sha256": "0`, november, Which{}},
		{"a space at its end", stable, "\n}\n", "\n} \n", november, Which{}},
		{"it says that it was restated", stable, "\n}\n", ",\n  \"restated_by\": {\"restatement\": 1}, \"state\": \"final\"\n}\n", november, Which{}},
		{"a restated one with another object", restated, "/usage.csv.gz.age", "/sessions.csv.gz.age", october, Which{}},
		{"a restated one that is another run's", restated, `"run": "` + final + `"`, `"run": "` + restatement + `"`, october, Which{}},
		{"a restated one by another name of a field", restated, "\n}\n", ",\n  \"Reports\": []\n}\n", october, Which{}},
		{"a restatement", number, "/usage.csv.gz.age", "/sessions.csv.gz.age", october, Which{Restatement: 1}},
		{"a run", run, "/usage.csv.gz.age", "/sessions.csv.gz.age", october, Which{Run: restatement}},
		{"a restatement cannot say that it was restated", number, "\n}\n", ",\n  \"restated_by\": {\"restatement\": 2}\n}\n", october, Which{Restatement: 1}},
	}
	right, _, err := s.Buckets.Reporting.Get(t.Context(), run, "", maxSmall)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := schemas.ReportFolder("acme", october) + schemas.RestatementFolder(1) + schemas.RunFolder(restatement) + schemas.ManifestFile
	if _, err := s.Buckets.Reporting.PutBytes(t.Context(), elsewhere, right); err != nil { // there it proves nothing
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, _, err := s.Buckets.Reporting.Get(t.Context(), tt.key, "", maxSmall)
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.Replace(body, []byte(tt.from), []byte(tt.to), 1)
			if bytes.Equal(changed, body) {
				t.Fatal("nothing was changed")
			}
			for _, b := range [][]byte{changed, body} {
				if _, err := s.Buckets.Reporting.PutBytes(t.Context(), tt.key, b); err != nil {
					t.Fatal(err)
				}
				set, err := s.PublishedSet(t.Context(), "acme", tt.period, tt.which)
				if good := bytes.Equal(b, body); (err == nil) != good || errors.Is(err, ErrNotPublished) {
					t.Errorf("good: %v, %+v, %v", good, set, err)
				}
			}
		})
	}
}

// TestPublishedSetsWhoseClaimIsLost: the newest commit names them, too. So does a stable manifest that is one
// run behind, because the run after it has not published yet.
func TestPublishedSetsWhoseClaimIsLost(t *testing.T) {
	s, final, restatement, old, current := restatedSite(t)
	november := october.Next()
	stable := schemas.ReportFolder("acme", november)
	behind, _, err := s.Buckets.Reporting.Get(t.Context(), stable+schemas.RunFolder(old)+schemas.ManifestFile, "", maxSmall)
	if err != nil {
		t.Fatal(err)
	}
	now, _, err := s.Buckets.Reporting.Get(t.Context(), stable+schemas.ManifestFile, "", maxSmall)
	if err != nil {
		t.Fatal(err)
	}
	wants := func(p schemas.Period, w Which, run string) {
		t.Helper()
		if set, err := s.PublishedSet(t.Context(), "acme", p, w); err != nil || set.Manifest.Run != run {
			t.Errorf("%+v: %v; want run %s", w, err, run)
		}
	}
	if _, err := s.Buckets.Reporting.PutBytes(t.Context(), stable+schemas.ManifestFile, behind); err != nil {
		t.Fatal(err)
	}
	wants(november, Which{}, old)
	if _, err := s.Buckets.Reporting.PutBytes(t.Context(), stable+schemas.ManifestFile, now); err != nil {
		t.Fatal(err)
	}
	for p, runs := range map[schemas.Period][]string{october: {final, restatement}, november: {old, current}} {
		for _, run := range runs {
			if err := s.Buckets.Metering.Delete(t.Context(), schemas.ClaimName("acme", p, run)); err != nil {
				t.Fatal(err)
			}
		}
	}
	wants(november, Which{}, current)
	wants(november, Which{Run: current}, current)
	wants(october, Which{}, final)
	wants(october, Which{Restatement: 1}, restatement)
	if set, err := s.PublishedSet(t.Context(), "acme", november, Which{Run: old}); !errors.Is(err, ErrNotPublished) {
		t.Errorf("an older run: %+v, %v", set, err)
	}
}
