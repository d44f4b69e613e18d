package reporter

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// maxStatement bounds a stored statement.
const maxStatement = 2 << 30

// storeStatement keeps a folded statement, so that a run with nothing new need
// not fold: it is a cache, named by what it depends on.
func (r *Reporter) storeStatement(ctx context.Context, c *schemas.Commit, s *accounting.Statement) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode statement: %w", err)
	}
	_, err = r.Buckets.Metering.PutBytes(ctx, schemas.StatementName(c.Tenant, c.Period, c.Statement), schemas.PackBytes(raw))
	return err
}

func (r *Reporter) readStatement(ctx context.Context, c *schemas.Commit) (*accounting.Statement, error) {
	name := schemas.StatementName(c.Tenant, c.Period, c.Statement)
	packed, _, err := r.Buckets.Metering.Get(ctx, name, "", maxStatement)
	if err != nil {
		return nil, err
	}
	raw, err := schemas.UnpackBytes(packed, maxStatement)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var s accounting.Statement
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return &s, accounting.Balance(&s.Events)
}
