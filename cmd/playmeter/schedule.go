package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// nextRuns is when a tenant's reports are made next.
type nextRuns struct {
	Tenant   schemas.Tenant `json:"tenant"`
	Name     string         `json:"name"`
	Schedule string         `json:"schedule"`
	Next     []time.Time    `json:"next"`
}

func scheduleCommand(a *app) *cobra.Command {
	n := 3
	c := &cobra.Command{
		Use: "schedule", Short: "Show when each tenant's next runs are", GroupID: "look", Args: cobra.NoArgs,
		Long:    "Shows when the daemon makes each tenant's reports next, in UTC, as reports.schedule or the tenant's own schedule says.",
		Example: "  playmeter schedule\n  playmeter schedule -n 10 --json",
	}
	c.Flags().IntVarP(&n, "number", "n", n, "so many runs of each tenant")
	a.jsonFlag(c)
	c.RunE = a.do(func(context.Context, []string) error {
		if n < 1 || n > 10_000 {
			return usagef("-n %d: write a number from 1 to 10000", n)
		}
		cfg, err := a.config()
		if err != nil {
			return err
		}
		runs, err := scheduled(cfg, time.Now(), n)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(runs)
		}
		if len(runs) == 0 {
			a.say("no tenant is configured, so no run is due: name one under tenants in %s", DefaultConfigFile)
			return nil
		}
		return scheduleTable(runs).write(a.out)
	})
	return c
}

func scheduled(c *Config, now time.Time, n int) ([]nextRuns, error) {
	runs := []nextRuns{}
	for i := range c.Tenants {
		t := &c.Tenants[i]
		next, err := reporter.NextRuns(c.ScheduleOf(t), now, n)
		if err != nil {
			return nil, err
		}
		runs = append(runs, nextRuns{t.ID, t.Name, c.ScheduleOf(t), next})
	}
	return runs, nil
}

func scheduleTable(runs []nextRuns) *table {
	t := &table{head: []string{"TENANT", "NAME", "SCHEDULE", "NEXT RUN"}}
	for _, r := range runs {
		for i, at := range r.Next {
			if i == 0 {
				t.add(r.Tenant, r.Name, r.Schedule, at.Format(time.RFC3339))
			} else {
				t.add("", "", "", at.Format(time.RFC3339))
			}
		}
	}
	return t
}
