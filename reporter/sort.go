package reporter

import (
	"bytes"
	"cmp"
	"io"
	"slices"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// sortMemory is how many bytes of sessions are sorted in memory; more are
// sorted in runs that go to encrypted temporary files.
const sortMemory = 32 << 20

// sorter puts sessions into the order of the report (schemas.CompareSessions).
type sorter struct {
	temp    string
	limit   int
	arena   []byte
	entries []sortEntry
	runs    []*crypto.Spool
	rows    int64
}

type sortEntry struct {
	start    int64
	at, size int
}

func newSorter(temp string) *sorter { return &sorter{temp: temp, limit: sortMemory} }

// add takes a session.
func (s *sorter) add(v *schemas.Session) error {
	at := len(s.arena)
	s.arena = schemas.AppendSession(s.arena, v)
	s.entries = append(s.entries, sortEntry{v.Start, at, len(s.arena) - at})
	s.rows++
	if len(s.arena) < s.limit {
		return nil
	}
	return s.spill()
}

func (s *sorter) row(e sortEntry) []byte { return s.arena[e.at : e.at+e.size] }

func (s *sorter) sort() {
	var a, b schemas.Session
	slices.SortFunc(s.entries, func(x, y sortEntry) int {
		if c := cmp.Compare(x.start, y.start); c != 0 {
			return c
		}
		return compareEncoded(s.row(x), s.row(y), &a, &b)
	})
}

// compareEncoded orders two encoded sessions; a and b are scratch.
func compareEncoded(x, y []byte, a, b *schemas.Session) int {
	if bytes.Equal(x, y) {
		return 0
	}
	if schemas.DecodeSession(x, a) != nil || schemas.DecodeSession(y, b) != nil {
		return bytes.Compare(x, y) // cannot happen: they were encoded here
	}
	return schemas.CompareSessions(a, b)
}

func (s *sorter) spill() error {
	s.sort()
	spool, err := crypto.NewSpool(s.temp)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, spool)
	w := schemas.NewRowWriter(spool)
	for _, e := range s.entries {
		if err := w.Write(s.row(e)); err != nil {
			return err
		}
	}
	s.arena, s.entries = s.arena[:0], s.entries[:0]
	return w.Close()
}

// each visits the sessions in order, encoded; a row holds until visit returns.
// It may be called more than once, after the last add.
func (s *sorter) each(visit func([]byte) error) error {
	s.sort()
	if len(s.runs) == 0 {
		for _, e := range s.entries {
			if err := visit(s.row(e)); err != nil {
				return err
			}
		}
		return nil
	}
	var heads []*sortHead
	defer func() {
		for _, h := range heads {
			if h.rows != nil {
				h.rows.Close()
			}
		}
	}()
	if len(s.entries) > 0 {
		heads = append(heads, &sortHead{memory: s.entries, sorter: s})
	}
	for _, spool := range s.runs {
		rows, err := schemas.NewRowReader(spool.Reader())
		if err != nil {
			return err
		}
		heads = append(heads, &sortHead{rows: rows})
	}
	var a, b schemas.Session
	less := func(x, y *sortHead) bool {
		if c := cmp.Compare(schemas.SessionStart(x.row), schemas.SessionStart(y.row)); c != 0 {
			return c < 0
		}
		return compareEncoded(x.row, y.row, &a, &b) < 0
	}
	return schemas.Merge(slices.Clone(heads), (*sortHead).next, less, func(h *sortHead) error { return visit(h.row) })
}

// close removes the temporary files.
func (s *sorter) close() {
	for _, r := range s.runs {
		r.Close()
	}
}

// sortHead is the next row of a sorted run, in memory or in a file.
type sortHead struct {
	sorter *sorter
	memory []sortEntry
	rows   *schemas.RowReader
	row    []byte
}

func (h *sortHead) next() (err error) {
	if h.rows != nil {
		h.row, err = h.rows.Next()
		return err
	}
	if len(h.memory) == 0 {
		return io.EOF
	}
	h.row = h.sorter.row(h.memory[0])
	h.memory = h.memory[1:]
	return nil
}
