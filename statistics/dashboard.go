package statistics

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// topRanks is how many places a top list has.
const topRanks = 10

// Dashboard is a month at a glance.
//
//   - Cost: it asks what the days add up to, not the sessions, so it does not grow with them.
//   - Errors: as of [Database.Sessions].
func (d *Database) Dashboard(ctx context.Context, scope Scope, p schemas.Period) (*Dashboard, error) {
	month := all(scope.where(), condition{"day >= ?::DATE AND day < ?::DATE", []any{p.Start().Format(time.DateOnly), p.End().Format(time.DateOnly)}})
	out := &Dashboard{Period: p}
	ctx, cancel := context.WithTimeout(ctx, longestPage)
	defer cancel()
	r, err := d.newReading(ctx, d.slots)
	if err != nil {
		return nil, err
	}
	defer r.end()
	for _, part := range []func(context.Context, reader, condition, *Dashboard) error{topStreams, topServers, days, devices, places} {
		if err := part(ctx, r, month, out); err != nil {
			return nil, fmt.Errorf("the statistics of %s: %w", p, err)
		}
	}
	states, err := states(ctx, r, all(scope.where(), condition{"period = ?", []any{p.String()}}))
	if err != nil {
		return nil, fmt.Errorf("the statistics of %s: %w", p, err)
	}
	for _, s := range states {
		out.Months = append(out.Months, s.MonthState)
		out.Viewers += s.viewers
	}
	return out, nil
}

const daySums = "total(sessions) AS n, total(views) AS w, total(bytes) AS b, total(view_us) AS v"

// top asks for the first places of a list.
func top(ctx context.Context, r reader, month condition, from, group, by string) ([]Ranked, error) {
	a, err := r.read(ctx, statement{"SELECT * FROM (" + from + " WHERE " + month.text + " GROUP BY " + group + ") WHERE " + by + " > 0 ORDER BY " + by +
		" DESC, id, tenant LIMIT " + fmt.Sprint(topRanks), month.args}, topRanks)
	if err != nil {
		return nil, err
	}
	out := make([]Ranked, a.Rows)
	for i := range out {
		out[i] = Ranked{Tenant: schemas.Tenant(a.Columns[0].at(i).text), ID: a.Columns[1].at(i).text, Name: a.Columns[2].at(i).text}
		t := a.totals(3, i)
		out[i].Sessions, out[i].Views, out[i].Bytes, out[i].Micros = t.Sessions, t.Views, t.Bytes, t.Micros
	}
	return out, nil
}

func topStreams(ctx context.Context, r reader, month condition, out *Dashboard) (err error) {
	const from = "SELECT tenant, object_id AS id, arg_max(stream, day) AS name, " + daySums + " FROM day_streams"
	if out.StreamsByView, err = top(ctx, r, month, from, "tenant, object_id", "v"); err != nil {
		return err
	}
	out.StreamsByTraffic, err = top(ctx, r, month, from, "tenant, object_id", "b")
	return err
}

func topServers(ctx context.Context, r reader, month condition, out *Dashboard) (err error) {
	from := "SELECT '' AS tenant, server AS id, " + lastOf("hostname", "server") + " AS name, " + daySums + " FROM day_servers"
	if out.ServersByTraffic, err = top(ctx, r, month, from, "server", "b"); err != nil {
		return err
	}
	out.ServersByView, err = top(ctx, r, month, from, "server", "v")
	return err
}

// sumSplits are the columns of a split, added up.
func sumSplits() string {
	out := make([]string, len(splits))
	for i, name := range splits {
		out[i] = "total(" + name + ")"
	}
	return strings.Join(out, ", ")
}

// days are those of the month up to the last that has sessions; the month's own sums are theirs.
func days(ctx context.Context, r reader, month condition, out *Dashboard) error {
	a, err := r.read(ctx, statement{"SELECT strftime(day, '%Y-%m-%d'), " + daySums + ", " + sumSplits() + " FROM day_devices WHERE " + month.text +
		" GROUP BY day ORDER BY day", month.args}, 31)
	if err != nil {
		return err
	}
	next := schemas.DayOf(out.Period.Start().UnixNano())
	for i := range a.Rows {
		day, err := parseDay(a.Columns[0].at(i).text)
		if err != nil {
			return err
		}
		for ; next < day; next++ {
			out.Days = append(out.Days, DaySum{Day: next})
		}
		s := DaySum{Day: day, Totals: a.totals(1, i), Split: a.split(5, i)}
		out.Days = append(out.Days, s)
		out.Totals.add(s.Totals)
		out.Split.add(s.Split)
		next = day + 1
	}
	return nil
}

// maxDevices and maxPlaces bound the tables of a dashboard, in rows.
const (
	maxDevices = 1000
	maxPlaces  = 20000
)

func devices(ctx context.Context, r reader, month condition, out *Dashboard) error {
	a, err := r.read(ctx, statement{"SELECT platform, os, " + daySums + " FROM day_devices WHERE " + month.text + " GROUP BY platform, os ORDER BY v DESC, platform, os", month.args}, maxDevices)
	if err != nil {
		return err
	}
	for i := range a.Rows {
		out.Devices = append(out.Devices, DeviceSum{a.Columns[0].at(i).text, a.Columns[1].at(i).text, a.totals(2, i)})
	}
	a, err = r.read(ctx, statement{"SELECT platform, total(sessions), " + sumSplits() + " FROM day_devices WHERE " + month.text +
		" GROUP BY platform ORDER BY sum(view_us) DESC, platform", month.args}, maxDevices)
	if err != nil {
		return err
	}
	for i := range a.Rows {
		out.Tiers = append(out.Tiers, TierSum{a.Columns[0].at(i).text, a.Columns[1].at(i).number, a.split(2, i)})
	}
	return nil
}

func places(ctx context.Context, r reader, month condition, out *Dashboard) error {
	a, err := r.read(ctx, statement{"SELECT country, region, city, server_region, " + daySums + " FROM day_places WHERE " + month.text +
		" GROUP BY country, region, city, server_region ORDER BY v DESC, country, region, city, server_region", month.args}, maxPlaces)
	if err != nil {
		return err
	}
	for i := range a.Rows {
		out.Places = append(out.Places, PlaceSum{a.Columns[0].at(i).text, a.Columns[1].at(i).text, a.Columns[2].at(i).text, a.Columns[3].at(i).text, a.totals(4, i)})
	}
	out.PlacesCut = a.More
	return nil
}

// totals reads four columns of a row.
func (a *answer) totals(from, row int) Totals {
	at := func(i int) int64 { return a.Columns[from+i].at(row).number }
	return Totals{Sessions: at(0), Views: at(1), Bytes: at(2), Micros: at(3)}
}

// split reads the columns of a split.
func (a *answer) split(from, row int) (s Split) {
	for i, p := range s.parts() {
		*p = a.Columns[from+i].at(row).number
	}
	return s
}

// parts are the fields, in the order of the columns.
func (s *Split) parts() []*int64 {
	return []*int64{&s.HiClear, &s.HiDRM, &s.MdClear, &s.MdDRM, &s.LoClear, &s.LoDRM, &s.NoneClear, &s.NoneDRM, &s.AudioClear, &s.AudioDRM}
}

func (s *Split) add(other Split) {
	for i, p := range s.parts() {
		*p = plus(*p, *other.parts()[i])
	}
}

func (t *Totals) add(other Totals) {
	t.Sessions += other.Sessions
	t.Views += other.Views
	t.Bytes = plus(t.Bytes, other.Bytes)
	t.Micros = plus(t.Micros, other.Micros)
}

// plus adds numbers of which none is negative; what is beyond the largest is the largest.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// sum adds up as plus does.
func sum(all ...int64) (out int64) {
	for _, n := range all {
		out = plus(out, n)
	}
	return out
}

// monthState is a MonthState with what else is known of it.
type monthState struct {
	MonthState
	viewers, commit int64
}

// states are the months that were loaded.
func states(ctx context.Context, r reader, where condition) ([]monthState, error) {
	a, err := r.read(ctx, statement{`SELECT tenant, period, run, as_of, sessions, named, epoch_us(loaded), viewers, "commit", restatement, counted FROM months WHERE ` + where.text +
		" ORDER BY period DESC, tenant", where.args}, maxMonths)
	if err != nil {
		return nil, err
	}
	var out []monthState
	for i := range a.Rows {
		at := func(j int) value { return a.Columns[j].at(i) }
		p, err := schemas.ParsePeriod(at(1).text)
		asOf, err2 := time.Parse(time.RFC3339, at(3).text)
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("the month %q of the statistics cannot be read: delete the folder statistics of the data directory, and it is made again", at(1).text)
		}
		out = append(out, monthState{MonthState{Tenant: schemas.Tenant(at(0).text), Period: p, Run: at(2).text, AsOf: asOf,
			Rows: at(4).number, Named: at(5).number, Loaded: instant(at(6).number), Restatement: at(9).number, Changing: at(10).number == 0}, at(7).number, at(8).number})
	}
	return out, nil
}

// maxMonths bounds how many months of tenants are told of.
const maxMonths = 1_000_000
