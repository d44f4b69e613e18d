package reporter

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// tenants are those of now. Nobody changes the slice.
func (r *Reporter) tenants() []Tenant {
	r.tenantsMu.Lock()
	defer r.tenantsMu.Unlock()
	return r.Tenants
}

// SetTenants puts other tenants (and the key of their viewers' pseudonyms) in the place of those there are: the next run, schedule and look at
// grants go by them, and what is under way ends as it began.
func (r *Reporter) SetTenants(tenants []Tenant, pseudonyms *crypto.Pseudonyms) {
	r.tenantsMu.Lock()
	defer r.tenantsMu.Unlock()
	same := slices.EqualFunc(r.Tenants, tenants, func(a, b Tenant) bool { return a.ID == b.ID && a.Schedule == b.Schedule })
	r.Tenants, r.Pseudonyms = tenants, pseudonyms
	if r.changed != nil && !same { // else the clock goes on: what it starts looks the tenants up
		close(r.changed)
		r.changed = nil
	}
}

// watchTenants gives the tenants, and a channel that is closed when there are others, or their schedules are.
func (r *Reporter) watchTenants() ([]Tenant, <-chan struct{}) {
	r.tenantsMu.Lock()
	defer r.tenantsMu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.Tenants, r.changed
}

// warnExpiry is how long before its end a recipient's key is warned of.
const warnExpiry = 30 * 24 * time.Hour

// at is the tenant as it is at an instant: without the recipients that have expired.
func (t *Tenant) at(now time.Time) *Tenant {
	if len(t.Expires) == 0 {
		return t
	}
	present := *t
	present.Recipients = make(map[schemas.Report][]crypto.Recipient, len(t.Recipients))
	for report, keys := range t.Recipients {
		for _, k := range keys {
			if end, ok := t.Expires[k.Fingerprint()]; !ok || now.Before(end) {
				present.Recipients[report] = append(present.Recipients[report], k)
			}
		}
	}
	return &present
}

// expired are the reports that are granted to keys which have all expired.
func (t *Tenant) expired(now time.Time) []schemas.Report {
	var out []schemas.Report
	present := t.at(now)
	for _, report := range schemas.Reports {
		if len(t.Recipients[report]) > 0 && len(present.Recipients[report]) == 0 {
			out = append(out, report)
		}
	}
	return out
}

// Expiring says which recipients of the tenant have expired or soon will, and what to do.
func (t *Tenant) Expiring(now time.Time) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(t.Expires)) {
		end := t.Expires[key]
		var reports []schemas.Report
		for _, report := range schemas.Reports {
			if slices.ContainsFunc(t.Recipients[report], func(k crypto.Recipient) bool { return k.Fingerprint() == key }) {
				reports = append(reports, report)
			}
		}
		switch {
		case len(reports) == 0:
		case !now.Before(end):
			out = append(out, fmt.Sprintf("recipient %s of %v expired on %s: nothing is sealed to it any more; remove its grant, or give it another day", key, reports, end.Format(time.DateOnly)))
		case now.Add(warnExpiry).After(end):
			out = append(out, fmt.Sprintf("recipient %s of %v expires on %s: grant the next key before, so that both can open the reports in between", key, reports, end.Format(time.DateOnly)))
		}
	}
	return out
}
