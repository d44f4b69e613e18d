package web

import (
	"cmp"
	"slices"

	"github.com/playmeter/playmeter/statistics"
)

// A place is where viewers are, as closely as a table looks, and the region of servers that they watch from.
type place struct {
	country, region, city, server string
}

// placesShown is how many rows a table of places has.
const placesShown = 50

// placeColumn is a part of a place, and how a filter asks for it.
type placeColumn struct {
	label string
	part  func(place) string
	name  func(string) string // as people read it
	ask   func(*statistics.Filter, string)
}

var (
	countryColumn = placeColumn{"Country", func(p place) string { return p.country }, countryName, func(f *statistics.Filter, s string) { f.Country = s }}
	regionColumn  = placeColumn{"Region", func(p place) string { return p.region }, orUnknown, func(f *statistics.Filter, s string) { f.Region = s }}
	cityColumn    = placeColumn{"City", func(p place) string { return p.city }, orUnknown, func(f *statistics.Filter, s string) { f.City = s }}
	serverColumn  = placeColumn{"Served from", func(p place) string { return p.server }, orUnknown, func(f *statistics.Filter, s string) { f.ServerRegion = s }}
)

func orUnknown(s string) string { return cmp.Or(s, notKnown) }

// places are the tables of where viewers are; the map has the one by country.
func (a *audience) places(d *statistics.Dashboard) []sums {
	far := a.placeSums(d, "server-regions", "Viewers and the servers that they watch from", countryColumn, regionColumn, serverColumn)
	far.Help = "Where would another server help? Where many watch from far away."
	return []sums{
		a.placeSums(d, "regions", "Viewers by region", countryColumn, regionColumn),
		a.placeSums(d, "cities", "Viewers by city", countryColumn, regionColumn, cityColumn),
		far,
	}
}

// placeSum is what a place adds up to.
type placeSum struct {
	place
	statistics.Totals
}

// sumPlaces adds up the places that are the same in these columns, most view time first.
func sumPlaces(rows []statistics.PlaceSum, columns []placeColumn) []placeSum {
	at := make(map[place]int)
	var out []placeSum
	for _, r := range rows {
		where := only(place{r.Country, r.Region, r.City, r.ServerRegion}, columns)
		i, ok := at[where]
		if !ok {
			i = len(out)
			at[where] = i
			out = append(out, placeSum{place: where})
		}
		t := &out[i].Totals
		t.Sessions, t.Views, t.Bytes, t.Micros = t.Sessions+r.Sessions, t.Views+r.Views, t.Bytes+r.Bytes, t.Micros+r.Micros
	}
	slices.SortFunc(out, func(a, b placeSum) int {
		return cmp.Or(cmp.Compare(b.Micros, a.Micros), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.country, b.country),
			cmp.Compare(a.region, b.region), cmp.Compare(a.city, b.city), cmp.Compare(a.server, b.server))
	})
	return out
}

// only keeps of a place what the columns show.
func only(p place, columns []placeColumn) place {
	var f statistics.Filter
	for _, c := range columns {
		c.ask(&f, c.part(p))
	}
	return place{f.Country, f.Region, f.City, f.ServerRegion}
}

// placeSums lists the places with the most view time. Each part of a place leads to its sessions and those of the parts before it.
func (a *audience) placeSums(d *statistics.Dashboard, id, title string, columns ...placeColumn) sums {
	t := table{ID: id + "-table", Caption: title}
	for _, c := range columns {
		t.Columns = append(t.Columns, column{Label: c.label})
	}
	t.Columns = append(t.Columns, a.sumColumns()...)
	rows := sumPlaces(d.Places, columns)
	for _, r := range rows[:min(len(rows), placesShown)] {
		f := monthFilter(d.Period)
		var row []cell
		for _, c := range columns {
			c.ask(&f, orNotKnown(c.part(r.place)))
			row = append(row, cell{Text: c.name(c.part(r.place)), Href: a.link(f, "")})
		}
		t.Rows = append(t.Rows, append(row, a.sumCells(r.Totals)...))
	}
	return sums{ID: id, Title: title, Table: t, More: moreText(len(rows)-placesShown, d.PlacesCut)}
}

// mapChart is the view time of each country. Viewers whose country is not known are in its table alone.
func (a *audience) mapChart(d *statistics.Dashboard) *chart {
	c := &chart{ID: "countries", Title: "Where viewers are", Caption: "View time by country.", Kind: chartMap, Data: chartData{Unit: "micros"},
		Table: table{ID: "countries-table", Caption: "View time and traffic by country", Columns: append([]column{{Label: "Country"}}, a.sumColumns()...)}}
	series := chartSeries{Name: "View time"}
	for _, r := range sumPlaces(d.Places, []placeColumn{countryColumn}) {
		f := monthFilter(d.Period)
		f.Country = orNotKnown(r.country)
		link := a.link(f, "")
		c.Table.Rows = append(c.Table.Rows, append([]cell{{Text: countryName(r.country), Exact: r.country, Href: link}}, a.sumCells(r.Totals)...))
		if _, ok := countryOf(r.country); !ok {
			continue
		}
		c.Data.Labels = append(c.Data.Labels, r.country)
		c.Data.Names = append(c.Data.Names, countryName(r.country))
		c.Data.Links = append(c.Data.Links, link)
		series.add(r.Micros, spanFigure(r.Micros))
	}
	c.Data.Series = []chartSeries{series}
	return c
}
