package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/web"
)

// tellRun prints what a run came to and decides how the command ends.
func (a *app) tellRun(r *reporter.Result) error {
	var err error
	if a.json {
		err = a.printJSON(r)
	} else {
		err = runTable(r).write(a.out)
		a.tellNotes(r)
	}
	if failed := r.Err(); failed != nil {
		return failed
	}
	if err == nil && somethingAside(r) {
		return errAside
	}
	return err
}

// somethingAside tells whether usage or a catalog was set aside, or rows rejected.
func somethingAside(r *reporter.Result) bool {
	for i := range r.Tenants {
		if r.Tenants[i].Rejected() > 0 || len(r.Tenants[i].Aside) > 0 {
			return true
		}
	}
	return len(r.Aside) > 0
}

// runTable has a row for each report.
func runTable(r *reporter.Result) *table {
	t := &table{head: []string{"TENANT", "MONTH", "STATE", "RUN", "REPORT", "ROWS", "SEALED", "RECIPIENTS"}, right: []string{"ROWS", "SEALED", "RECIPIENTS"}}
	for i := range r.Tenants {
		of := &r.Tenants[i]
		if of.Manifest == nil {
			state := of.State
			if of.Err != nil {
				state = "failed"
			}
			t.add(of.Tenant, of.Period, state, of.Run, "-", "", "", "")
			continue
		}
		state := of.State
		if of.Restatement > 0 {
			state = fmt.Sprintf("restatement %d", of.Restatement)
		}
		for _, report := range of.Manifest.Objects() {
			t.add(of.Tenant, of.Period, state, of.Run, report.Report, humanize.Comma(report.Rows),
				web.Bytes(report.Sealed.Bytes), len(report.Recipients))
		}
	}
	return t
}

// tellNotes says what the table does not show, and what to do next.
func (a *app) tellNotes(r *reporter.Result) {
	a.say("")
	for i := range r.Tenants {
		t := &r.Tenants[i]
		if t.Note != "" {
			a.say("%s: %s", t.Tenant, t.Note)
		}
		for _, report := range t.Missing {
			if t.Err == nil {
				a.say("%s: no %s report, because no recipient is granted it; add one under grants", t.Tenant, report)
			}
		}
		if n := t.Rejected(); n > 0 {
			a.say("%s: %s rows rejected: %s", t.Tenant, humanize.Comma(n), reasons(t.Manifest.Events.Rejected))
		}
		if t.Manifest != nil {
			if n := t.Manifest.Events.AfterAsOf; n > 0 {
				a.say("%s: %s at or after %s, the as-of: a later run has them", t.Tenant, count(int(n), "event"), t.Manifest.AsOf)
			}
			for _, w := range t.Manifest.Warnings {
				a.say("%s: %s", t.Tenant, w)
			}
		}
	}
	for _, f := range r.Aside {
		a.say("set aside: %s: %s", printable(f.Key), printable(f.Reason))
	}
	if hint := a.fetchHint(r); hint != "" {
		a.say("To read one:\n  %s", hint)
	}
}

// fetchHint is the command that opens the first report.
func (a *app) fetchHint(r *reporter.Result) string {
	for i := range r.Tenants {
		if t := &r.Tenants[i]; t.Manifest != nil && len(t.Manifest.Reports) > 0 {
			report := t.Manifest.Reports[0].Report
			which := ""
			if t.Restatement > 0 {
				which = fmt.Sprintf(" --restatement %d", t.Restatement)
			}
			return fmt.Sprintf("%s fetch %s --tenant %s --month %s%s%s --identity FILE -o %s.csv", program(), report, t.Tenant, t.Period, which, a.flagsFor(), report)
		}
	}
	return ""
}

// reasons lists counts by reason, the same way every time.
func reasons(counts map[string]int64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, reason+" "+humanize.Comma(counts[reason]))
	}
	return strings.Join(parts, ", ")
}
