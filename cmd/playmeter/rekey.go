package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

const rekeyHelp = `Seals the reports of final months anew for the recipients that are configured now:
for a tenant whose key has changed, and for one who was granted reports later.

A month that is not final needs none of this: its next run seals for the
recipients of then. Of a final month the reports are made again from what their
runs pinned, and published as a new run only when they are the same to the
byte; manifests then name the same plaintext digest, and which run they repeat. A
report that nobody was granted then is made beside them.
Of a restated month the newest restatement is sealed anew, too, under the next
number. The usage.diff of a restatement is not.

It takes nothing back. Whoever could open a report before can still open the
sealed file of before, which stays under its run; removing a recipient keeps only
what is sealed later from it.

To change a key without a gap: grant the new key beside the old one, run rekey,
let the tenant try the new key, and take the old grant away.`

func rekeyCommand(a *app) *cobra.Command {
	var tenants []string
	var month schemas.Period
	c := &cobra.Command{
		Use: "rekey", Short: "Seal final months anew for the present recipients", Long: rekeyHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter rekey --tenant iten4EXAMPLE
  playmeter rekey --tenant iten4EXAMPLE --month 2026-09`,
	}
	c.Flags().StringArrayVar(&tenants, "tenant", nil, "`ID` of a tenant; may be repeated (default all)")
	monthFlag(c, &month, "this month alone (default all that are final)")
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		ids, err := tenantIDs(tenants)
		if err != nil {
			return err
		}
		cfg, err := a.config()
		if err != nil {
			return err
		}
		if err := checkTenants(cfg, ids); err != nil {
			return err
		}
		s, err := a.openConfig(ctx, cfg, toReport, "")
		if err != nil {
			return err
		}
		defer s.close()
		if len(ids) == 0 {
			for i := range cfg.Tenants {
				ids = append(ids, cfg.Tenants[i].ID)
			}
		}
		all, err := a.rekeyAll(ctx, s, ids, month)
		return errors.Join(a.tellRekeyed(all), err)
	})
	return c
}

// rekeyAll goes through tenants and months; what fails does not keep the others from theirs.
func (a *app) rekeyAll(ctx context.Context, s *site, ids []schemas.Tenant, month schemas.Period) ([]reporter.Rekeyed, error) {
	p := a.progress()
	defer p.end()
	s.show(showProgress(p))
	all := []reporter.Rekeyed{}
	var errs []error
	for _, id := range ids {
		months := []schemas.Period{month}
		if month.IsZero() {
			var err error
			if months, err = s.reporter.FinalMonths(ctx, id); err != nil {
				errs = append(errs, err)
			}
		}
		for _, m := range months {
			r := s.reporter.Rekey(ctx, id, m)
			all = append(all, r)
			errs = append(errs, r.Err)
			if ctx.Err() != nil {
				return all, ctx.Err()
			}
		}
	}
	return all, errors.Join(errs...)
}

func (a *app) tellRekeyed(all []reporter.Rekeyed) error {
	if a.json {
		return a.printJSON(all)
	}
	if len(all) == 0 {
		a.say("No month is final yet, so there is nothing to seal anew.")
		return nil
	}
	t := &table{head: []string{"MONTH", "TENANT", "NEW RUNS", "NOTE"}, most: 100}
	for _, r := range all {
		note := r.Note
		if r.Err != nil {
			note = "failed, see below"
		}
		t.add(r.Period, r.Tenant, strings.Join(r.Runs, " "), note)
	}
	if err := t.write(a.out); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
