package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// section is something that status has to say: lines, and what to do about them.
type section struct {
	lines []string
	next  string // what to do; empty: nothing
}

// shownLines is how many lines of a section are shown.
const shownLines = 10

func (s *section) add(format string, args ...any) {
	s.lines = append(s.lines, printable(fmt.Sprintf(format, args...)))
}

func (s *section) write(w io.Writer) {
	if len(s.lines) == 0 {
		return
	}
	fmt.Fprintln(w)
	for i, line := range s.lines {
		if i == shownLines && len(s.lines) > shownLines+1 {
			fmt.Fprintf(w, "and %s more; --json lists them all\n", humanize.Comma(int64(len(s.lines)-i)))
			break
		}
		fmt.Fprintln(w, line)
	}
	if s.next != "" {
		fmt.Fprintf(w, "  %s\n", s.next)
	}
}

// statusSections are what there is to say, the gravest first.
func statusSections(a *statusAnswer) []section {
	s := a.Status
	out := []section{intakeSection(a.Intake), sourcesSection(a.Sources), grantsSection(s), asideSection(s), unreadableSection(s), expiringSection(s)}
	out = append(out, numberSections(s)...)
	return append(out, clockSection(s), rejectedSection(s), placelessSection(s), copiesSection(s), waitingSection(s), withdrawnSection(s), strangerSection(s))
}

func asideSection(s *reporter.Status) section {
	out := section{next: "A file is tried again when it is replaced under its key; until then no manifest says complete."}
	for _, f := range s.Aside {
		out.add("set aside: %s: %s", f.Key, f.Reason)
	}
	return out
}

// grantsSection tells whether readers get what is granted.
func grantsSection(s *reporter.Status) section {
	var out section
	if s.Grants == nil {
		return out
	}
	for _, p := range s.Grants.Problems {
		out.add("grants: %s", p)
		out.next = `The Reporting bucket is not as the grants say; "playmeter grants check" looks again.`
	}
	if len(s.Grants.Problems) == 0 && len(s.Grants.Readers) > 0 {
		out.add("grants: applied %s: %s", s.Grants.At.UTC().Format(time.RFC3339), s.Grants.Summary())
	}
	for _, u := range s.Grants.Unproved {
		out.add("grants not proved: %s", u)
	}
	return out
}

func expiringSection(s *reporter.Status) section {
	var out section
	for _, t := range slices.Sorted(maps.Keys(s.Expiring)) {
		for _, line := range s.Expiring[t] {
			out.add("tenant %s: %s", t, line)
		}
	}
	return out
}

func unreadableSection(s *reporter.Status) section {
	out := section{next: "Restore it; playmeter verify says what else is wrong."}
	for i := range s.Months {
		if m := &s.Months[i]; m.Unreadable != "" {
			out.add("manifest: %s %s: %s", m.Tenant, m.Period, m.Unreadable)
		}
	}
	return out
}

// numberSections are what the nodes' sequence numbers tell.
func numberSections(s *reporter.Status) []section {
	missing := section{next: "Look for the node's files of that time; one that comes later fills the gap."}
	conflicts := section{next: "All of them count. The node began its counter anew, or two nodes bear one id."}
	scattered := section{next: "The numbers of some hour do not follow one another: nothing is known of what the node lost."}
	doubled := section{next: "It takes a withdrawal of a third file to come to that; put one of the files back under its key, and withdraw the other."}
	pending := section{next: "Files have come or gone since the last run that looked; gaps and copies are told as they were then."}
	for _, m := range s.Numbers {
		for _, n := range m.Nodes {
			if n.Missing > 0 {
				missing.add("missing: %s of node %s in %s: %s", events(n.Missing), n.Node, m.Period, gaps(n.Gaps))
			}
			if n.SeqConflicts > 0 {
				conflicts.add("numbers used again: node %s in %s: %s", n.Node, m.Period, rowsOf(n.SeqConflicts))
			}
			if n.Unnumbered {
				scattered.add("no counter: node %s in %s", n.Node, m.Period)
			}
		}
		if m.Doubled > 0 {
			doubled.add("counted twice: %s in %s, because both files that hold them are gone", rowsOf(m.Doubled), m.Period)
		}
		if m.Pending > 0 {
			pending.add("not looked through yet: %s of %s with usage in %s", humanize.Comma(int64(m.Pending)), count(m.Hours, "hour"), m.Period)
		}
	}
	return []section{missing, doubled, conflicts, scattered, pending}
}

func events(n int64) string { return count(int(n), "event") }
func rowsOf(n int64) string { return count(int(n), "row") }

// gaps names the hours with the largest gaps.
func gaps(all []reporter.Gap) string {
	const shown = 3
	largest := slices.Clone(all)
	slices.SortStableFunc(largest, func(a, b reporter.Gap) int { return cmp.Compare(b.Missing, a.Missing) })
	var parts []string
	for i, g := range largest {
		if i == shown {
			parts = append(parts, "and "+count(len(largest)-i, "hour")+" more")
			break
		}
		parts = append(parts, fmt.Sprintf("%s in the hour from %s", humanize.Comma(g.Missing), g.Hour.UTC().Format("2006-01-02 15:04Z")))
	}
	return strings.Join(parts, ", ")
}

func clockSection(s *reporter.Status) section {
	out := section{next: "Set its clock: events are counted in the hour and month that they name."}
	for _, c := range s.Clocks {
		out.add("clock ahead: node %s by up to %s, in %s, last %s", c.Node, span(c.Ahead), count(c.Files, "file"), c.Key)
	}
	return out
}

// span writes a duration as people say it.
func span(d time.Duration) string {
	if d >= 48*time.Hour {
		return humanize.Comma(int64(d/(24*time.Hour))) + " days"
	}
	return d.Round(time.Second).String()
}

func rejectedSection(s *reporter.Status) section {
	out := section{next: "Write the files anew under their keys; docs/reports.md says what the reasons mean."}
	for i := range s.Months {
		if m := &s.Months[i]; len(m.Rejected) > 0 {
			out.add("rejected: %s %s: %s", m.Tenant, m.Period, reasons(m.Rejected))
		}
	}
	return out
}

func placelessSection(s *reporter.Status) section {
	var out section
	if len(s.Placeless) > 0 {
		out.add("rows that belong to nobody, because tenant or time cannot be read: %s", reasons(s.Placeless))
	}
	return out
}

// copiesSection tells of rows that were left out, by tenant and month.
func copiesSection(s *reporter.Status) section {
	var out section
	for i := range s.Months {
		m := &s.Months[i]
		if m.Events == nil || m.Events.Duplicates == 0 {
			continue
		}
		differ := ""
		if n := m.Events.Differing; n > 0 {
			differ = fmt.Sprintf(", %s of them not what the row that counts says", humanize.Comma(n))
		}
		out.add("copies: %s %s: %s left out%s: %s", m.Tenant, m.Period, rowsOf(m.Events.Duplicates), differ, copiers(m.Nodes))
	}
	return out
}

// copiers names the nodes with the most copies.
func copiers(nodes []schemas.NodeEvents) string {
	var parts []string
	most := slices.DeleteFunc(slices.Clone(nodes), func(n schemas.NodeEvents) bool { return n.Duplicates == 0 })
	slices.SortStableFunc(most, func(a, b schemas.NodeEvents) int { return cmp.Compare(b.Duplicates, a.Duplicates) })
	for _, n := range most {
		parts = append(parts, n.Node+" "+humanize.Comma(n.Duplicates))
	}
	return listed(parts)
}

func waitingSection(s *reporter.Status) section {
	var out section
	for i := range s.Months {
		m := &s.Months[i]
		w := m.Waiting
		switch {
		case w == nil:
		case w.TooLate:
			out.add("changed since it was final: %s %s: too late for a restatement, since %s (%s)", m.Tenant, m.Period, w.Until.Format(time.RFC3339), w.By)
		case !w.After.IsZero():
			out.add("waits for a restatement: %s %s: not before %s (reports.restate.every)", m.Tenant, m.Period, w.After.Format(time.RFC3339))
		default:
			out.add("waits for a restatement: %s %s: the next run of the month makes it, if its reports change", m.Tenant, m.Period)
		}
	}
	return out
}

func withdrawnSection(s *reporter.Status) section {
	var out section
	for i := range s.Months {
		if m := &s.Months[i]; len(m.Withdrawn) > 0 {
			keys := make([]string, len(m.Withdrawn))
			for j, w := range m.Withdrawn {
				keys[j] = w.Key
			}
			out.add("withdrawn: %s %s: %s", m.Tenant, m.Period, listed(keys))
		}
	}
	return out
}

func strangerSection(s *reporter.Status) section {
	var out section
	for _, t := range s.Unconfigured {
		out.add("not configured: %s has %s of usage and gets no reports; add it under tenants", t.Tenant, rowsOf(t.Rows))
	}
	return out
}
