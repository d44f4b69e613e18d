package reporter

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// input is a tally that a statement is folded from.
type input struct {
	schemas.Input
	at location
	// cut, if its pack is not nil, is where the hour that the as-of divides was counted again.
	cut location
}

// inputs decides which tallies a tenant's period is folded from (SPEC 6): the
// listed files, and those once counted that are gone or whose replacement cannot be read.
// The result is sorted by key.
func (r *Reporter) inputs(tenant schemas.Tenant, b accounting.Bounds, prior []schemas.Input, files []bucket.Info, s *shelf) ([]input, error) {
	listed := make(map[string]bool, len(files))
	wanted := make(map[string]input)
	for _, f := range files {
		at, ok := s.find(tallyName(f, b.Idle))
		if !ok || at.info().Unreadable != "" {
			continue
		}
		listed[f.Key] = true
		in := input{Input: schemas.Input{Key: f.Key, ETag: f.ETag, Size: f.Size, Tally: at.info().Tally}, at: at}
		if in.place(tenant, &b) {
			wanted[f.Key] = in
		}
	}
	for _, p := range prior {
		if listed[p.Key] {
			continue
		}
		at, ok := s.find(p.Tally)
		if !ok {
			return nil, fmt.Errorf("the tally of %s is in no pack of the metering bucket, and the file is no longer there to be counted again: restore either", p.Key)
		}
		p.Gone, p.Before = true, false
		in := input{Input: p, at: at}
		if in.place(tenant, &b) {
			wanted[p.Key] = in
		}
	}
	for _, at := range s.vanished(listed, b.Idle) {
		m := at.info()
		in := input{Input: schemas.Input{Key: m.Key, ETag: m.ETag, Size: m.Size, Tally: m.Tally, Gone: true}, at: at}
		if _, ok := wanted[m.Key]; !ok && in.place(tenant, &b) {
			wanted[m.Key] = in
		}
	}
	out := make([]input, 0, len(wanted))
	for _, in := range wanted {
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b input) int { return cmp.Compare(a.Key, b.Key) })
	return out, nil
}

// vanished returns, per key that is not listed, the tally of its newest object.
func (s *shelf) vanished(listed map[string]bool, idle accounting.Idle) map[string]location {
	out := make(map[string]location)
	for _, p := range s.sorted() {
		for i := range p.index.Members {
			m := &p.index.Members[i]
			if m.Tally == "" || m.Unreadable != "" || listed[m.Key] || m.Tally != schemas.NameTally(m.Key, m.ETag, idle.WithID, idle.WithoutID, "") {
				continue
			}
			if old, ok := out[m.Key]; !ok || old.info().Modified.Before(m.Modified) {
				out[m.Key] = location{p, uint32(i)}
			}
		}
	}
	return out
}

// place tells whether a file matters to the tenant's statement, and notes whether only
// for what ran into the period.
func (in *input) place(tenant schemas.Tenant, b *accounting.Bounds) bool {
	near := false
	for _, h := range in.at.info().Tenants[tenant].Hours {
		if b.Holds(h.Hour) {
			return true
		}
		near = near || b.NearBefore(h.Hour)
	}
	in.Before = near
	return near
}

// cutHour counts the hour that the as-of divides again, for the files that have
// rows behind it. The result is held in a pack of its own and not stored.
func (r *Reporter) cutHour(ctx context.Context, tenant schemas.Tenant, b accounting.Bounds, inputs []input) (func(), error) {
	hour, ok := b.CutHour()
	if !ok {
		return func() {}, nil
	}
	var divided []*input
	for i := range inputs {
		for _, h := range inputs[i].at.info().Tenants[tenant].Hours {
			if h.Hour == hour && h.Last >= b.AsOf {
				divided = append(divided, &inputs[i])
			}
		}
	}
	if len(divided) == 0 {
		return func() {}, nil
	}
	out, err := r.newPackOutput()
	if err != nil {
		return nil, err
	}
	if err := r.cutFiles(ctx, divided, b, hour, out); err != nil {
		out.spool.Close()
		return nil, err
	}
	return func() { out.spool.Close() }, nil
}

func (r *Reporter) cutFiles(ctx context.Context, divided []*input, b accounting.Bounds, hour schemas.Hour, out *packOutput) error {
	builder := accounting.NewPackBuilder(out)
	p := &pack{key: "as-of", read: func(_ context.Context, off, n int64) ([]byte, error) {
		data := make([]byte, n)
		_, err := out.spool.ReadAt(data, off)
		return data, err
	}}
	opts := accounting.TallyOptions{Idle: b.Idle, Cut: &accounting.Cut{Hour: hour, Before: b.AsOf}, Workers: r.Workers}
	for _, in := range divided {
		member, err := r.tallyFile(ctx, bucket.Info{Key: in.Key, ETag: in.ETag, Size: in.Size}, opts, builder)
		if errors.Is(err, bucket.ErrNotExist) || errors.Is(err, bucket.ErrChanged) {
			return fmt.Errorf("the as-of lies within an hour of %s, which is no longer in the usage bucket to be counted again: choose an as-of on the hour (%w)", in.Key, err)
		} else if err != nil {
			return err
		}
		member.Key = in.Key
		builder.Finish(member)
		in.cut = location{p, uint32(builder.Members() - 1)}
	}
	index, err := builder.Close()
	p.index = index
	return err
}

// inputsDigest names a set of tallies.
func inputsDigest(inputs []input) string {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%s %t\n", in.Tally, in.Before)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// inputLines writes the list of inputs, one JSON object a line; of the period
// only, or with those before it.
func inputLines(inputs []input, before bool) ([]byte, error) {
	var out []byte
	for _, in := range inputs {
		if in.Before && !before {
			continue
		}
		line, err := json.Marshal(in.Input)
		if err != nil {
			return nil, err
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}
