package reporter

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// returns are the usage objects that were put back under a key which had another in between, and since
// when: their tallies are older than that other's, and must not lose against it once the key is gone.
type returns map[[2]string]time.Time

// stored is since when the object of a tally is known to have been there last.
func (r returns) stored(m *schemas.Member) time.Time {
	if at := r[[2]string{m.Key, m.ETag}]; at.After(m.Modified) {
		return at
	}
	return m.Modified
}

// returns reads them all.
func (r *Reporter) returns(ctx context.Context) (returns, error) {
	out := make(returns)
	for info, err := range r.Buckets.Metering.List(ctx, schemas.PrefixReturned, "") {
		if err != nil {
			return nil, err
		}
		var back schemas.Return
		if err := r.readJSON(ctx, r.Buckets.Metering, info.Key, &back); err != nil {
			return nil, err
		}
		out[[2]string{back.Key, back.ETag}] = back.At
	}
	return out, nil
}

// noteReturns notes the listed objects that another object of their key was counted after.
func (r *Reporter) noteReturns(ctx context.Context, files []bucket.Info, s *shelf, known returns) error {
	listed := make(map[string]bucket.Info, len(files))
	for _, f := range files {
		listed[f.Key] = f
	}
	mine, other := make(map[string]arrival), make(map[string]arrival) // of the listed object; of the newest other of its key
	for at := range s.readable() {
		m := at.info()
		f, ok := listed[m.Key]
		if !ok {
			continue
		}
		whose := other
		if m.ETag == f.ETag {
			whose = mine
		}
		if came := (arrival{known.stored(m), m.Counted}); came.after(whose[m.Key]) {
			whose[m.Key] = came
		}
	}
	for key, before := range other {
		if at, ok := mine[key]; !ok || at.after(before) {
			continue
		}
		f := listed[key]
		back := schemas.Return{Key: key, ETag: f.ETag, At: f.Modified.UTC()}
		if !back.At.After(before.stored) { // stores tell times to the second
			back.At = before.stored.Add(1)
		}
		body, err := json.Marshal(back)
		if err != nil {
			return err
		}
		if _, err := r.Buckets.Metering.PutBytes(ctx, schemas.ReturnedName(back.Key, back.ETag), body); err != nil {
			return err
		}
		known[[2]string{back.Key, back.ETag}] = back.At
	}
	return nil
}

// arrival orders the objects of a key as they came: by when they were stored, then by when they were counted.
type arrival struct{ stored, counted time.Time }

func (a arrival) after(b arrival) bool {
	return cmp.Or(a.stored.Compare(b.stored), a.counted.Compare(b.counted)) > 0
}
