package reporter

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// mask has the first tenant's rules mask viewers from now on.
func (s *site) mask(p accounting.Privacy, key *crypto.Pseudonyms) {
	tenants := slices.Clone(s.tenants())
	p.Key = key.Fingerprint()
	tenants[0].Rules.Privacy = p
	s.SetTenants(tenants, key)
}

// sessionRows reads the sessions report as maps from column to cell.
func (s *site) sessionRows(p schemas.Period) []map[string]string {
	s.t.Helper()
	records := must(csv.NewReader(strings.NewReader(string(s.report("acme", p, schemas.ReportSessions)))).ReadAll())
	var out []map[string]string
	for _, r := range records[1:] {
		row := make(map[string]string)
		for i, cell := range r {
			row[records[0][i]] = cell
		}
		out = append(out, row)
	}
	return out
}

func viewer(ip, email string, events []schemas.Event) []schemas.Event {
	for i := range events {
		events[i].ClientIP, events[i].AuthEmail, events[i].UserID, events[i].AuthIdentity = ip, email, "user of "+email, "id of "+email
	}
	return events
}

func TestSessionsAreMaskedAsTheRulesSay(t *testing.T) {
	s := newSite(t, acme()).signed()
	key := must(crypto.OpenPseudonyms(t.TempDir(), true))
	s.mask(accounting.Privacy{ClientIP: accounting.MaskTruncate, AuthEmail: accounting.MaskDrop, UserID: accounting.MaskHMAC}, key)
	s.putEvents("a.parquet", slices.Concat(
		viewer("203.0.113.77", "ann@example.com", play("n1", 0, "acme", "film", "s1", time.Hour, 3)),
		viewer("203.0.113.99", "ann@example.com", play("n1", 3, "acme", "film", "", 2*time.Hour, 3)),
		viewer("203.0.113.99", "bob@example.com", play("n1", 6, "acme", "clip", "s3", 3*time.Hour, 3))))
	r := s.run(RunOptions{Period: october, AsOf: afterOctober})
	rows := s.sessionRows(october)
	if len(rows) != 3 {
		t.Fatalf("%d sessions", len(rows))
	}
	for _, row := range rows {
		if row["client_ip"] != "203.0.113.0" || row["auth_email"] != "" || len(row["user_id"]) != 32 || !strings.HasPrefix(row["auth_identity"], "id of ") {
			t.Errorf("%v", row)
		}
	}
	if ann, again, bob := rows[0]["user_id"], rows[1]["user_id"], rows[2]["user_id"]; ann != again || ann == bob {
		t.Errorf("pseudonyms %s, %s, %s: want the first two alike", ann, again, bob)
	}
	if raw := string(r.Tenants[0].Manifest.Rules.RawMessage); !strings.Contains(raw, `"client_ip":"truncate"`) || !strings.Contains(raw, key.Fingerprint()) {
		t.Errorf("the manifest's rules: %s", raw)
	}
	if again := s.recompute(""); !again.Good() {
		t.Errorf("counted again: %+v", again)
	}

	// The mask of a month is that of its first run.
	s.mask(accounting.Privacy{}, key)
	s.putEvents("b.parquet", viewer("198.51.100.1", "eve@example.com", play("n1", 9, "acme", "film", "s4", 4*time.Hour, 3)))
	s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Minute)})
	if rows := s.sessionRows(october); len(rows) != 4 || rows[3]["client_ip"] != "198.51.100.0" {
		t.Errorf("after the configuration changed: %v", rows)
	}
	other := must(crypto.OpenPseudonyms(t.TempDir(), true))
	s.mask(accounting.Privacy{}, other)
	s.putEvents("c.parquet", play("n1", 12, "acme", "film", "s5", 5*time.Hour, 3))
	result := must(s.Run(t.Context(), RunOptions{Period: october, AsOf: afterOctober.Add(2 * time.Minute)}))
	if err := result.Err(); err == nil || !strings.Contains(err.Error(), "keys/pseudonyms") {
		t.Errorf("with another key: %v", err)
	}
	if r := s.recompute(""); !r.Good() || len(r.Reports) != 1 || !strings.Contains(strings.Join(r.Notes, " "), "sessions report is not compared") {
		t.Errorf("counted again with another key: %+v", r)
	}
	s.run(RunOptions{Period: october, AsOf: afterOctober.Add(3 * time.Minute), CurrentRules: true})
	if rows := s.sessionRows(october); len(rows) != 5 || rows[0]["client_ip"] != "203.0.113.77" {
		t.Errorf("with the current rules: %v", rows)
	}
}

func TestMasksDoNotChangeWhatIsCounted(t *testing.T) {
	key := must(crypto.OpenPseudonyms(t.TempDir(), true))
	var reports [2]string
	for i, p := range []accounting.Privacy{{}, {ClientIP: accounting.MaskDrop, AuthAddr: accounting.MaskDrop, AuthEmail: accounting.MaskDrop, AuthIdentity: accounting.MaskDrop, UserID: accounting.MaskDrop, Token: accounting.MaskDrop}} {
		s := newSite(t, acme())
		if p.Any() {
			s.mask(p, key)
		}
		s.putEvents("a.parquet", slices.Concat(
			viewer("203.0.113.77", "ann@example.com", play("n1", 0, "acme", "film", "", time.Hour, 3)),
			viewer("203.0.113.99", "bob@example.com", play("n1", 3, "acme", "film", "", time.Hour, 3))))
		s.run(RunOptions{Period: october, AsOf: afterOctober})
		reports[i] = string(s.report("acme", october, schemas.ReportUsage))
		rows := s.sessionRows(october)
		if len(rows) != 2 || rows[0]["session_id"] == rows[1]["session_id"] {
			t.Errorf("two viewers are %v", rows)
		}
	}
	if reports[0] != reports[1] {
		t.Errorf("usage differs:\n%s\n%s", reports[0], reports[1])
	}
}
