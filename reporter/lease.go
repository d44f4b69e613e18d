package reporter

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// leaseTime is how long a lease holds after it was written, by the store's clock;
// its holder writes the next one at a third of it. It is short, so that a killed process keeps
// nobody waiting; a lease that lapses under its holder costs double work and nothing else.
const leaseTime = 20 * time.Second

// ErrBusy tells that another process is making the same tenant's reports of the same month.
var ErrBusy = errors.New("another run of this tenant and month is under way")

// errTaken tells that another process holds a lease.
var errTaken = errors.New("another process is at it")

// lease saves double work; it fences nothing, the commit does. Leases are
// numbered objects of a folder: the highest holds until it is stale or removed.
type lease struct {
	r      *Reporter
	folder string
	number int64
	stop   context.CancelFunc
	done   chan struct{}
}

type leaseBody struct {
	Holder string `json:"holder"`
	Since  string `json:"since"`
}

// acquire takes the lease of a tenant's period, or returns ErrBusy.
func (r *Reporter) acquire(ctx context.Context, tenant schemas.Tenant, period schemas.Period) (*lease, error) {
	l, err := r.lease(ctx, schemas.LeaseFolder(tenant, period))
	if errors.Is(err, errTaken) {
		return nil, fmt.Errorf("%s %s: %w", tenant, period, ErrBusy)
	}
	return l, err
}

// lease takes the lease of a folder, or returns errTaken.
func (r *Reporter) lease(ctx context.Context, folder string) (*lease, error) {
	last, modified, err := r.highest(ctx, folder)
	if err != nil {
		return nil, err
	}
	if last > 0 {
		now, err := r.Store.Now(ctx)
		if err != nil {
			return nil, err
		}
		if now.Sub(modified) < leaseTime {
			return nil, errTaken
		}
	}
	l := &lease{r: r, folder: folder, number: last, done: make(chan struct{})}
	if err := l.write(ctx); err != nil {
		return nil, err
	}
	ctx, l.stop = context.WithCancel(ctx)
	go l.renew(ctx)
	return l, nil
}

// write creates the next lease. A stop does not interrupt it: a lease of ours that nobody holds would keep others waiting.
func (l *lease) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	body, err := json.Marshal(leaseBody{Holder: rand.Text(), Since: l.r.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	mine, err := l.r.createOnce(ctx, schemas.LeaseName(l.folder, l.number+1), body)
	if err != nil {
		return err
	}
	if !mine {
		return errTaken
	}
	l.number++
	return nil
}

// renew keeps the lease until release. A lease that can't be renewed is no harm.
func (l *lease) renew(ctx context.Context) {
	defer close(l.done)
	tick := time.NewTicker(leaseTime / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			old := l.number
			if l.write(ctx) == nil {
				_ = l.r.Buckets.Metering.Delete(ctx, schemas.LeaseName(l.folder, old))
			}
		}
	}
}

// release gives the lease back.
func (l *lease) release() {
	l.stop()
	<-l.done
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.r.Buckets.Metering.Delete(ctx, schemas.LeaseName(l.folder, l.number)); err != nil {
		l.r.Log.Warn("a lease could not be removed; it lapses by itself", "object", l.folder, "err", err)
	}
}

// highest finds the numbered object with the highest number of a folder; 0 where
// there is none.
func (r *Reporter) highest(ctx context.Context, folder string) (number int64, modified time.Time, err error) {
	for info, err := range r.Buckets.Metering.List(ctx, folder, "") {
		if err != nil {
			return 0, time.Time{}, err
		}
		if n, ok := schemas.ParseNumber(info.Key); ok && n > number {
			number, modified = n, info.Modified
		}
	}
	return number, modified, nil
}
