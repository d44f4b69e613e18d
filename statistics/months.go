package statistics

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// A pass looks at all months where there are few, else once an hour; in between at those that change by themselves: this
// one and the one before of each tenant, and what Look named.
const (
	fewMonths = 300
	wholeEach = time.Hour
)

func (d *Database) wholeDue() bool {
	d.loadMu.Lock()
	defer d.loadMu.Unlock()
	return len(d.loaded) <= fewMonths || d.o.Now().Sub(d.whole) >= wholeEach
}

// months are those that have commits, or may have: a tenant after the other, the newest month first. What lies under other
// names than months' is nothing of ours.
func (d *Database) months(ctx context.Context, whole bool) iter.Seq2[month, error] {
	return func(yield func(month, error) bool) {
		likely := d.likely()
		for folder, err := range d.o.Metering.Folders(ctx, schemas.PrefixCommits) {
			if err != nil {
				yield(month{}, fmt.Errorf("look for tenants with commits: %w", err))
				return
			}
			periods := likely
			if whole {
				if periods, err = d.periods(ctx, folder); err != nil {
					yield(month{}, err)
					return
				}
			}
			tenant := schemas.Tenant(strings.TrimSuffix(strings.TrimPrefix(folder, schemas.PrefixCommits), "/"))
			for _, p := range periods {
				if !yield(month{tenant, p}, nil) {
					return
				}
			}
		}
	}
}

// likely are the months of which something may be new.
func (d *Database) likely() []schemas.Period {
	this := schemas.PeriodOf(d.o.Now().UTC())
	out := []schemas.Period{this, this.Previous()}
	d.askedMu.Lock()
	defer d.askedMu.Unlock()
	for p := range d.asked {
		if p != out[0] && p != out[1] {
			out = append(out, p)
		}
	}
	d.asked = nil
	return out
}

// periods are the months below a tenant's folder, the newest first.
func (d *Database) periods(ctx context.Context, folder string) ([]schemas.Period, error) {
	var out []schemas.Period
	for name, err := range d.o.Metering.Folders(ctx, folder) {
		if err != nil {
			return nil, fmt.Errorf("look for months with commits: %w", err)
		}
		if p, err := schemas.ParsePeriod(strings.TrimSuffix(strings.TrimPrefix(name, folder), "/")); err == nil {
			out = append([]schemas.Period{p}, out...)
		}
	}
	return out, nil
}
