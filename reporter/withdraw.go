package reporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// withdrawals are the usage objects that were taken out of the count.
type withdrawals map[[2]string]schemas.Withdrawal

func (w withdrawals) has(key, etag string) bool {
	_, ok := w[[2]string{key, etag}]
	return ok
}

// withdrawals reads them all.
func (r *Reporter) withdrawals(ctx context.Context) (withdrawals, error) {
	out := make(withdrawals)
	for info, err := range r.Buckets.Metering.List(ctx, schemas.PrefixWithdrawn, "") {
		if err != nil {
			return nil, err
		}
		var w schemas.Withdrawal
		if err := r.readJSON(ctx, r.Buckets.Metering, info.Key, &w); err != nil {
			return nil, err
		}
		out[[2]string{w.Key, w.ETag}] = w
	}
	return out, nil
}

// Counted is what Withdraw would take out of the count.
type Counted struct {
	Key  string `json:"key"`
	ETag string `json:"etag"`
	Size int64  `json:"size"`
	Rows int64  `json:"rows"`
	// Gone: the object is no longer in the usage bucket, and counts all the same.
	Gone    bool             `json:"gone"`
	Tenants []schemas.Tenant `json:"tenants"`
	At      time.Time        `json:"withdrawn,omitzero"` // it is withdrawn already, since then
}

// Counted finds the usage object that counts under a key.
func (r *Reporter) Counted(ctx context.Context, key string) (*Counted, error) {
	shelf, err := r.loadShelf(ctx)
	if err != nil {
		return nil, err
	}
	gone, err := r.withdrawals(ctx)
	if err != nil {
		return nil, err
	}
	returned, err := r.returns(ctx)
	if err != nil {
		return nil, err
	}
	c := &Counted{Key: key}
	info, err := r.Buckets.Usage.Stat(ctx, key)
	switch {
	case err == nil && schemas.IsUsageKey(key):
		c.ETag, c.Size = info.ETag, info.Size
	case err != nil && !errors.Is(err, bucket.ErrNotExist):
		return nil, err
	}
	if m := shelf.object(key, c.ETag, returned); m != nil && (m.ETag == c.ETag || c.ETag == "" || shelf.unreadable(key, c.ETag)) {
		c.Gone = c.ETag == ""
		c.ETag, c.Size, c.Rows = m.ETag, m.Size, m.Rows
		for tenant := range m.Tenants {
			c.Tenants = append(c.Tenants, tenant)
		}
		slices.Sort(c.Tenants)
	}
	if c.ETag == "" {
		return nil, fmt.Errorf("withdraw %s: no usage file of that name is in the bucket or was ever counted: give the whole key, as \"playmeter explain\" and the list of inputs show it", key)
	}
	if w, ok := gone[[2]string{c.Key, c.ETag}]; ok {
		c.At = w.At
	}
	return c, nil
}

// unreadable tells whether an object was set aside.
func (s *shelf) unreadable(key, etag string) bool {
	for _, p := range s.sorted() {
		for i := range p.index.Members {
			if m := &p.index.Members[i]; m.Key == key && m.ETag == etag && m.Unreadable != "" {
				return true
			}
		}
	}
	return false
}

// object finds the readable object of a key: that of the ETag, or else (where the ETag is empty or has no
// tally that could be read) the newest.
func (s *shelf) object(key, etag string, returned returns) *schemas.Member {
	var found *schemas.Member
	for at := range s.readable() {
		m := at.info()
		switch {
		case m.Key != key:
		case found == nil, m.ETag == etag && found.ETag != etag:
			found = m
		case found.ETag == etag && etag != "":
		case newer(m, returned.stored(m), &wantedFile{Info: bucket.Info{ETag: found.ETag, Modified: returned.stored(found)}, counted: found.Counted}):
			found = m
		}
	}
	return found
}

// Withdraw takes a usage object out of the count: from the next run on, open months are counted without
// it, and final ones restated. A new object under its key counts again.
func (r *Reporter) Withdraw(ctx context.Context, c *Counted) error {
	body, err := json.MarshalIndent(schemas.Withdrawal{Key: c.Key, ETag: c.ETag, At: r.Now().UTC().Truncate(time.Second)}, "", " ")
	if err != nil {
		return err
	}
	_, err = r.Buckets.Metering.Create(ctx, schemas.WithdrawnName(c.Key, c.ETag), append(body, '\n'))
	if errors.Is(err, bucket.ErrExist) { // by somebody else, or the answer was lost
		return nil
	}
	return err
}
