package statistics

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// month is a month of a tenant.
type month struct {
	tenant schemas.Tenant
	period schemas.Period
}

// wanted is what a commit wants to be there of a day.
type wanted struct {
	day    schemas.Day
	names  []string // of the objects of its sessions, in the order of the report
	rows   int64
	digest string
}

// wants reads the days off a commit. Objects that are not there any more are left out: sessions are removed when they
// get old (privacy.keep.sessions).
//
//   - present: nil, where all are there.
func wants(c *schemas.Commit, tiers accounting.Tiers, present map[string]bool) ([]wanted, error) {
	days := map[schemas.Day]*wanted{}
	for _, o := range c.Sessions {
		day, err := parseDay(o.Day)
		if err != nil || o.Day == "" || periodOf(day) != c.Period {
			return nil, fmt.Errorf("the commit of run %s names sessions of the day %q", c.Run.Run, o.Day)
		}
		w := days[day]
		if w == nil {
			w = &wanted{day: day}
			days[day] = w
		}
		if present == nil || present[o.Name] {
			w.names, w.rows = append(w.names, o.Name), w.rows+o.Rows
		}
	}
	out := make([]wanted, 0, len(days))
	for _, day := range slices.Sorted(maps.Keys(days)) {
		w := days[day]
		w.digest = digestOf(tiers, w.names)
		out = append(out, *w)
	}
	return out, nil
}

// digestOf names what a day was made from.
func digestOf(tiers accounting.Tiers, names []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%v\n", tiers)
	for _, n := range names {
		_, _ = io.WriteString(h, n+"\n")
	}
	return hex.EncodeToString(h.Sum(nil))
}

// tiersOf are the tiers that the run goes by which stands.
func tiersOf(c *schemas.Commit) (accounting.Tiers, error) {
	raw := c.Rules
	if c.Restated != nil {
		raw = c.RulesInForce()
	}
	var rules accounting.Rules
	if err := json.Unmarshal(raw, &rules); err != nil {
		return rules.Tiers, fmt.Errorf("the rules of run %s: %w", c.Run.Run, err)
	}
	return rules.Tiers, nil
}

// changes are the days that are to be replaced, and those that no longer have any sessions.
func changes(want []wanted, loaded map[schemas.Day]string) []wanted {
	var out []wanted
	seen := map[schemas.Day]bool{}
	for _, w := range want {
		seen[w.day] = true
		if loaded[w.day] != w.digest {
			out = append(out, w)
		}
	}
	for day := range loaded {
		if !seen[day] {
			out = append(out, wanted{day: day})
		}
	}
	slices.SortFunc(out, func(a, b wanted) int { return int(a.day) - int(b.day) })
	return out
}
