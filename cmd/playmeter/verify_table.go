package main

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/web"
)

// How much of a long month is shown to people; --json has all.
const (
	shownRuns     = 12
	shownFindings = 20
)

// tellVerification prints what verify found and decides how it ends.
func (a *app) tellVerification(v *reporter.Verification, t trust, again []*reporter.Recomputation) error {
	if a.json {
		err := a.printJSON(struct {
			*reporter.Verification
			Signers []string `json:"signers"`
			From    string   `json:"signers_from"`

			Recomputed []*reporter.Recomputation `json:"recomputed,omitempty"`
		}{v, t.list.Fingerprints(), t.from, again})
		if err != nil {
			return err
		}
	} else if err := a.printVerification(v, t); err != nil {
		return err
	}
	bad := 0
	for _, r := range again {
		if !a.json {
			a.printRecomputation(r)
		}
		if !r.Good() {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("counted again from the usage files, %d of %d runs of %s for %s do not come out as they were signed", bad, len(again), v.Tenant, v.Period)
	}
	if n := len(v.Findings); n > 0 {
		return fmt.Errorf("the reports of %s for %s are not as they were made: %s", v.Tenant, v.Period, things(n))
	}
	return nil
}

func things(n int) string {
	if n == 1 {
		return "1 thing is wrong"
	}
	return humanize.Comma(int64(n)) + " things are wrong"
}

func (a *app) printVerification(v *reporter.Verification, t trust) error {
	tbl, more := verifyTable(v)
	if err := tbl.write(a.out); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(a.out, "and %s more without a fault\n", humanize.Comma(int64(more)))
	}
	fmt.Fprintf(a.out, "\n%s objects, %s, compared with their digests", humanize.Comma(int64(v.Objects)), web.Bytes(v.Bytes))
	if v.Opened+v.Unopened > 0 {
		fmt.Fprintf(a.out, "; %d reports opened, %d sealed to other keys", v.Opened, v.Unopened)
	}
	if v.Pruned > 0 {
		fmt.Fprintf(a.out, "; %s reports of old runs are no longer kept", humanize.Comma(int64(v.Pruned)))
	}
	fmt.Fprintln(a.out)
	for i, f := range v.Findings {
		if i == shownFindings {
			fmt.Fprintf(a.out, "\nand %s more; --json lists them all\n", humanize.Comma(int64(len(v.Findings)-i)))
			break
		}
		fmt.Fprintf(a.out, "\nWRONG: %s\n  %s\n  To do: %s.\n", printable(f.Object), printable(f.Problem), f.Next)
	}
	a.tellVerifyNotes(v, t)
	return nil
}

func (a *app) tellVerifyNotes(v *reporter.Verification, t trust) {
	a.say("")
	for _, n := range v.Notes {
		a.say("note: %s", printable(n))
	}
	a.say("Believed are the signers in %s: %s", t.from, strings.Join(t.list.Fingerprints(), ", "))
	if t.published {
		a.say("That list lies beside the reports: who can write to the bucket could have changed both. Keep a copy, and name it with --signers.")
	}
	if len(v.Findings) == 0 {
		a.say("Nothing is wrong.")
	}
}

// verifyTable has a row for each run of the chain, newest first: the newest ones and those with a fault.
func verifyTable(v *reporter.Verification) (t *table, more int) {
	t = &table{head: []string{"RUN", "STATE", "SIGNED BY", "REPORTS", "PRUNED", "RESULT"}, right: []string{"PRUNED"}, most: 52}
	for i, r := range v.Runs {
		if i >= shownRuns && r.Good {
			more++
			continue
		}
		state, result, by := r.State, "good", r.SignedBy
		if r.Restatement > 0 {
			state = fmt.Sprintf("restatement %d", r.Restatement)
		}
		if !r.Good {
			result = "WRONG"
		}
		if r.Run == v.Current {
			result += ", current"
		}
		if by == "" {
			by = "nobody who may"
		}
		var reports []string
		for _, report := range r.Reports {
			reports = append(reports, string(report))
		}
		t.add(r.Run, state, by, strings.Join(reports, " "), r.Pruned, result)
	}
	return t, more
}

// printRecomputation prints what counting a run again came to.
func (a *app) printRecomputation(r *reporter.Recomputation) {
	fmt.Fprintf(a.out, "\nrun %s counted again from %s usage files, %s rows:\n", r.Run, humanize.Comma(int64(r.Files)), humanize.Comma(r.Rows))
	for _, report := range r.Reports {
		if report.Manifest == report.Recounted {
			fmt.Fprintf(a.out, "  %-9s the same, %s bytes, SHA-256 %s\n", report.Report, humanize.Comma(report.Recounted.Bytes), report.Recounted.SHA256)
			continue
		}
		fmt.Fprintf(a.out, "  %-9s OTHER: %s bytes, SHA-256 %s; its manifest signs %s bytes, SHA-256 %s\n", report.Report,
			humanize.Comma(report.Recounted.Bytes), report.Recounted.SHA256, humanize.Comma(report.Manifest.Bytes), report.Manifest.SHA256)
	}
	if !r.Events {
		fmt.Fprintln(a.out, "  the classes of events come out otherwise than the manifest has them")
	}
	if n := len(r.Gone); n > 0 {
		fmt.Fprintf(a.out, "  %s of the usage files are gone or replaced, and stand as they were counted then: %s\n", humanize.Comma(int64(n)), printable(listed(r.Gone)))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(a.out, "  note: %s\n", printable(note))
	}
}

// listed names the first few.
func listed(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(names[:few], ", "), humanize.Comma(int64(len(names)-few)))
}
