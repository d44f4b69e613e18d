package schemas

import "encoding/binary"

// Entry is one numbered row of a usage file: its sequence number, its time
// (Unix ns) and which row of the file it is.
type Entry struct {
	Seq, Time, Row int64
}

// Compare orders entries by sequence number, time and row.
func (e Entry) Compare(f Entry) int {
	switch {
	case e.Seq != f.Seq:
		return order(e.Seq, f.Seq)
	case e.Time != f.Time:
		return order(e.Time, f.Time)
	}
	return order(e.Row, f.Row)
}

func order(a, b int64) int {
	if a < b {
		return -1
	} else if a > b {
		return 1
	}
	return 0
}

// SeqRun is sequence numbers that follow one another, both ends included. Start is the
// time of the first (Unix ns).
type SeqRun struct {
	Lo, Hi, Start int64
}

// The units that times of a sequence may be written in.
var sequenceUnits = [...]int64{1_000_000, 1_000, 1}

// AppendSequence appends entries of one hour, which must be sorted (Entry.Compare).
//
//   - Shape: the runs first, so that who only asks which numbers there are need not read on;
//     a number met again begins a run of its own.
//   - Source: docs/formats.md, "Set".
func AppendSequence(b []byte, hour Hour, entries []Entry) []byte {
	runs := 0
	for i := range entries {
		if i == 0 || entries[i].Seq != entries[i-1].Seq+1 {
			runs++
		}
	}
	b = binary.AppendUvarint(b, uint64(len(entries)))
	b = binary.AppendUvarint(b, uint64(runs))
	last := int64(0)
	for i := 0; i < len(entries); {
		n := 1
		for i+n < len(entries) && entries[i+n].Seq == entries[i+n-1].Seq+1 {
			n++
		}
		b = binary.AppendUvarint(b, uint64(entries[i].Seq-last))
		b = binary.AppendUvarint(b, uint64(n-1))
		b = binary.AppendUvarint(b, uint64(entries[i].Time-hour.Start()))
		last = entries[i].Seq + int64(n-1)
		i += n
	}
	unit := sequenceUnit(entries)
	b = append(b, byte(unit))
	for i := 1; i < len(entries); i++ {
		if entries[i].Seq == entries[i-1].Seq+1 {
			b = binary.AppendVarint(b, (entries[i].Time-entries[i-1].Time)/sequenceUnits[unit])
		}
	}
	row := int64(-1)
	for i := range entries {
		b = binary.AppendVarint(b, entries[i].Row-row-1)
		row = entries[i].Row
	}
	return b
}

// sequenceUnit finds the coarsest unit that loses nothing.
func sequenceUnit(entries []Entry) int {
	unit := 0
	for i := 1; i < len(entries); i++ {
		for step := entries[i].Time - entries[i-1].Time; step%sequenceUnits[unit] != 0; {
			unit++
		}
	}
	return unit
}

// Sequence is an encoded list of entries, opened.
type Sequence struct {
	Len  int // entries
	hour Hour
	runs int
	rest []byte
}

// OpenSequence reads the head of what AppendSequence wrote. Errors: ErrDamaged.
func OpenSequence(b []byte, hour Hour) (Sequence, error) {
	d := decoder{rest: b}
	if len(b) == 0 {
		return Sequence{hour: hour}, nil
	}
	s := Sequence{hour: hour, Len: d.count(1), runs: d.count(3)}
	if s.runs > s.Len || s.runs == 0 && s.Len > 0 {
		d.fail("runs do not fit their numbers")
	}
	s.rest = d.rest
	return s, d.err
}

// Runs visits the runs in order. Errors: ErrDamaged, and those of visit.
func (s *Sequence) Runs(visit func(SeqRun) error) error {
	_, err := s.readRuns(visit)
	return err
}

// readRuns visits the runs and returns what follows them.
func (s *Sequence) readRuns(visit func(SeqRun) error) ([]byte, error) {
	d := decoder{rest: s.rest}
	last, left := int64(0), int64(s.Len)
	for range s.runs {
		var r SeqRun
		r.Lo = last + d.amount()
		length := d.amount()
		r.Start = s.hour.Start() + d.limited(hourNanos-1)
		r.Hi = r.Lo + length
		if left -= length + 1; left < 0 || r.Lo < last || r.Hi < r.Lo {
			d.fail("runs do not fit their numbers")
		}
		if d.err != nil {
			return nil, d.err
		}
		if err := visit(r); err != nil {
			return nil, err
		}
		last = r.Hi
	}
	if left != 0 {
		d.fail("runs do not fit their numbers")
	}
	return d.rest, d.err
}

// Entries visits the entries in order. Errors: ErrDamaged, and those of visit.
func (s *Sequence) Entries(visit func(Entry) error) error {
	c, err := s.Cursor()
	if err != nil {
		return err
	}
	for c.Next() {
		if err := visit(c.Entry); err != nil {
			return err
		}
	}
	return c.Err()
}

// SeqCursor walks a sequence: Entry holds after Next returned true.
type SeqCursor struct {
	Entry
	hour  Hour
	runs  decoder
	times decoder
	rows  decoder
	unit  int64
	run   int64 // entries left of the run
	left  int
}

// Cursor begins a walk. Errors: ErrDamaged.
func (s *Sequence) Cursor() (*SeqCursor, error) {
	if s.Len == 0 {
		return new(SeqCursor), nil
	}
	rest, err := s.readRuns(func(SeqRun) error { return nil })
	if err != nil {
		return nil, err
	}
	d := decoder{rest: rest}
	unit := int(d.byte())
	if unit >= len(sequenceUnits) {
		d.fail("unknown unit of time")
		return nil, d.err
	}
	c := &SeqCursor{hour: s.hour, runs: decoder{rest: s.rest}, unit: sequenceUnits[unit], left: s.Len}
	c.times = decoder{rest: d.rest}
	for range s.Len - s.runs { // where the rows begin
		d.skip()
	}
	c.rows = decoder{rest: d.rest}
	c.Row = -1
	c.Seq = 0
	return c, d.err
}

// Next moves to the next entry.
func (c *SeqCursor) Next() bool {
	if c.left == 0 || c.Err() != nil {
		return false
	}
	c.left--
	if c.run == 0 {
		c.Seq += c.runs.amount()
		c.run = c.runs.amount() + 1
		c.Time = c.hour.Start() + c.runs.limited(hourNanos-1)
	} else {
		c.Seq++
		c.Time += c.times.varint() * c.unit
		if c.Time < c.hour.Start() || c.Time >= c.hour.Start()+hourNanos {
			c.times.fail("time outside the hour")
		}
	}
	c.run--
	if c.Row += c.rows.varint() + 1; c.Row < 0 {
		c.rows.fail("row out of range")
	}
	return c.Err() == nil
}

// Err is what went wrong; nil at a good end.
func (c *SeqCursor) Err() error {
	for _, d := range []*decoder{&c.runs, &c.times, &c.rows} {
		if d.err != nil {
			return d.err
		}
	}
	return nil
}
