package reporter

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// check compares a result with what was foretold, and notes the run.
func (p *player) check(r *runStep, got *TenantResult) error {
	key := monthKey{got.Tenant, r.period}
	x := p.expect(r, got.Tenant)
	switch {
	case x.fails != "":
		if got.Err == nil || !strings.Contains(got.Err.Error(), x.fails) {
			return fmt.Errorf("%s gave %v, want an error that says %q", got.Tenant, got.Err, x.fails)
		}
		return nil
	case got.Err != nil:
		return got.Err
	case !x.made && got.Manifest != nil:
		return fmt.Errorf("%s: run %s was made (restatement %d), want none", got.Tenant, got.Run, got.Restatement)
	case !x.made:
		return nil
	case got.Manifest == nil:
		return fmt.Errorf("%s: no run was made (%s), want restatement %d", got.Tenant, got.Note, x.restatement)
	}
	run := &madeRun{run: got.Run, asOf: r.asOf, state: x.state, restatement: x.restatement, report: x.report, manifest: got.Manifest}
	if err := errors.Join(p.checkManifest(x, r, got), p.checkInputs(x, got.Manifest)); err != nil {
		return fmt.Errorf("%s run %s: %w", got.Tenant, got.Run, err)
	}
	var err error
	if run.csv, err = p.checkReports(x, got.Manifest); err != nil {
		return fmt.Errorf("%s run %s: %w", got.Tenant, got.Run, err)
	}
	if s := p.months[key]; x.restatement > 0 {
		if err := p.checkDiff(x, &s, run); err != nil {
			return fmt.Errorf("%s restatement %d: %w", got.Tenant, x.restatement, err)
		}
	}
	p.commit(key, x, run)
	return nil
}

// differs compares two values as they are written.
func differs(what string, got, want any) error {
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		return fmt.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
	return nil
}

func (p *player) checkManifest(x *expectation, r *runStep, got *TenantResult) error {
	m, c := got.Manifest, x.report
	s, ran := p.months[monthKey{got.Tenant, r.period}]
	previous, restates := "", ""
	if ran {
		previous = s.last
	}
	if x.restatement > 0 {
		restates = s.stands().run
	}
	name := func(p *schemas.Previous) string {
		if p == nil {
			return ""
		}
		return p.Run
	}
	complete := x.aside == 0
	nodes, restarted := []schemas.NodeEvents{}, 0
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		n := *c.nodes[id]
		if i := slices.IndexFunc(m.Nodes, func(n schemas.NodeEvents) bool { return n.Node == id }); c.restarts[id] && i >= 0 {
			n.Missing = m.Nodes[i].Missing
			restarted++
		}
		complete = complete && n.Missing == 0
		nodes = append(nodes, n)
	}
	catalog, withdrawn := []string{}, []string(nil)
	for _, s := range c.catalog {
		catalog = append(catalog, time.Unix(0, s.at).UTC().Format(schemas.Stamp))
	}
	for _, w := range m.Withdrawn {
		withdrawn = append(withdrawn, w.Key)
	}
	return errors.Join(
		differs("events", m.Events, c.events),
		differs("nodes", m.Nodes, nodes),
		differs("withdrawn", withdrawn, x.withdrawn),
		differs("set aside", m.SetAside, x.aside),
		differs("complete", m.Complete, complete),
		differs("catalog", m.Enrichment.Catalog, catalog),
		differs("state, restatement, current", fmt.Sprint(m.State, m.Restatement, got.Restatement, got.Current), fmt.Sprint(x.state, x.restatement, x.restatement, !x.past && x.restatement == 0)),
		differs("as of", m.AsOf, r.asOf.Format(time.RFC3339)),
		differs("previous", name(m.Previous), previous),
		differs("restates", name(m.Restates), restates),
		differs("rules", m.Rules.Digest+" "+m.RulesBefore, c.rules.Digest()+" "+x.rulesBefore),
	)
}

// checkInputs compares the list of inputs.
func (p *player) checkInputs(x *expectation, m *schemas.Manifest) error {
	packed, _, err := p.reporting.Get(p.ctx, schemas.ReportFolder(m.Tenant, m.Period)+m.Inputs.List, "", maxSmall)
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	var got, want []string
	for d := json.NewDecoder(z); ; {
		var in schemas.Input
		if err := d.Decode(&in); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		got = append(got, fmt.Sprint(in.Key, " ", in.ETag, " ", in.Size, " ", in.Gone))
	}
	size := int64(0)
	for _, f := range x.report.inputs {
		want = append(want, fmt.Sprint(f.key, " ", f.etag, " ", f.size, " ", f.gone))
		size += f.size
	}
	return errors.Join(differs("inputs", got, want), differs("inputs in all", fmt.Sprint(m.Inputs.Files, " ", m.Inputs.Bytes), fmt.Sprint(len(want), " ", size)))
}

// checkReports opens the reports of a run and compares them.
func (p *player) checkReports(x *expectation, m *schemas.Manifest) (map[schemas.Report][]byte, error) {
	out := make(map[schemas.Report][]byte)
	f := Fetcher{Reporting: p.reporting, Identities: p.identity}
	for i := range m.Reports {
		var plain bytes.Buffer
		if err := f.open(p.ctx, schemas.ReportFolder(m.Tenant, m.Period)+m.Reports[i].Object, &m.Reports[i], &plain); err != nil {
			return nil, err
		}
		out[m.Reports[i].Report] = plain.Bytes()
	}
	var names []schemas.Report
	for _, r := range m.Reports {
		names = append(names, r.Report)
	}
	err := differs("reports", names, p.granted(m.Tenant))
	if b := out[schemas.ReportUsage]; b != nil {
		err = errors.Join(err, compareUsage(b, x.report))
	}
	if b := out[schemas.ReportSessions]; b != nil {
		_, rows, rerr := rowsOf(b)
		got := ""
		for _, row := range rows {
			got += row.tidy().String() + "\n"
		}
		err = errors.Join(err, rerr, differs("sessions", "\n"+got, "\n"+x.report.text[schemas.ReportSessions]))
	}
	return out, err
}

// rowsOf reads a CSV.
func rowsOf(b []byte) (header []string, rows []cells, err error) {
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, nil, err
	}
	for _, r := range records[1:] {
		row := make(cells)
		for i, cell := range r {
			row[records[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return records[0], rows, nil
}

func compareUsage(b []byte, want *plainReport) error {
	header, rows, err := rowsOf(b)
	if err != nil {
		return err
	}
	var errs []error
	order := slices.Sorted(maps.Keys(want.usage))
	order = append([]string{string(want.tenant)}, slices.DeleteFunc(order, func(id string) bool { return id == string(want.tenant) })...)
	var ids []string
	for _, row := range rows {
		ids = append(ids, row["object_id"])
		errs = append(errs, differs("usage", row.tidy(), want.usage[row["object_id"]]))
	}
	ingest := slices.DeleteFunc(header, func(column string) bool {
		return !strings.HasPrefix(column, "usage.ingest.") || column == "usage.ingest.occurrences" || column == "usage.ingest.density_unclassified_sec"
	})
	slices.Sort(ingest)
	return errors.Join(append(errs, differs("objects", ids, order), differs("columns", ingest, slices.Sorted(maps.Keys(want.ingestColumns()))))...)
}

// checkDiff holds the diff of a restatement against the two reports that it compares.
func (p *player) checkDiff(x *expectation, s *monthState, run *madeRun) error {
	m := run.manifest
	if run.csv[schemas.ReportUsage] == nil {
		if m.Diff != nil {
			return errors.New("there is a diff of a report that nobody may read")
		}
		return nil
	}
	if m.Diff == nil {
		return errors.New("there is no diff")
	}
	var plain bytes.Buffer
	f := Fetcher{Reporting: p.reporting, Identities: p.identity}
	if err := f.open(p.ctx, schemas.ReportFolder(m.Tenant, m.Period)+m.Diff.Object, m.Diff, &plain); err != nil {
		return err
	}
	if warned := strings.Contains(fmt.Sprint(m.Warnings), "cannot be made again to the byte"); x.overwritten && s.stands().csv[schemas.ReportUsage] != nil {
		if same := s.stands().report.madeFrom(p.snapshots[m.Tenant]); !warned && !same {
			return errors.New("nothing is said of the report that stands having been made from other snapshots")
		}
		return nil
	} else if warned {
		return errors.New("the report that stands is said to be another now")
	}
	_, changes, err := rowsOf(plain.Bytes())
	if err != nil {
		return err
	}
	want := changesOf(s.stands().report.usage, x.report.usage)
	var errs []error
	for _, c := range changes {
		name := c["object_id"] + " " + c["column"]
		for cause := range strings.SplitSeq(c["causes"], ";") {
			if !p.causes(x, s)[cause] {
				errs = append(errs, fmt.Errorf("%s is said to have moved by %q", name, cause))
			}
		}
		if w, ok := want[name]; ok {
			errs = append(errs, differs(name, normal(c["before"])+" "+normal(c["after"])+" "+c["delta"], w))
		} else if c["before"] != c["after"] && normal(c["before"]) != normal(c["after"]) {
			errs = append(errs, fmt.Errorf("%s: %q became %q, which the reports do not say", name, c["before"], c["after"]))
		}
		delete(want, name)
	}
	for name, w := range want {
		errs = append(errs, fmt.Errorf("the diff lacks %s: %s", name, w))
	}
	return errors.Join(errs...)
}

// normal is a cell where nothing and zero are told apart no more.
func normal(cell string) string {
	if cell == "0" {
		return ""
	}
	return cell
}

// changesOf compares two reports cell by cell.
func changesOf(before, after map[string]cells) map[string]string {
	out := make(map[string]string)
	for _, id := range slices.Sorted(maps.Keys(union(before, after))) {
		for column := range union(before[id], after[id]) {
			a, b := before[id][column], after[id][column]
			if a == b || column == "object_id" || column == "row" {
				continue
			}
			delta := ""
			if strings.HasPrefix(column, "usage.") || strings.HasPrefix(column, "storage") || column == "info.mezzanine.duration" && a != "" && b != "" {
				delta = decimal(millionths(b) - millionths(a))
			}
			out[id+" "+column] = a + " " + b + " " + delta
		}
	}
	return out
}

func union[V any](a, b map[string]V) map[string]bool {
	out := make(map[string]bool)
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}

// millionths reads a decimal.
func millionths(text string) int64 {
	whole, part, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+(part + "000000")[:6], 10, 64)
	if err != nil && text != "" {
		panic(err) // the cell is no number
	}
	return n
}

// causes are those that may have moved a figure since the run that stands.
func (p *player) causes(x *expectation, s *monthState) map[string]bool {
	out := map[string]bool{"rules": x.rulesBefore != "", "catalog": x.catalog != s.catalog}
	was, now := make(map[string]string), make(map[string]string)
	for _, part := range []struct {
		text string
		into map[string]string
	}{{s.files, was}, {x.files, now}} {
		for line := range strings.SplitSeq(part.text, "\n") {
			if words := strings.Fields(line); len(words) > 1 {
				part.into[words[0]] = words[1]
			}
		}
	}
	for key, etag := range was {
		out["withdrawn"] = out["withdrawn"] || p.withdrawn[[2]string{key, etag}]
		out["replaced"] = out["replaced"] || now[key] != etag
	}
	for key := range now {
		out["late"] = out["late"] || was[key] == ""
	}
	if x.files != s.files { // copies that count elsewhere now
		out["late"] = true
	}
	return out
}

// checkStable looks at what readers see of a month.
func (p *player) checkStable(key monthKey) error {
	s, ran := p.months[key]
	folder := schemas.ReportFolder(key.tenant, key.period)
	etags := make(map[string]string)
	for info, err := range p.reporting.List(p.ctx, folder, "") {
		if err != nil {
			return err
		}
		etags[strings.TrimPrefix(info.Key, folder)] = info.ETag
	}
	if !ran {
		return differs("objects of a month without a run", etags, map[string]string{})
	}
	var m schemas.Manifest
	raw, _, err := p.reporting.Get(p.ctx, folder+schemas.ManifestFile, "", maxSmall)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return err
	}
	restated, want := "", ""
	if m.RestatedBy != nil {
		restated = fmt.Sprint(m.RestatedBy.Restatement, m.RestatedBy.Run)
	}
	if s.restated != nil {
		want = fmt.Sprint(s.restated.restatement, s.restated.run)
	}
	errs := []error{differs("current run", m.Run+" "+m.State, s.current.run+" "+s.current.state), differs("restated by", restated, want)}
	stable := make(map[string]string)
	for _, report := range schemas.Reports {
		name := schemas.ReportFile(report, schemas.CompressNone)
		if etag, ok := etags[name]; ok {
			stable[name] = etag
		}
		object := ""
		for _, r := range s.current.manifest.Reports {
			if r.Report == report {
				object = r.Object
			}
		}
		errs = append(errs, differs("stable name of "+string(report), etags[name], etags[object]))
	}
	if s.current.state == "final" && s.current.stable != nil {
		errs = append(errs, differs("stable names of a final month", stable, s.current.stable))
	}
	s.current.stable = stable
	for i, run := range s.restatements {
		from, to := schemas.RunFolder(run), schemas.RestatementFolder(i+1)
		errs = append(errs, differs("manifest of a restatement", etags[to+schemas.ManifestFile], etags[from+schemas.ManifestFile]))
	}
	return errors.Join(errs...)
}
