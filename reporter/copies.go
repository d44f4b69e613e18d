package reporter

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// reconciling lays the sets of the wanted files side by side, hour by hour, to find the rows that
// are copies of others and the numbers that the nodes used.
type reconciling struct {
	r *Reporter
	w *wanted
	// private: what is found is neither taken from the ledgers nor stored in them
	private bool
	place   map[*pack][]int32 // index of the wanted file of a pack's member; -1: none
	packs   []*pack
	held    *setWindow
	chose   map[*wantedFile]int // of a locked file: which of its variants; len: the one with nothing left out
}

// reconcile finds copies and numbers in the hours from from until until, and notes in every
// wanted file with rows there, or met for the first time, which of all its rows it leaves out. Hours whose files
// are those of the last time are not looked at again.
func (r *Reporter) reconcile(ctx context.Context, w *wanted, s *shelf, from, until schemas.Hour) ([]*schemas.LedgerHour, error) {
	x := &reconciling{r: r, w: w, private: s.private, place: make(map[*pack][]int32), chose: make(map[*wantedFile]int)}
	for i, f := range w.files {
		p := f.sets.pack
		if x.place[p] == nil {
			x.place[p] = slices.Repeat([]int32{-1}, len(p.index.Members))
			x.packs = append(x.packs, p)
		}
		x.place[p][f.sets.member] = int32(i)
		slices.SortFunc(f.variants, func(a, b *schemas.Member) int {
			return cmp.Or(-cmp.Compare(cardinality(a.Excluded), cardinality(b.Excluded)), cmp.Compare(exclusionDigest(a.Excluded, a.Differing), exclusionDigest(b.Excluded, b.Differing)))
		})
	}
	days := w.around(from, until)
	for {
		hours, lost, err := x.days(ctx, days)
		if err != nil {
			return nil, err
		}
		if len(lost) == 0 {
			err := x.note(hours)
			return slices.DeleteFunc(hours, func(h *schemas.LedgerHour) bool { return h.Hour < from || h.Hour >= until }), err
		}
		x.chose[lost[0]]++ // it leaves out a row that nothing counts any more
	}
}

// cardinality is how many rows a stored bitmap holds.
func cardinality(stored []byte) uint64 {
	b, err := schemas.ParseRowSet(stored)
	if err != nil || b == nil {
		return 0
	}
	return b.GetCardinality()
}

// exclusionDigest names what a tally leaves out; nothing has no name.
func exclusionDigest(excluded, differing []byte) string {
	if len(excluded) == 0 {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(excluded), excluded, differing))
	return hex.EncodeToString(sum[:16])
}

// daysFiles lists which files have rows in each hour of a day, in their order.
type dayFiles struct {
	day   schemas.Day
	hours []hourFiles // by hour
}

type hourFiles struct {
	hour  schemas.Hour
	files []int32
}

// days lists the hours of the wanted files within bounds, by day.
func (w *wanted) days(from, until schemas.Hour) []dayFiles {
	return w.hours(func(h schemas.Hour) bool { return h >= from && h < until })
}

// around lists the days of all files that have rows within bounds or are met for the first time. So all of a
// file is looked at, and what it leaves out is the same in the runs of every month: should it be gone by the
// next month's run, the tally of this one serves.
func (w *wanted) around(from, until schemas.Hour) []dayFiles {
	days := make(map[schemas.Day]bool)
	for _, f := range w.files {
		f.whole = w.fresh[f.Key]
		for _, span := range f.member.Tenants {
			for _, h := range span.Hours {
				f.whole = f.whole || h.Hour >= from && h.Hour < until
			}
		}
		if !f.whole {
			continue
		}
		for _, span := range f.member.Tenants {
			for _, h := range span.Hours {
				days[h.Hour.Day()] = true
			}
		}
	}
	// Events of clocks that are years off have no month that could be restated: nobody pays for their copies, and
	// a file full of them costs nobody a ledger a day.
	return w.hours(func(h schemas.Hour) bool { return days[h.Day()] && h >= from-farHours && h < until+farHours })
}

// farHours is how far from a period's hours copies are looked for: about as long as months are restated.
const farHours = 400 * 24

// hours lists those of the wanted files' hours that are asked for, by day.
func (w *wanted) hours(which func(schemas.Hour) bool) []dayFiles {
	byHour := make(map[schemas.Hour][]int32)
	for i, f := range w.files {
		for _, span := range f.member.Tenants {
			for _, h := range span.Hours {
				if list := byHour[h.Hour]; which(h.Hour) && (len(list) == 0 || list[len(list)-1] != int32(i)) {
					byHour[h.Hour] = append(list, int32(i))
				}
			}
		}
	}
	var out []dayFiles
	hours := make([]schemas.Hour, 0, len(byHour))
	for h := range byHour {
		hours = append(hours, h)
	}
	slices.Sort(hours)
	for _, h := range hours {
		if len(out) == 0 || out[len(out)-1].day != h.Day() {
			out = append(out, dayFiles{day: h.Day()})
		}
		d := &out[len(out)-1]
		d.hours = append(d.hours, hourFiles{h, byHour[h]})
	}
	return out
}

// setFile is a wanted file as the search for copies sees it.
func (x *reconciling) setFile(f *wantedFile) (accounting.SetFile, error) {
	out := accounting.SetFile{Locked: f.locked}
	if n := x.chose[f]; f.locked && n < len(f.variants) {
		var err error
		if out.Excluded, err = schemas.ParseRowSet(f.variants[n].Excluded); err != nil {
			return out, fmt.Errorf("tally of %s: %w", f.Key, err)
		}
	}
	return out, nil
}

// digest names the files of an hour as a ledger knows them.
func (x *reconciling) digest(h hourFiles) string {
	sum := sha256.New()
	fmt.Fprintln(sum, h.hour)
	for _, i := range h.files {
		f := x.w.files[i]
		left := ""
		if n := x.chose[f]; f.locked && n < len(f.variants) {
			left = exclusionDigest(f.variants[n].Excluded, f.variants[n].Differing)
		}
		fmt.Fprintf(sum, "%d:%s%d:%s%t%s\n", len(f.Key), f.Key, len(f.ETag), f.ETag, f.locked, left)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// days brings the ledgers up to date. lost is locked files that leave out rows which count nowhere.
func (x *reconciling) days(ctx context.Context, days []dayFiles) (all []*schemas.LedgerHour, lost []*wantedFile, err error) {
	if !x.private {
		if err := x.r.loadLedgers(ctx, days); err != nil {
			return nil, nil, err
		}
	}
	known, due := make(map[schemas.Hour]*schemas.LedgerHour), []hourFiles(nil)
	stale := make(map[schemas.Day]bool)
	for _, d := range days {
		var stored map[string]*schemas.LedgerHour
		if !x.private {
			if stored, err = x.r.knownHours(ctx, d.day); err != nil {
				return nil, nil, err
			}
		}
		stale[d.day] = len(stored) == 0
		for _, h := range d.hours {
			if known[h.hour] = stored[x.digest(h)]; known[h.hour] == nil {
				due, stale[d.day] = append(due, h), true
			}
		}
	}
	compare := &comparison{r: x.r, ctx: ctx}
	made := make([]*hourCopies, len(due))
	for i, h := range due {
		if err := x.window(ctx, due[i:]); err != nil {
			return nil, nil, err
		}
		if made[i], lost, err = x.hour(ctx, h, compare); err != nil || len(lost) > 0 {
			return nil, lost, err
		}
		x.r.progress(Progress{Stage: "reconcile", Done: int64(i + 1), Total: int64(len(due)), Unit: "hours"})
	}
	if err := compare.settle(); err != nil {
		return nil, nil, err
	}
	for _, h := range made {
		if err := h.finish(); err != nil {
			return nil, nil, err
		}
		known[h.Hour] = &h.LedgerHour
	}
	for _, d := range days {
		ledger := &schemas.Ledger{Day: d.day}
		for _, h := range d.hours {
			ledger.Hours = append(ledger.Hours, *known[h.hour])
			all = append(all, known[h.hour])
		}
		if stale[d.day] && !x.private {
			if err := x.r.storeLedger(ctx, ledger); err != nil {
				return nil, nil, err
			}
		}
	}
	return all, nil, nil
}

// hour lays the sets of one hour side by side.
func (x *reconciling) hour(ctx context.Context, h hourFiles, compare *comparison) (*hourCopies, []*wantedFile, error) {
	files := make([]accounting.SetFile, len(h.files))
	index := make(map[int32]int, len(h.files)) // of a wanted file, among these
	wanted := make([]*wantedFile, len(h.files))
	for i, n := range h.files {
		var err error
		wanted[i], index[n] = x.w.files[n], i
		if files[i], err = x.setFile(wanted[i]); err != nil {
			return nil, nil, err
		}
	}
	sets := func(visit func(int, *schemas.SetRow) error) error { return x.eachSet(ctx, h.hour, index, visit) }
	out := &hourCopies{LedgerHour: schemas.LedgerHour{Hour: h.hour, Files: x.digest(h)}, files: wanted,
		excluded: make([]*roaring64.Bitmap, len(files)), differing: make([]*roaring64.Bitmap, len(files))}
	found, err := accounting.HourCopies(h.hour, files, sets, func(c accounting.Copy) error { return compare.add(out, c) })
	if err != nil {
		return nil, nil, fmt.Errorf("look for copies in the hour from %s: %w", hourText(h.hour), err)
	}
	out.Nodes, out.Doubled = found.Nodes, found.Doubled
	var lost []*wantedFile
	for _, i := range found.Lost {
		lost = append(lost, wanted[i])
	}
	return out, lost, nil
}

// hourCopies is an hour of a ledger in the making.
type hourCopies struct {
	schemas.LedgerHour
	files     []*wantedFile
	excluded  []*roaring64.Bitmap // by file; nil: none
	differing []*roaring64.Bitmap
}

// finish writes down what was found.
func (h *hourCopies) finish() (err error) {
	for i, f := range h.files {
		if h.excluded[i] == nil {
			continue
		}
		copies := schemas.FileCopies{Key: f.Key}
		if copies.Excluded, err = schemas.EncodeRowSet(h.excluded[i]); err != nil {
			return err
		}
		if copies.Differing, err = schemas.EncodeRowSet(h.differing[i]); err != nil {
			return err
		}
		h.Copies = append(h.Copies, copies)
	}
	return nil
}

// eachSet visits the set rows of an hour; index tells which files are meant.
func (x *reconciling) eachSet(ctx context.Context, hour schemas.Hour, index map[int32]int, visit func(int, *schemas.SetRow) error) error {
	var row schemas.SetRow
	for _, p := range x.packs {
		place := x.place[p]
		for _, b := range p.index.Blocks {
			if b.Kind != schemas.BlockSets || b.Hour != hour {
				continue
			}
			err := eachRow(ctx, x.held.of(p), b, func(encoded []byte) error {
				if err := schemas.DecodeSetRow(encoded, &row); err != nil {
					return err
				}
				if int(row.File) >= len(place) || place[row.File] < 0 {
					return nil
				}
				if i, ok := index[place[row.File]]; ok && row.Hour == hour {
					return visit(i, &row)
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

// note gathers per file what its hours leave out.
func (x *reconciling) note(hours []*schemas.LedgerHour) error {
	for _, h := range hours {
		for _, c := range h.Copies {
			f := x.w.byKey[c.Key]
			if !f.whole {
				continue
			}
			for _, part := range []struct {
				into   **roaring64.Bitmap
				stored []byte
			}{{&f.excluded, c.Excluded}, {&f.differing, c.Differing}} {
				rows, err := schemas.ParseRowSet(part.stored)
				switch {
				case err != nil:
					return err
				case rows == nil:
				case *part.into == nil:
					*part.into = rows
				default:
					(*part.into).Or(rows)
				}
			}
		}
	}
	for _, f := range x.w.files {
		if n := x.chose[f]; f.locked && n < len(f.variants) {
			f.digest = exclusionDigest(f.variants[n].Excluded, f.variants[n].Differing)
			continue
		}
		if f.excluded == nil {
			continue
		}
		excluded, err := schemas.EncodeRowSet(f.excluded)
		if err != nil {
			return err
		}
		differing, err := schemas.EncodeRowSet(f.differing)
		if err != nil {
			return err
		}
		f.digest = exclusionDigest(excluded, differing)
	}
	return nil
}
