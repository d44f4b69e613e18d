package statistics

import (
	"context"
	"strconv"
)

// maxChoices bounds each list of choices.
const maxChoices = 100

// Choices are what filters may be set to: the values that occur on the days of a filter, the most frequent first.
// Its other fields are not looked at.
func (d *Database) Choices(ctx context.Context, scope Scope, f Filter) (*Choices, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	where := all(scope.where(), Filter{From: f.From, To: f.To}.where())
	out := &Choices{}
	for _, c := range []struct {
		table, column string
		into          *[]string
	}{
		{"day_places", "country", &out.Countries}, {"day_devices", "platform", &out.Platforms}, {"day_devices", "os", &out.Systems},
		{"day_protocols", "protocol", &out.Protocols},
	} {
		a, err := d.read(ctx, statement{"SELECT " + c.column + " FROM " + c.table + " WHERE " + c.column + " <> '' AND " + where.text +
			" GROUP BY 1 ORDER BY sum(sessions) DESC, 1 LIMIT " + strconv.Itoa(maxChoices), where.args}, maxChoices)
		if err != nil {
			return nil, err
		}
		for i := range a.Rows {
			*c.into = append(*c.into, a.Columns[0].at(i).text)
		}
	}
	a, err := d.read(ctx, statement{"SELECT server, " + lastOf("hostname", "''") + " FROM day_servers WHERE " + where.text +
		" GROUP BY server ORDER BY sum(sessions) DESC, server LIMIT " + strconv.Itoa(maxChoices), where.args}, maxChoices)
	if err != nil {
		return nil, err
	}
	for i := range a.Rows {
		out.Servers = append(out.Servers, ServerName{a.Columns[0].at(i).text, a.Columns[1].at(i).text})
	}
	return out, nil
}
