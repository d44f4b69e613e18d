package reporter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// heldSnapshot is a catalog snapshot in the bucket.
type heldSnapshot struct {
	key, etag string
	at        int64
	holdings  []holdingRow // none: it cannot be read
}

// inForce finds the snapshots that speak of a month, oldest first, and how many were set aside on the way.
func (c *plainCount) inForce(all []heldSnapshot) (used []heldSnapshot, aside int) {
	for i := len(all) - 1; i >= 0; i-- {
		switch s := all[i]; {
		case s.at > c.asOf:
		case len(s.holdings) == 0:
			aside++
		default:
			used = append(used, s)
			if s.at <= c.from {
				i = 0 // older ones are not looked at
			}
		}
	}
	slices.Reverse(used)
	return used, aside
}

// facts are what the catalog says of the objects.
func (c *plainCount) facts() map[string]*holdingRow {
	out := make(map[string]*holdingRow)
	for _, s := range c.catalog {
		for i := range s.holdings {
			out[s.holdings[i].id] = &s.holdings[i]
		}
	}
	return out
}

// cells is a row of a report by column; empty cells and zeros are left out.
type cells map[string]string

func (c cells) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, " %s=%s", name, c[name])
	}
	return b.String()
}

// tidy takes out what says nothing.
func (c cells) tidy() cells {
	maps.DeleteFunc(c, func(_, text string) bool { return text == "" || text == "0" })
	return c
}

// usage is the usage report by object id; the tenancy's row has the tenant's id.
func (c *plainCount) usage(name string) map[string]cells {
	total, out := &plainObject{sums: make(map[string]int64)}, make(map[string]cells)
	held := make(map[string][2]int64) // storage, byte seconds
	for i, s := range c.catalog {
		until := c.asOf
		if i+1 < len(c.catalog) {
			until = c.catalog[i+1].at
		}
		for _, o := range s.holdings {
			h := held[o.id]
			if h[0] = 0; i == len(c.catalog)-1 {
				h[0] = o.storage
			}
			h[1] += o.storage * (max(0, until-max(s.at, c.from)) / int64(time.Second))
			held[o.id] = h
			c.find(o.id)
		}
	}
	facts, both := c.facts(), [2]int64{}
	for id, o := range c.objects {
		row := o.cells(held[id])
		if f := facts[id]; f != nil {
			row["info.object_name"] = f.name
			if f.duration > 0 {
				row["info.mezzanine.duration"] = decimal(f.duration)
			}
		} else if o.library != nil {
			row["info.library_id"] = o.library.LibraryID
		}
		row["object_id"], row["row"] = id, "object"
		out[id] = row.tidy()
		for column, n := range o.sums {
			total.sums[column] += n
		}
		total.active = max(total.active, o.active)
		both = [2]int64{both[0] + held[id][0], both[1] + held[id][1]}
	}
	row := total.cells(both)
	row["object_id"], row["row"], row["info.object_name"] = string(c.tenant), "tenancy", name
	out[string(c.tenant)] = row.tidy()
	return out
}

// cells writes the figures of an object.
func (o *plainObject) cells(held [2]int64) cells {
	out := cells{"storage": fmt.Sprint(held[0]), "storage.byte_hours": decimal((held[1]*2*2500/9 + 1) / 2),
		"info.active": []string{"inactive", "poked", "active"}[o.active]}
	for column, n := range o.sums {
		switch {
		case strings.HasSuffix(column, "_hrs"):
			out[column] = decimal((n*2/3600 + 1) / 2)
		case strings.HasSuffix(column, "_sec") || strings.HasPrefix(column, "usage.ingest.audio_"):
			out[column] = decimal(n)
		default:
			out[column] = fmt.Sprint(n)
		}
	}
	return out
}

// ingestColumns are the columns that depend on what was ingested.
func (c *plainCount) ingestColumns() map[string]bool {
	out := make(map[string]bool)
	for _, o := range c.objects {
		for column := range o.sums {
			if strings.HasPrefix(column, "usage.ingest.audio_") || strings.Contains(column, ":") {
				out[column] = true
			}
		}
	}
	return out
}

// plainReport is what a run has to say.
type plainReport struct {
	*plainCount
	usage map[string]cells
	text  map[schemas.Report]string // all of a report, to tell whether it says something else than another
}

func (c *plainCount) report(name string) *plainReport {
	p := &plainReport{plainCount: c, usage: c.usage(name), text: make(map[schemas.Report]string)}
	p.text[schemas.ReportUsage] = fmt.Sprint(slices.Sorted(maps.Keys(c.ingestColumns()))) + fmt.Sprint(p.usage)
	for i := range c.sessions {
		p.text[schemas.ReportSessions] += cells(c.sessions[i].cells).tidy().String() + "\n"
	}
	return p
}

// madeFrom tells whether the usage report would say the same, made from the snapshots as they are now.
func (p *plainReport) madeFrom(now []heldSnapshot) bool {
	c := *p.plainCount
	c.catalog = nil
	for _, used := range p.catalog {
		c.catalog = append(c.catalog, now[slices.IndexFunc(now, func(s heldSnapshot) bool { return s.key == used.key })])
	}
	c.objects = make(map[string]*plainObject)
	for id, o := range p.objects {
		if o.active > 0 || len(o.sums) > 0 {
			c.objects[id] = o
		}
	}
	return c.report(p.usage[string(p.tenant)]["info.object_name"]).text[schemas.ReportUsage] == p.text[schemas.ReportUsage]
}
