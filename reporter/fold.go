package reporter

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// fold is the folding of one tenant's period.
type fold struct {
	r      *Reporter
	tenant schemas.Tenant
	bounds accounting.Bounds
	rules  accounting.Rules
	packs  []*foldPack
	cut    schemas.Hour // the hour that is counted again for some files; -1: none
}

// foldPack is a pack and which of its files are folded.
type foldPack struct {
	*pack
	files []fileUse
	days  map[schemas.Day]dayUse // of the tenant
}

// dayUse says what is folded of a pack's rows of a day.
type dayUse struct {
	fragments bool // those of any file
	sums      bool
	whole     bool // the sums of all files and hours alike
	summed    bool // the pack has them added up
}

// fileUse says what of a file is folded.
type fileUse uint8

const (
	useFragments fileUse = 1 << iota
	useSums
	notCut  // all but the cut hour
	onlyCut // the cut hour alone
)

func (r *Reporter) newFold(tenant schemas.Tenant, b accounting.Bounds, rules accounting.Rules, inputs []input) *fold {
	f := &fold{r: r, tenant: tenant, bounds: b, rules: rules, cut: -1}
	if hour, ok := b.CutHour(); ok {
		f.cut = hour
	}
	byPack := make(map[*pack]*foldPack)
	use := func(at location, how fileUse) {
		p := byPack[at.pack]
		if p == nil {
			p = &foldPack{pack: at.pack, files: make([]fileUse, len(at.pack.index.Members))}
			byPack[at.pack] = p
			f.packs = append(f.packs, p)
		}
		p.files[at.member] = how
	}
	for _, in := range inputs {
		how := useFragments
		if !in.Before {
			how |= useSums
		}
		if in.cut.pack != nil {
			use(in.cut, how|onlyCut)
			how |= notCut
		}
		use(in.at, how)
	}
	for _, p := range f.packs {
		p.days = f.daysOf(p)
	}
	return f
}

// daysOf finds out what is folded of each day of a pack: a merged pack holds more than is wanted.
func (f *fold) daysOf(p *foldPack) map[schemas.Day]dayUse {
	days := make(map[schemas.Day]dayUse)
	for i := range p.index.Members {
		use := p.files[i]
		last := schemas.Day(-1)
		for _, h := range p.index.Members[i].Tenants[f.tenant].Hours {
			day := h.Hour.Day()
			if day == last {
				continue
			}
			last = day
			d, ok := days[day]
			d.fragments = d.fragments || use&useFragments != 0
			d.sums = d.sums || use&useSums != 0
			// Hours of the day that the as-of divides differ in where they belong; notCut
			// leaves out an hour of that day alone.
			d.whole = (!ok || d.whole) && use&useSums != 0 && use&onlyCut == 0 && !f.bounds.Divides(day)
			days[day] = d
		}
	}
	for _, b := range p.index.Blocks {
		if b.Kind == schemas.BlockDays && b.Tenant == f.tenant {
			d := days[b.Day]
			d.summed = true
			days[b.Day] = d
		}
	}
	return days
}

// wants tells whether a row of a file and hour is folded.
func (f *fold) wants(p *foldPack, file uint32, hour schemas.Hour, what fileUse) bool {
	if int(file) >= len(p.files) {
		return false
	}
	use := p.files[file]
	switch {
	case use&what == 0:
		return false
	case use&notCut != 0:
		return hour != f.cut
	case use&onlyCut != 0:
		return hour == f.cut
	}
	return true
}

// run folds sums and sessions side by side. Sessions go to emit, encoded, in no
// useful order.
func (f *fold) run(ctx context.Context, finish *accounting.Finisher, emit func(*schemas.Session) error) (*accounting.Statement, error) {
	if err := f.complete(); err != nil {
		return nil, err
	}
	sums := accounting.NewSums(f.bounds, f.rules)
	views := accounting.NewSums(f.bounds, f.rules)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.sums(ctx, sums) })
	group.Go(func() error {
		joiner := accounting.NewJoiner(f.bounds, finish, func(s *schemas.Session) error {
			views.AddSession(s)
			return emit(s)
		})
		if err := f.fragments(ctx, joiner.Add); err != nil {
			return err
		}
		return joiner.Close()
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	sums.Join(views)
	return sums.Statement()
}

// errStripped tells that what a month's sessions are made from is no longer kept.
var errStripped = errors.New("what its sessions are made from is no longer kept (privacy.keep.fragments), so it cannot be counted again")

// complete tells whether the packs still have the fragments of the period.
func (f *fold) complete() error {
	for _, p := range f.packs {
		if p.index.Stripped[f.tenant] > schemas.DayOf(f.bounds.From) {
			return fmt.Errorf("the month %s of %s: %w", f.bounds.Period, f.tenant, errStripped)
		}
	}
	return nil
}

// sums folds the sum rows: those of hours, or those of a whole day where all of it is wanted.
func (f *fold) sums(ctx context.Context, sums *accounting.Sums) error {
	var row schemas.SumRow
	for _, p := range f.packs {
		ahead := p.ahead()
		for _, b := range p.index.Blocks {
			if b.Tenant != f.tenant {
				continue
			}
			day := p.days[b.Day]
			added := day.whole && day.summed
			switch {
			case b.Kind == schemas.BlockSums && day.sums && !added:
			case b.Kind == schemas.BlockDays && added:
			default:
				continue
			}
			err := eachRow(ctx, ahead, b, func(encoded []byte) error {
				if err := schemas.DecodeSumRow(encoded, &row); err != nil {
					return err
				}
				if added || f.wants(p, row.File, row.Hour, useSums) {
					sums.Add(&row)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func eachRow(ctx context.Context, p *pack, b schemas.Block, visit func([]byte) error) error {
	rows, err := p.rows(ctx, b)
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := visit(row); err != nil {
			return err
		}
	}
}

// mergeWidth is how many runs are merged at once: each holds a decoder and its window.
const mergeWidth = 64

// fragments merges the fragments that matter and visits them in order. More
// runs than mergeWidth are merged in rounds, through encrypted temporary files.
func (f *fold) fragments(ctx context.Context, visit func(*schemas.Fragment) error) error {
	var runs []runSource
	defer func() { closeSpools(runs) }()
	for _, p := range f.packs {
		for _, b := range p.index.Blocks {
			if b.Kind == schemas.BlockFragments && b.Tenant == f.tenant && f.bounds.WantsFragments(b.Day, b.Records) && p.days[b.Day].fragments {
				runs = append(runs, runSource{open: func() (*fragmentRun, error) { return f.openBlock(ctx, p, b) }})
			}
		}
	}
	for len(runs) > mergeWidth {
		n := min(mergeWidth, len(runs)-mergeWidth+1)
		spool, err := f.mergeToSpool(ctx, runs[:n])
		if err != nil {
			return err
		}
		closeSpools(runs[:n])
		runs = append(runs[n:], runSource{spool: spool, open: func() (*fragmentRun, error) { return openSpool(spool) }})
	}
	return mergeRuns(ctx, runs, visit)
}

// runSource opens a run of fragments when its turn has come.
type runSource struct {
	open  func() (*fragmentRun, error)
	spool *crypto.Spool // nil: a block of a pack
}

func closeSpools(runs []runSource) {
	for _, r := range runs {
		if r.spool != nil {
			r.spool.Close()
		}
	}
}

// fragmentRun is a sorted run of fragments.
type fragmentRun struct {
	rows accounting.RowStream
	want func(*schemas.Fragment) bool // nil: all
}

// Next fills f with the next fragment that is wanted.
func (r *fragmentRun) Next(f *schemas.Fragment) error {
	for {
		row, err := r.rows.Next()
		if err != nil {
			return err
		}
		if err := schemas.DecodeFragment(row, f); err != nil {
			return err
		}
		if r.want == nil || r.want(f) {
			return nil
		}
	}
}

func (f *fold) openBlock(ctx context.Context, p *foldPack, b schemas.Block) (*fragmentRun, error) {
	rows, err := p.rows(ctx, b)
	if err != nil {
		return nil, err
	}
	return &fragmentRun{rows, func(x *schemas.Fragment) bool { return f.wants(p, x.File, x.Hour, useFragments) }}, nil
}

func openSpool(s *crypto.Spool) (*fragmentRun, error) {
	rows, err := schemas.NewRowReader(s.Reader())
	if err != nil {
		return nil, err
	}
	return &fragmentRun{rows: rows}, nil
}

func mergeRuns(ctx context.Context, open []runSource, visit func(*schemas.Fragment) error) error {
	runs := make([]accounting.FragmentReader, 0, len(open))
	for _, o := range open {
		run, err := o.open()
		if err != nil {
			return err
		}
		defer run.rows.Close()
		runs = append(runs, run)
	}
	n := 0
	return accounting.MergeFragments(runs, func(f *schemas.Fragment) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return visit(f)
	})
}

func (f *fold) mergeToSpool(ctx context.Context, runs []runSource) (*crypto.Spool, error) {
	spool, err := crypto.NewSpool(f.r.Temp)
	if err != nil {
		return nil, err
	}
	w := schemas.NewRowWriter(spool)
	var row []byte
	err = mergeRuns(ctx, runs, func(x *schemas.Fragment) error {
		row = schemas.AppendFragment(row[:0], x)
		return w.Write(row)
	})
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		spool.Close()
		return nil, err
	}
	return spool, nil
}
