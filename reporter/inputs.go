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

// errNoTally tells that a file once counted has no tally that can be found.
var errNoTally = errors.New("its tally is in no pack of the metering bucket, and the file is not there to be counted again: restore either")

// inputs decides which tallies a tenant's period is folded from (SPEC 6): the
// listed files, and those once counted that are gone or whose replacement cannot be read.
// The result is sorted by key; other is how many of them were tallied under other idle times.
func (r *Reporter) inputs(tenant schemas.Tenant, b accounting.Bounds, prior []schemas.Input, files []bucket.Info, s *shelf) (out []input, other int, err error) {
	listed, read := make(map[string]bool, len(files)), make(map[string]bool, len(files))
	use := func(at location) {
		m := at.info()
		in := input{Input: schemas.Input{Key: m.Key, ETag: m.ETag, Size: m.Size, Tally: m.Tally, Gone: !listed[m.Key]}, at: at}
		if in.place(tenant, &b) {
			out = append(out, in)
			if m.Tally != nameOf(m, b.Idle) {
				other++
			}
		}
	}
	for _, f := range files {
		listed[f.Key] = true
		if at, ok := s.find(tallyName(f, b.Idle)); ok && at.info().Unreadable == "" {
			read[f.Key] = true
			use(at)
		}
	}
	before := make(map[schemas.TallyName]bool, len(prior))
	for _, p := range prior {
		before[p.Tally] = true
	}
	once := s.once(read, b.Idle, before)
	for _, at := range once {
		use(at)
	}
	for _, p := range prior {
		if _, ok := once[p.Key]; !ok && !read[p.Key] {
			return nil, 0, fmt.Errorf("%s: %w", p.Key, errNoTally)
		}
	}
	slices.SortFunc(out, func(a, b input) int { return cmp.Compare(a.Key, b.Key) })
	return out, other, nil
}

func nameOf(m *schemas.Member, idle accounting.Idle) schemas.TallyName {
	return schemas.NameTally(m.Key, m.ETag, idle.WithID, idle.WithoutID, "")
}

// once returns, per key that cannot be read now, the tally of the newest object that could;
// of objects of one second the one that the run before counted, of one object's tallies the one under
// the given idle times, where there is one.
func (s *shelf) once(read map[string]bool, idle accounting.Idle, before map[schemas.TallyName]bool) map[string]location {
	out := make(map[string]location)
	for _, p := range s.sorted() {
		for i := range p.index.Members {
			m := &p.index.Members[i]
			if m.Tally == "" || m.Unreadable != "" || read[m.Key] {
				continue
			}
			old, ok := out[m.Key]
			if !ok || newer(m, old.info(), idle, before) {
				out[m.Key] = location{p, uint32(i)}
			}
		}
	}
	return out
}

// newer tells whether a serves better than b for a key; the name last, so that the choice is one.
func newer(a, b *schemas.Member, idle accounting.Idle, before map[schemas.TallyName]bool) bool {
	if c := a.Modified.Compare(b.Modified); c != 0 {
		return c > 0
	}
	if before[a.Tally] != before[b.Tally] {
		return before[a.Tally]
	}
	if x, y := a.Tally == nameOf(a, idle), b.Tally == nameOf(b, idle); x != y {
		return x
	}
	return a.Tally < b.Tally
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
