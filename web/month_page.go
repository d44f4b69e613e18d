package web

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// monthData is what the page of a month shows.
type monthData struct {
	Tenant     schemas.Tenant
	Name       string
	Month      string
	State      string
	Next       time.Time
	Tiles      []tile
	Unreadable *problemData // the manifest is not the one that its commit names
	Missing    []string
	Warnings   []string
	Sets       []reportSet
	Readers    []reportReaders
	Runs       table
	Check      checkView
	Recompute  string // the command
	Admin      bool   // they are where the daemon's data is, and its commands work
}

// reportSet is a run whose reports are offered: the one that the stable names show, and each restatement.
type reportSet struct {
	Title   string
	Note    string
	Run     string
	AsOf    time.Time
	Reports []reportFile
	Others  []choice // what lies beside the reports
}

// reportFile is a sealed report to download.
type reportFile struct {
	ID         string // of the command's element
	Name       string
	Href       string
	Rows       figure
	Sealed     figure
	SHA256     string // of the sealed file
	Plain      string // of the CSV
	Recipients []string
	Command    string // that opens it
}

// reportReaders is who gets a report, as the grants are now.
type reportReaders struct {
	Report  schemas.Report
	Keys    []recipientLine
	Readers []string
}

// recipientLine is a key that a report is sealed to.
type recipientLine struct {
	Fingerprint string
	Expires     time.Time // zero: never
	Expired     bool
}

// checkElement is the id of the element that renews itself while a month is checked.
const checkElement = "check-state"

// monthPage tells all of a month. While it is being checked, that part asks for itself alone.
func (v *service) monthPage(w http.ResponseWriter, q *request) error {
	m, err := v.Reports.PublishedMonth(q.Context(), q.tenant, q.month)
	if errors.Is(err, reporter.ErrNotPublished) {
		return newProblem(http.StatusNotFound, "There are no reports of %s for this tenant. The page Reports lists the months that have some.", q.month)
	} else if err != nil {
		return err
	}
	p := &page{Title: q.month.String() + " · " + v.nameOf(q.tenant), Tab: "reports", Fragments: []string{checkElement}}
	data := monthData{Tenant: q.tenant, Name: v.nameOf(q.tenant), Month: q.month.String(), Admin: q.caller.admin(), Check: v.checkOf(q, newestRun(m))}
	if !p.fragmentFor(q.Request) {
		if err := v.tellMonth(q, &data, m); err != nil {
			return err
		}
	}
	p.Data = data
	return v.render(w, q, http.StatusOK, "report_month", p)
}

// newestRun is the one made last that stands.
func newestRun(m *reporter.PublishedMonth) string {
	if n := len(m.Restatements); n > 0 {
		return m.Restatements[n-1].Run
	}
	return m.Run
}

// nameOf is a tenant's name; of one that is not configured its id.
func (v *service) nameOf(id schemas.Tenant) string {
	if t, err := v.Reports.Tenant(id); err == nil && t.Name != "" {
		return t.Name
	}
	return string(id)
}

func (v *service) tellMonth(q *request, data *monthData, full *reporter.PublishedMonth) error {
	only := full.Only(q.caller.reads)
	m := &only
	data.State = stateText(m)
	data.Next = v.nextOf(v.nextByTenant(), q.tenant, m)
	data.Recompute = fmt.Sprintf("playmeter verify --tenant %s --month %s --recompute", q.tenant, q.month)
	manifest, err := v.standing(q.Context(), q.tenant, full)
	if err != nil {
		return err
	}
	if manifest == nil {
		data.Unreadable = &problemData{Title: "The manifest cannot be read", Detail: "What is published is not what the run’s commit names, so nothing is offered that the manifest alone vouches for. “playmeter verify” says more; the next run of an open month puts it right."}
	} else {
		data.Tiles, data.Missing, data.Warnings = monthTiles(manifest), missingLines(manifest), manifest.Warnings
	}
	if data.Sets, err = v.reportSets(q, m); err != nil {
		return err
	}
	data.Readers = v.readersOf(q)
	data.Runs = runsTable(q, m)
	return nil
}

// monthTiles are the key figures of the run that stands.
func monthTiles(m *schemas.Manifest) []tile {
	counted := int64(0)
	for _, n := range m.Events.Counted {
		counted += n
	}
	rejected := int64(0)
	for _, n := range m.Events.Rejected {
		rejected += n
	}
	return []tile{
		{Label: "Events read", Value: countFigure(m.Events.Read)}, {Label: "Counted", Value: countFigure(counted)},
		{Label: "Errors", Value: countFigure(m.Events.Errors), Note: "requests that failed"},
		{Label: "Copies left out", Value: countFigure(m.Events.Duplicates)}, {Label: "Rejected", Value: countFigure(rejected), Note: reasonsText(m.Events.Rejected)},
		{Label: "Usage files", Value: countFigure(int64(m.Inputs.Files)), Note: bytesFigure(m.Inputs.Bytes).Text},
	}
}

// reasonsText lists counts by reason.
func reasonsText(counts map[string]int64) string {
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s: %s", why, countFigure(counts[why]).Text))
	}
	return strings.Join(parts, ", ")
}

// missingShown is how many nodes are named that lack events.
const missingShown = 10

// missingLines say what is missing of a month.
func missingLines(m *schemas.Manifest) []string {
	var out []string
	if m.SetAside > 0 {
		out = append(out, plural(int64(m.SetAside), "usage file")+" of this installation cannot be read and await repair. What they hold is not counted yet.")
	}
	lacking := slices.DeleteFunc(slices.Clone(m.Nodes), func(n schemas.NodeEvents) bool { return n.Missing == 0 })
	slices.SortStableFunc(lacking, func(a, b schemas.NodeEvents) int { return cmp.Compare(b.Missing, a.Missing) })
	for i, n := range lacking {
		if i == missingShown {
			out = append(out, fmt.Sprintf("%s more lack events: the manifest names them.", plural(int64(len(lacking)-i), "node")))
			break
		}
		out = append(out, fmt.Sprintf("%s of node %s never came, over all tenants: at most so many are missing here.", plural(n.Missing, "event"), n.Node))
	}
	return out
}

// reportSets are the runs whose reports are offered first: the newest restatement, the earlier ones, the current run.
func (v *service) reportSets(q *request, m *reporter.PublishedMonth) ([]reportSet, error) {
	var out []reportSet
	for i, run := range slices.Backward(m.Restatements) {
		set, err := v.reportSet(q, reporter.Which{Restatement: run.Restatement})
		if err != nil {
			return nil, err
		}
		set.Title, set.Run, set.AsOf = fmt.Sprintf("Restatement %d", run.Restatement), run.Run, parseAsOf(run.AsOf)
		if i == len(m.Restatements)-1 {
			set.Note = "It stands: it corrects what was final."
		}
		out = append(out, set)
	}
	set, err := v.reportSet(q, reporter.Which{})
	if err != nil {
		return nil, err
	}
	set.Title, set.Run, set.AsOf = map[string]string{reporter.StateFinal: "Final reports"}[m.State], m.Run, parseAsOf(m.AsOf)
	if set.Title == "" {
		set.Title, set.Note = "Month to date", "Every run replaces them."
	}
	if len(m.Restatements) > 0 {
		set.Note = "They stay as they were, though the month was restated."
	}
	return append(out, set), nil
}

// reportSet is what a run offers a caller; where its manifest cannot be read, nothing.
func (v *service) reportSet(q *request, which reporter.Which) (reportSet, error) {
	var out reportSet
	set, err := v.Reports.PublishedSet(q.Context(), q.tenant, q.month, which)
	if err != nil {
		return out, q.Context().Err() // the page says so, and standing has logged it
	}
	query, flag := "", ""
	if which.Restatement > 0 {
		n := strconv.Itoa(which.Restatement)
		query, flag = "?restatement="+n, " --restatement "+n
	}
	here := monthPath(q.tenant, q.month)
	for _, r := range set.Manifest.Objects() {
		if !q.caller.reads(r.Report) {
			continue
		}
		out.Reports = append(out.Reports, reportFile{ID: fmt.Sprintf("fetch-%s-%d", routeOf(r.Report), which.Restatement), Name: string(r.Report), Href: here + "/" + routeOf(r.Report) + query, Rows: countFigure(r.Rows), Sealed: bytesFigure(r.Sealed.Bytes),
			SHA256: r.Sealed.SHA256, Plain: r.Plaintext.SHA256, Recipients: r.Recipients, Command: openCommand(r.Report, saveAs(q, which, path.Base(r.Object)))})
		if q.caller.admin() {
			out.Reports[len(out.Reports)-1].Command = fmt.Sprintf("playmeter fetch %s --tenant %s --month %s%s --identity FILE -o %s.csv", r.Report, q.tenant, q.month, flag, r.Report)
		}
	}
	out.Others = []choice{{Text: "manifest", Href: here + "/manifest" + query}, {Text: "its signature", Href: here + "/signature" + query}}
	if q.caller.reads(schemas.ReportUsage) {
		out.Others = append(out.Others, choice{Text: "list of usage files", Href: here + "/inputs" + query})
	}
	return out, nil
}

// openCommand opens a report that was downloaded, with programs that anybody has.
func openCommand(report schemas.Report, file string) string {
	unpack := ""
	switch c, _ := schemas.CompressionOf(file); c {
	case schemas.CompressGzip:
		unpack = " | gunzip"
	case schemas.CompressZstd:
		unpack = " | zstd -d"
	}
	return fmt.Sprintf("age -d -i KEY %s%s > %s.csv", file, unpack, report)
}

// readersOf tells who is granted which report now. A tenant that has left the configuration grants nothing.
func (v *service) readersOf(q *request) []reportReaders {
	t, err := v.Reports.Tenant(q.tenant)
	if err != nil {
		return nil
	}
	var out []reportReaders
	for _, report := range q.caller.readable() {
		r := reportReaders{Report: report, Readers: t.Readers[report]}
		for _, key := range t.Recipients[report] {
			line := recipientLine{Fingerprint: key.Fingerprint(), Expires: t.Expires[key.Fingerprint()]}
			line.Expired = !line.Expires.IsZero() && !v.Now().Before(line.Expires)
			r.Keys = append(r.Keys, line)
		}
		out = append(out, r)
	}
	return out
}

// runsTable lists every run whose reports are kept, newest first.
func runsTable(q *request, m *reporter.PublishedMonth) table {
	t := table{ID: "runs", Caption: "Runs whose reports are kept", Empty: &empty{Title: "No run is kept"},
		Columns: []column{{Label: "Run"}, {Label: "As of (UTC)"}, {Label: "State"}, {Label: "Manifest"}}}
	reports := append(slices.Clone(schemas.Reports), schemas.ReportDiff)
	reports = slices.DeleteFunc(reports, func(report schemas.Report) bool { return !q.caller.reads(report) })
	for _, report := range reports {
		t.Columns = append(t.Columns, column{Label: reportLabel(report)})
	}
	here := monthPath(q.tenant, q.month)
	for _, run := range slices.Backward(m.Runs) {
		state := run.State
		switch {
		case run.Restatement > 0:
			state = fmt.Sprintf("restatement %d", run.Restatement)
		case run.Current:
			state += ", current"
		}
		row := []cell{{Text: run.Run, Code: true}, {At: parseAsOf(run.AsOf)}, {Text: state}, {Text: "manifest", Href: linkTo(here+"/manifest", "run", run.Run)}}
		for _, report := range reports {
			c := cell{}
			if slices.Contains(run.Reports, report) {
				c = cell{Text: "download", Href: linkTo(here+"/"+routeOf(report), "run", run.Run)}
			}
			row = append(row, c)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// routeOf is the last element of the path of a report.
func routeOf(report schemas.Report) string {
	if report == schemas.ReportDiff {
		return "diff"
	}
	return string(report)
}

func reportLabel(report schemas.Report) string {
	if report == schemas.ReportDiff {
		return "What changed"
	}
	return strings.ToUpper(string(report[:1])) + string(report[1:])
}
