package web

import (
	"bufio"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/playmeter/playmeter/statistics"
)

// exportBuffer is how much of an export is gathered before it is sent: what goes wrong until then is told instead.
const exportBuffer = 32 << 10

// exportValues are the parameters of an export: what is asked, but for how it is cut into pages.
func (ask *asking) exportValues() url.Values {
	values := ask.values()
	values.Del("rows")
	return values
}

// exportSessions hands out all rows of a list as CSV, once it is on record who gets them.
func (v *service) exportSessions(w http.ResponseWriter, q *request) error {
	tab := statistics.Tab(q.PathValue("tab"))
	if !tab.Known() {
		return newProblem(http.StatusNotFound, "There is no such list of sessions. The page Sessions leads to those that there are.")
	}
	ask, err := v.askOf(q, tab)
	if err != nil {
		return err
	}
	if v.Statistics == nil {
		return newProblem(http.StatusNotFound, "%s.", statisticsOff.Title)
	}
	if err := ask.view.Filter.Check(); err != nil {
		return statisticsProblem(err)
	}
	ask.view.Cursor, ask.view.Limit = "", 0
	of, err := v.runsOfExport(q, ask)
	if err != nil {
		return statisticsProblem(err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="`+ask.exportName()+of.name()+`.csv"`)
	of.tell(h)
	if q.Method == http.MethodHead {
		return nil
	}
	done, err := v.stream(q)
	if err != nil {
		return err
	}
	defer done()
	return v.export(w, q, ask, of)
}

// exportName is what the file's name begins with. All of its parts are of letters, digits and -._ alone.
func (ask *asking) exportName() string {
	name := "sessions-" + string(ask.view.Tab)
	if ask.chosen != nil {
		name = string(ask.chosen.ID) + "-" + name
	}
	for _, day := range []string{ask.view.Filter.From, ask.view.Filter.To} {
		if day != "" {
			name += "-" + day
		}
	}
	return name
}

// export asks for the rows and sends them as they come.
func (v *service) export(w http.ResponseWriter, q *request, ask *asking, of exportedRuns) error {
	entry := Entry{Event: EventGranted, What: "export", View: string(ask.view.Tab), Filters: filtersSet(ask.view.Filter), Status: http.StatusOK}
	out := &exportWriter{w: w, control: http.NewResponseController(w), granted: func() error {
		if err := v.stillOf(q, ask, of); err != nil {
			return err
		}
		if err := v.commit(q, &entry); err != nil {
			return unavailable(err, "It cannot be put on record that you export this, so it is not handed out: ask again later. The daemon's log says more.")
		}
		return nil
	}}
	buffer := bufio.NewWriterSize(out, exportBuffer)
	err := v.Statistics.Export(q.Context(), ask.scope, ask.view, buffer)
	if err == nil {
		err = buffer.Flush()
	}
	if out.begun {
		entry.Event, entry.Bytes = EventSent, out.sent
		if err != nil {
			entry.Reason = "it ended half-way"
		}
		v.record(q, &entry)
	}
	if err == nil {
		return nil
	}
	if p := statisticsProblem(err); !out.begun {
		return p
	}
	return unavailable(err, "The export ended half-way.")
}

// filtersSet names the filters that are set; what they are set to may be somebody's name.
func filtersSet(f statistics.Filter) []string {
	var names []string
	for name := range f.Values() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// An exportWriter sends what it gets at once, after it was granted, and gives every piece its own time.
type exportWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	granted func() error // whether it may be sent
	begun   bool
	sent    int64
}

// Write is io.Writer's.
func (e *exportWriter) Write(b []byte) (int, error) {
	if !e.begun {
		if err := e.granted(); err != nil {
			return 0, err
		}
		e.begun = true
	}
	_ = e.control.SetWriteDeadline(time.Now().Add(writePatience)) // where there are none, the server's own holds
	n, err := e.w.Write(b)
	e.sent += int64(n)
	_ = e.control.Flush() // a compressor would hold it back; what cannot be sent fails with the next write
	return n, err
}
