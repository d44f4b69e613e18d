package schemas

import (
	"encoding/json"
	"fmt"
)

// LedgerSchema is the version of the ledger.
const LedgerSchema = "playmeter.ledger/1"

// Ledger is what the sets of a day's files tell when they are laid side by side: which rows
// are copies, and which numbers the nodes used. It is a cache: made anew from the sets where it
// is missing.
type Ledger struct {
	Schema string       `json:"schema"`
	Day    Day          `json:"day"`
	Hours  []LedgerHour `json:"hours"` // by hour; those that have files
}

// LedgerHour is one hour of it.
type LedgerHour struct {
	Hour Hour `json:"hour"`
	// Files is the digest of the files that have rows in the hour, which of them cannot be
	// counted again, and what these leave out.
	Files  string       `json:"files"`
	Copies []FileCopies `json:"copies,omitempty"` // by key
	Nodes  []NodeHour   `json:"nodes,omitempty"`  // by node
	// Doubled is how many rows count twice because both files that hold them are gone.
	Doubled int64 `json:"doubled,omitempty"`
}

// FileCopies is the rows of a file in an hour that are copies of rows that count, and those of
// them that say something else: 64-bit roaring bitmaps of row numbers.
type FileCopies struct {
	Key       string `json:"key"`
	Excluded  []byte `json:"excluded"`
	Differing []byte `json:"differing,omitempty"`
}

// NodeHour is the sequence numbers of a node's hour.
type NodeHour struct {
	Node string `json:"node"`
	// Pairs is how many distinct pairs of number and time there were that were not rejected.
	Pairs int64 `json:"pairs"`
	// Runs are the numbers of these, Rejected those of rejected rows: by Lo, apart from one another.
	Runs     []SeqRun `json:"runs,omitempty"`
	Rejected []SeqRun `json:"rejected,omitempty"`
	// Scattered tells that the numbers do not follow one another: nothing is said of losses.
	Scattered bool `json:"scattered,omitempty"`
}

// MarshalJSON writes a run as a list: lo, hi, start.
func (r SeqRun) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d,%d]", r.Lo, r.Hi, r.Start), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *SeqRun) UnmarshalJSON(b []byte) error {
	var list [3]int64
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	r.Lo, r.Hi, r.Start = list[0], list[1], list[2]
	return nil
}

// maxLedger bounds an unpacked ledger.
const maxLedger = 1 << 30

// EncodeLedger packs a ledger.
func EncodeLedger(l *Ledger) ([]byte, error) {
	l.Schema = LedgerSchema
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode ledger: %w", err)
	}
	return PackBytes(raw), nil
}

// ParseLedger reads what EncodeLedger made. Errors: ErrDamaged.
func ParseLedger(packed []byte) (*Ledger, error) {
	raw, err := UnpackBytes(packed, maxLedger)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	var l Ledger
	if err := json.Unmarshal(raw, &l); err != nil {
		return nil, fmt.Errorf("ledger: %w: %v", ErrDamaged, err)
	}
	if l.Schema != LedgerSchema {
		return nil, fmt.Errorf("ledger: %w: schema %q is not %q", ErrDamaged, l.Schema, LedgerSchema)
	}
	return &l, nil
}
