package reporter

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// maxSmall bounds the small objects of our own that are read whole.
const maxSmall = 64 << 20

// ErrOvertaken tells that another run committed first; this one left no trace in what
// readers see.
var ErrOvertaken = errors.New("another run of this tenant and month was committed first")

// head reads the newest commit of a tenant's period; nil where there is none.
func (r *Reporter) head(ctx context.Context, tenant schemas.Tenant, period schemas.Period) (*schemas.Commit, error) {
	n, _, err := r.highest(ctx, schemas.CommitFolder(tenant, period))
	if err != nil || n == 0 {
		return nil, err
	}
	return r.readCommit(ctx, schemas.CommitName(tenant, period, n))
}

func (r *Reporter) readCommit(ctx context.Context, key string) (*schemas.Commit, error) {
	var c schemas.Commit
	if err := r.readJSON(ctx, r.Buckets.Metering, key, &c); err != nil {
		return nil, err
	}
	if c.Schema != schemas.CommitSchema {
		return nil, fmt.Errorf("read %s: it is of schema %q, this software knows %q", key, c.Schema, schemas.CommitSchema)
	}
	return &c, nil
}

func (r *Reporter) readJSON(ctx context.Context, b *bucket.Bucket, key string, into any) error {
	data, _, err := b.Get(ctx, key, "", maxSmall)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// commit makes c the successor of its parent: the create-only PUT is the fence.
func (r *Reporter) commit(ctx context.Context, c *schemas.Commit) error {
	c.Schema, c.Number, c.Nonce = schemas.CommitSchema, c.Parent+1, rand.Text()
	c.Committed = r.Now().UTC().Format(time.RFC3339)
	body, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return err
	}
	mine, err := r.createOnce(ctx, schemas.CommitName(c.Tenant, c.Period, c.Number), body)
	if err == nil && !mine {
		return fmt.Errorf("%s %s: %w", c.Tenant, c.Period, ErrOvertaken)
	}
	return err
}

// createOnce creates an object of the metering bucket whose body no other process
// writes (it holds a nonce), and tells whether the object there is ours. The answer to a
// create may be lost, and then looks as if somebody else had been first: what is there is read back.
func (r *Reporter) createOnce(ctx context.Context, key string, body []byte) (mine bool, err error) {
	if _, err = r.Buckets.Metering.Create(ctx, key, body); err == nil {
		return true, nil
	}
	there, _, rerr := r.Buckets.Metering.Get(ctx, key, "", maxSmall)
	switch {
	case rerr == nil:
		return bytes.Equal(there, body), nil
	case errors.Is(err, bucket.ErrExist):
		return false, nil
	}
	return false, err
}

// claim takes a name for a run that no other run has or will have.
func (r *Reporter) claim(ctx context.Context, tenant schemas.Tenant, period schemas.Period, asOf time.Time, parent int64) (string, error) {
	nonce, err := json.Marshal(claimBody{rand.Text(), parent})
	if err != nil {
		return "", err
	}
	for attempt := 1; ; attempt++ {
		run := schemas.RunName(asOf, attempt)
		mine, err := r.createOnce(ctx, schemas.ClaimName(tenant, period, run), nonce)
		switch {
		case err != nil:
			return "", err
		case mine:
			return run, nil
		case attempt > 10_000:
			return "", fmt.Errorf("claim a name for the run of %s: %s and 10,000 more are taken", tenant, run)
		}
	}
}
