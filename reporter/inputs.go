package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// input is a tally that a statement is folded from.
type input struct {
	schemas.Input
	file *wantedFile
	at   location
	// cut, if its pack is not nil, is where the hour that the as-of divides was counted again.
	cut location
}

// errNoTally tells that a file once counted has no tally that can be found.
var errNoTally = errors.New("its tally is in no pack of the metering bucket, and the file is not there to be counted again: restore either")

// inputs finds the tallies that a tenant's period is folded from (SPEC 6): those of the wanted files that
// hold something of it. prior is the inputs of the run before: none of them may be missing.
// The result is sorted by key; other is how many of them were tallied under other idle times.
func (p *plan) inputs(tenant schemas.Tenant, b accounting.Bounds, prior []schemas.Input) (out []input, other int, err error) {
	for _, f := range p.wanted.files {
		in := input{Input: schemas.Input{Key: f.Key, ETag: f.ETag, Size: f.Size, Gone: f.gone}, file: f}
		if !in.place(tenant, &b) {
			continue
		}
		at, another, ok := f.tally(p.shelf, b.Idle)
		if !ok {
			return nil, 0, fmt.Errorf("%s: %w", f.Key, errNoTally)
		}
		if another {
			other++
		}
		in.at, in.Tally = at, at.info().Tally
		out = append(out, in)
	}
	for _, was := range prior {
		if p.wanted.byKey[was.Key] == nil && !p.wanted.isWithdrawn(was.Key) {
			return nil, 0, fmt.Errorf("%s: %w", was.Key, errNoTally)
		}
	}
	return out, other, nil
}

// place tells whether a file matters to the tenant's statement, and notes whether only
// for what ran into the period.
func (in *input) place(tenant schemas.Tenant, b *accounting.Bounds) bool {
	near := false
	for _, h := range in.file.member.Tenants[tenant].Hours {
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
	p := &pack{key: "as-of", read: out.read}
	opts := accounting.TallyOptions{Idle: b.Idle, Cut: &accounting.Cut{Hour: hour, Before: b.AsOf}, Workers: r.Workers}
	for _, in := range divided {
		opts.Excluded, opts.Differing = in.file.excluded, in.file.differing
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

// filesDigest names the usage objects among the inputs, whatever was counted of them.
func filesDigest(inputs []input) string {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%d:%s%d:%s%t\n", len(in.Key), in.Key, len(in.ETag), in.ETag, in.Before)
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
