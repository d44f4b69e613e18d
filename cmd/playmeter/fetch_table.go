package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/gocarina/gocsv"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

// usageLine is what a person looks for in a row of the usage report.
type usageLine struct {
	Object    string `csv:"object_id"`
	Name      string `csv:"info.object_name"`
	Title     string `csv:"info.title"`
	Active    string `csv:"info.active"`
	Storage   int64  `csv:"storage"`
	Views     int64  `csv:"usage.playout.views"`
	VideoHrs  string `csv:"usage.playout.video_total_hrs"`
	Bytes     int64  `csv:"usage.playout.bytes"`
	Downloads int64  `csv:"usage.data_download.bytes"`
	Errors    int64  `csv:"usage.error.occurrences"`
	Row       string `csv:"row"`
}

var usageHead = []string{"TITLE", "ACTIVE", "STORAGE", "VIEWS", "VIDEO HOURS", "PLAYED", "DOWNLOADED", "ERRORS"}

func (l *usageLine) cells() []any {
	title := l.Title
	switch {
	case l.Row == "tenancy":
		title = "ALL OF " + l.Name
	case title == "":
		title = l.Name
	}
	if title == "" {
		title = l.Object
	}
	return []any{title, l.Active, web.Bytes(l.Storage), humanize.Comma(l.Views), hours(l.VideoHrs),
		web.Bytes(l.Bytes), web.Bytes(l.Downloads), humanize.Comma(l.Errors)}
}

// hours shortens a decimal for the eye.
func hours(text string) string {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return humanize.CommafWithDigits(v, 1)
}

// sessionLine is the same of the sessions report.
type sessionLine struct {
	Date     string `csv:"view_date"`
	Start    string `csv:"view_start"`
	Title    string `csv:"title"`
	Platform string `csv:"platform"`
	OS       string `csv:"OS"`
	Country  string `csv:"client_country"`
	City     string `csv:"client_city"`
	Watched  string `csv:"watched_secs"`
	Percent  string `csv:"pct_watched"`
	Bytes    int64  `csv:"bytes"`
}

var sessionHead = []string{"BEGAN", "TITLE", "PLATFORM", "OS", "WHERE", "WATCHED S", "SEEN %", "TRAFFIC"}

func (l *sessionLine) cells() []any {
	where := l.Country
	if l.City != "" {
		where = l.City + ", " + l.Country
	}
	return []any{l.Date + " " + l.Start, l.Title, l.Platform, l.OS, where, l.Watched, l.Percent, web.Bytes(l.Bytes)}
}

// diffLine is the same of what a restatement changed.
type diffLine struct {
	Object string `csv:"object_id"`
	Column string `csv:"column"`
	Before string `csv:"before"`
	After  string `csv:"after"`
	Delta  string `csv:"delta"`
	Causes string `csv:"causes"`
	Row    string `csv:"row"`
}

var diffHead = []string{"OBJECT", "COLUMN", "BEFORE", "AFTER", "DELTA", "CAUSES"}

func (l *diffLine) cells() []any {
	object := l.Object
	if l.Row == "tenancy" {
		object = "ALL OF " + l.Object
	}
	return []any{object, l.Column, l.Before, l.After, l.Delta, l.Causes}
}

// fetchTable shows the first rows of a report, when all of it has been checked.
func (a *app) fetchTable(f fetching, get getter) error {
	r, w := io.Pipe()
	var t *table
	var more bool
	var bad error
	read := make(chan struct{})
	go func() {
		defer close(read)
		t, more, bad = readTable(f.report, r, f.lines)
		io.Copy(io.Discard, r) // the rest is only checked
	}()
	m, err := get(w)
	w.CloseWithError(err)
	<-read
	if err != nil {
		return err
	} else if bad != nil {
		return fmt.Errorf("read the %s report: %w", f.report, bad)
	}
	a.err.show("")
	a.say("The %s report of %s for %s, as of %s (%s):", f.report, f.tenant, f.month, m.AsOf, stateOf(m))
	if err := t.write(a.out); err != nil {
		return err
	}
	if more {
		a.say("and more: fetch without --table for all rows and columns")
	}
	return nil
}

// readTable reads up to n rows of a report.
func readTable(report schemas.Report, r io.Reader, n int) (t *table, more bool, err error) {
	row, head := func() interface{ cells() []any } { return new(usageLine) }, usageHead
	switch report {
	case schemas.ReportSessions:
		row, head = func() interface{ cells() []any } { return new(sessionLine) }, sessionHead
	case schemas.ReportDiff:
		row, head = func() interface{ cells() []any } { return new(diffLine) }, diffHead
	}
	t = &table{head: head, right: []string{"STORAGE", "VIEWS", "VIDEO HOURS", "PLAYED", "DOWNLOADED", "ERRORS", "WATCHED S", "SEEN %", "TRAFFIC", "BEFORE", "AFTER", "DELTA"}}
	lines, err := newLines(r, report)
	if err != nil {
		return nil, false, err
	}
	for {
		line := row()
		if err := lines(line); errors.Is(err, io.EOF) {
			return t, false, nil
		} else if err != nil {
			return nil, false, err
		}
		if len(t.rows) == n {
			return t, true, nil
		}
		t.add(line.cells()...)
	}
}

// newLines reads rows of a report into structs of its kind.
func newLines(r io.Reader, report schemas.Report) (func(any) error, error) {
	var kind any = usageLine{}
	switch report {
	case schemas.ReportSessions:
		kind = sessionLine{}
	case schemas.ReportDiff:
		kind = diffLine{}
	}
	u, err := gocsv.NewUnmarshaller(csv.NewReader(r), kind)
	if err != nil {
		return nil, err
	}
	return func(to any) error {
		line, err := u.Read()
		if err != nil {
			return err
		}
		switch to := to.(type) {
		case *usageLine:
			*to = line.(usageLine)
		case *sessionLine:
			*to = line.(sessionLine)
		case *diffLine:
			*to = line.(diffLine)
		}
		return nil
	}, nil
}
