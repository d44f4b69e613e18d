package web

import (
	"slices"

	"github.com/playmeter/playmeter/statistics"
)

// sums is a table of what something adds up to, with a title and what is not shown of it.
type sums struct {
	ID, Title, Help string
	Table           table
	More            string
}

// notKnown is how something is called that is not known.
const notKnown = "unknown"

// tiles are the key figures. Sessions and viewers are not for those who see usage alone.
func (a *audience) tiles(d *statistics.Dashboard) []tile {
	month := monthFilter(d.Period)
	watched := month
	watched.Watched = "yes"
	to := func(tab statistics.Tab, f statistics.Filter, sort string) string { return a.linkTab(tab, f, "", sort) }
	all := []tile{
		{Label: "Views", Value: countFigure(d.Views), Note: "sessions that were watched", Href: to(statistics.TabPlayback, watched, "")},
		{Label: "View time", Value: spanFigure(d.Micros), Href: to(statistics.TabPlayback, month, "view_time")},
		{Label: "Traffic", Value: bytesFigure(d.Bytes), Href: to(statistics.TabPlayback, month, "traffic")},
	}
	if !a.sessions {
		return all
	}
	viewers := tile{Label: "Unique viewers", Value: countFigure(d.Viewers), Href: to(statistics.TabUsers, month, "")}
	if !viewersCounted(d) {
		viewers.Value, viewers.Note = figure{Text: "–"}, "counted when all sessions are loaded"
	}
	return append([]tile{{Label: "Sessions", Value: countFigure(d.Sessions), Href: to(statistics.TabPlayback, month, "")}, viewers}, all...)
}

// viewersCounted tells whether the viewers are those of the sessions. They are counted when all of a tenant's month is there, and
// days come one by one.
func viewersCounted(d *statistics.Dashboard) bool {
	counted, changing := int64(0), len(d.Months) == 0
	for _, m := range d.Months {
		counted += m.Rows
		changing = changing || m.Changing
	}
	return !changing && counted == d.Sessions
}

// topStreams are the two rankings of streams.
func (a *audience) topStreams(d *statistics.Dashboard) []bars {
	link := func(r statistics.Ranked) string {
		f := monthFilter(d.Period)
		f.Object = r.ID
		return a.link(f, r.Tenant)
	}
	return []bars{
		a.ranking("streams-by-view-time", "Top streams by view time", d.StreamsByView, viewOf, link),
		a.ranking("streams-by-traffic", "Top streams by traffic", d.StreamsByTraffic, trafficOf, link),
	}
}

// topServers are the two rankings of servers.
func (a *audience) topServers(d *statistics.Dashboard) []bars {
	link := func(r statistics.Ranked) string {
		f := monthFilter(d.Period)
		f.Servers = []string{r.ID}
		return a.linkTab(statistics.TabServers, f, "", "traffic") // whose row has these figures; the sessions have those of other servers, too
	}
	return []bars{
		a.ranking("servers-by-traffic", "Top servers by traffic", d.ServersByTraffic, trafficOf, link),
		a.ranking("servers-by-view-time", "Top servers by view time", d.ServersByView, viewOf, link),
	}
}

// measure is what a ranking is by.
type measure func(statistics.Ranked) (int64, figure)

func viewOf(r statistics.Ranked) (int64, figure)    { return r.Micros, spanFigure(r.Micros) }
func trafficOf(r statistics.Ranked) (int64, figure) { return r.Bytes, bytesFigure(r.Bytes) }

// ranking shows a top 10, in the order it comes in.
func (a *audience) ranking(id, title string, rows []statistics.Ranked, by measure, link func(statistics.Ranked) string) bars {
	out := bars{ID: id, Title: title, Empty: "None in this month."}
	names := make(map[string]int)
	for _, r := range rows {
		names[r.Name]++
	}
	for _, r := range rows {
		top, _ := by(rows[0])
		amount, shown := by(r)
		out.Rows = append(out.Rows, newBar(r.Name, a.rankNote(r, names[r.Name] > 1), shown, link(r), amount, top))
	}
	return out
}

// rankNote is what else is to be known of a row: its views, whose it is, and its id where another is called the same.
func (a *audience) rankNote(r statistics.Ranked, twin bool) string {
	note := plural(r.Views, "view")
	if r.Tenant != "" && a.chosen == nil {
		note += " · " + a.called(r.Tenant)
	}
	if twin && r.ID != r.Name {
		note += " · " + r.ID
	}
	return note
}

// daysChart is the view time of each day.
func (a *audience) daysChart(d *statistics.Dashboard) *chart {
	c := &chart{ID: "days", Title: "View time by day", Caption: "A session belongs to the UTC day it began on.", Kind: chartBars, Data: chartData{Unit: "micros"}}
	c.Table = table{ID: "days-table", Caption: "View time by day", Columns: append([]column{{Label: "Day (UTC)"}}, a.sumColumns()...)}
	series := chartSeries{Name: "View time"}
	for _, day := range d.Days {
		link := a.link(statistics.Filter{From: day.Day.String(), To: day.Day.String()}, "")
		c.Data.Labels = append(c.Data.Labels, day.Day.String())
		if link != "" {
			c.Data.Links = append(c.Data.Links, link)
		}
		series.add(day.Micros, spanFigure(day.Micros))
		c.Table.Rows = append(c.Table.Rows, append([]cell{{Text: day.Day.String(), Href: link}}, a.sumCells(day.Totals)...))
	}
	c.Data.Series = []chartSeries{series}
	return c
}

// sumColumns are the columns of what something adds up to.
func (a *audience) sumColumns() []column {
	columns := []column{{Label: "View time", Numeric: true}, {Label: "Traffic", Numeric: true}, {Label: "Views", Numeric: true}}
	if a.sessions {
		columns = append(columns, column{Label: "Sessions", Numeric: true})
	}
	return columns
}

// sumCells are the cells of these columns.
func (a *audience) sumCells(t statistics.Totals) []cell {
	cells := []cell{figureCell(spanFigure(t.Micros), ""), figureCell(bytesFigure(t.Bytes), ""), figureCell(countFigure(t.Views), "")}
	if a.sessions {
		cells = append(cells, figureCell(countFigure(t.Sessions), ""))
	}
	return cells
}

// A tier as people read it, and its part of a split.
type tier struct {
	key, name  string
	clear, drm func(statistics.Split) int64
}

// tiers are in the order of their worth.
var tiers = []tier{
	{"hi", "Hi (4K)", func(s statistics.Split) int64 { return s.HiClear }, func(s statistics.Split) int64 { return s.HiDRM }},
	{"md", "Md (HD)", func(s statistics.Split) int64 { return s.MdClear }, func(s statistics.Split) int64 { return s.MdDRM }},
	{"lo", "Lo (SD)", func(s statistics.Split) int64 { return s.LoClear }, func(s statistics.Split) int64 { return s.LoDRM }},
	{"unclassified", "Size not known", func(s statistics.Split) int64 { return s.NoneClear }, func(s statistics.Split) int64 { return s.NoneDRM }},
	{"audio", "Sound alone", func(s statistics.Split) int64 { return s.AudioClear }, func(s statistics.Split) int64 { return s.AudioDRM }},
}

// of is the tier's view time.
func (t tier) of(s statistics.Split) int64 { return t.clear(s) + t.drm(s) }

// tierName is a tier as people read it.
func tierName(key string) string {
	if i := slices.IndexFunc(tiers, func(t tier) bool { return t.key == key }); i >= 0 {
		return tiers[i].name
	}
	return key
}

// drmNames are clear and DRM as people read them.
var drmNames = map[string]string{"clear": "Clear", "drm": "DRM"}

// splitBars are the month's view time by clear or DRM, and by tier.
func (a *audience) splitBars(d *statistics.Dashboard) []bars {
	whole := d.Split.Clear() + d.Split.DRM()
	protection := bars{ID: "protection", Title: "Clear and DRM"}
	for _, key := range statistics.FilterDRM {
		f := monthFilter(d.Period)
		f.DRM = key
		amount := d.Split.Clear()
		if key == "drm" {
			amount = d.Split.DRM()
		}
		protection.Rows = append(protection.Rows, newBar(drmNames[key], shareText(amount, whole), spanFigure(amount), a.link(f, ""), amount, whole))
	}
	quality := bars{ID: "quality", Title: "Tiers"}
	for i, t := range tiers {
		f := monthFilter(d.Period)
		f.Tier = t.key
		amount := t.of(d.Split)
		note := figure{Text: shareText(amount, whole)}
		if amount > 0 {
			open, drm := spanFigure(t.clear(d.Split)), spanFigure(t.drm(d.Split))
			note.Exact = note.Text + " · clear " + open.Exact + " · DRM " + drm.Exact
			note.Text += " · clear " + open.Text + " · DRM " + drm.Text
		}
		row := newBar(t.name, note.Text, spanFigure(amount), a.link(f, ""), amount, whole)
		row.NoteExact = note.Exact
		row.Series = i + 1 // as in the chart of devices and tiers
		quality.Rows = append(quality.Rows, row)
	}
	return []bars{protection, quality}
}

func shareText(part, whole int64) string { return permilleFigure(shareOf(part, whole)).Text }

// How much of a long list the dashboard shows.
const (
	devicesShown   = 50
	platformsShown = 12
)

// devices are the kinds of devices, by platform and OS.
func (a *audience) devices(d *statistics.Dashboard) *sums {
	out := &sums{ID: "devices", Title: "Devices"}
	out.Table = table{ID: "devices-table", Caption: "Devices by platform and OS", Columns: append([]column{{Label: "Platform"}, {Label: "OS"}}, a.sumColumns()...)}
	for _, r := range d.Devices[:min(len(d.Devices), devicesShown)] {
		f := monthFilter(d.Period)
		f.Platform = orNotKnown(r.Platform)
		platform := a.link(f, "")
		f.OS = orNotKnown(r.OS)
		out.Table.Rows = append(out.Table.Rows, append([]cell{{Text: orUnknown(r.Platform), Href: platform}, {Text: orUnknown(r.OS), Href: a.link(f, "")}}, a.sumCells(r.Totals)...))
	}
	out.More = moreText(len(d.Devices)-devicesShown, false)
	return out
}

// moreText tells that a list goes on, and by so much at least; empty: it does not.
func moreText(n int, andMore bool) string {
	switch {
	case n <= 0 && andMore:
		return "There are more, with less view time."
	case n <= 0:
		return ""
	case andMore:
		return "More than " + plural(int64(n), "row") + " with less view time."
	}
	return plural(int64(n), "more row") + " with less view time."
}

// tiersChart is which tiers each platform watches.
func (a *audience) tiersChart(d *statistics.Dashboard) *chart {
	c := &chart{ID: "device-tiers", Title: "Devices and tiers", Caption: "View time by platform, and the tier that was watched.", Kind: chartStack, Data: chartData{Unit: "micros"}}
	c.Table = table{ID: "device-tiers-table", Caption: "View time by platform and tier", Columns: []column{{Label: "Platform"}}}
	for _, t := range tiers {
		c.Table.Columns = append(c.Table.Columns, column{Label: t.name, Numeric: true})
		c.Data.Series = append(c.Data.Series, chartSeries{Name: t.name})
	}
	for i, r := range d.Tiers {
		f := monthFilter(d.Period)
		f.Platform = orNotKnown(r.Platform)
		row := []cell{{Text: orUnknown(r.Platform), Href: a.link(f, "")}}
		if i < platformsShown {
			c.Data.Labels = append(c.Data.Labels, orUnknown(r.Platform))
		}
		for k, t := range tiers {
			f.Tier = t.key
			amount, link := t.of(r.Split), ""
			if amount > 0 {
				link = a.link(f, "")
			}
			row = append(row, figureCell(spanFigure(amount), link))
			if i < platformsShown {
				c.Data.Series[k].add(amount, spanFigure(amount))
				c.Data.Series[k].Links = append(c.Data.Series[k].Links, link)
			}
		}
		c.Table.Rows = append(c.Table.Rows, row)
	}
	return c
}
