package statistics

import (
	"context"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// sumViewers adds a viewer's sessions up, and looks up what the newest of them says once it is known which that is: to
// carry the texts of all along would take more memory than there may be.
const sumViewers = `INSERT INTO month_viewers
	SELECT g.tenant, ?, g.viewer, g.last, n.user_name, n.country, n.ip, n.ip_high, n.ip_low, n.user_agent, n.referrer, g.sessions, g.views, g.bytes, g.view_us
	FROM (SELECT tenant, viewer, max(nth) AS last, count(*) AS sessions, ` + sumViews + ` AS views, ` + sumBytes + ` AS bytes, ` + sumView + ` AS view_us
			FROM sessions WHERE tenant = ? AND day >= ?::DATE AND day < ?::DATE GROUP BY tenant, viewer) g
		JOIN sessions n ON n.tenant = g.tenant AND n.nth = g.last`

// finishMonth notes that a commit was loaded whole, and adds the sessions of each viewer of the month up.
func (d *Database) finishMonth(ctx context.Context, m month, c *schemas.Commit) error {
	run := c.Stands()
	tenant, period := string(m.tenant), m.period.String()
	from, to := m.period.Start().Format(time.DateOnly), m.period.End().Format(time.DateOnly)
	_, err := d.write(ctx, []statement{
		{"DELETE FROM months WHERE tenant = ? AND period = ?", []any{tenant, period}},
		{"DELETE FROM month_viewers WHERE tenant = ? AND period = ?", []any{tenant, period}},
		{sumViewers, []any{period, tenant, from, to}},
		{`INSERT INTO months SELECT ?, ?, ?, ?, ?, ?, ?, total(sessions), count(*), true, now()::TIMESTAMP FROM month_viewers WHERE tenant = ? AND period = ?`,
			[]any{tenant, period, c.Number, run.Run, run.AsOf, int64(run.Restatement), c.SessionRows, tenant, period}},
	}, 0)
	if err == nil {
		d.o.Log.Info("statistics", "state", "loaded", "tenant", tenant, "month", period, "run", run.Run, "rows", c.SessionRows)
	}
	return err
}
