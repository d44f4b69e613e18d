package statistics

import "time"

// The engine's process and ours talk HTTP on the loopback address, with a secret that is made anew for each
// process: a question is POSTed as gob, and so is the answer. What goes over the wire is defined here.

// settings are handed to an engine on its standard input, as JSON; when that input ends, so does the engine.
type settings struct {
	Folder  string // of the database, private; 0700
	Memory  int64  // bytes that the database may take
	Temp    int64  // bytes that it may put aside on the disk
	Threads int
	Rewrite bool   // the file is written anew first, so that nothing is in it of what was removed
	Secret  string // that every question bears
}

// hello is the engine's first and only line on its standard output, as JSON.
type hello struct {
	URL   string
	Error string // why it could not start
	Busy  bool   // because another process has the database open
}

// mode is how a question is to be answered.
type mode int

const (
	modeRead  mode = iota // one of ours, that changes nothing
	modeWrite             // several of ours in one transaction; what the last one answers is the answer
	modeSQL               // one that somebody wrote: it may read, and nothing else
	modeEnd               // no question: the snapshot is needed no more
)

// question is what the engine is asked.
type question struct {
	Mode       mode
	Statements []statement
	Limit      int  // rows of the answer, at most
	Whole      bool // an answer that is too long for a page is wanted all the same
	// Snapshot names the state of the database that is asked; empty: the newest. Begin makes it the newest one where
	// it does not exist yet.
	Snapshot string
	Begin    bool
}

// most is from how many bytes on the answer gets no more rows.
func (q *question) most() int {
	if q.Whole {
		return maxLoaded
	}
	return maxAnswer
}

// statement is SQL and what its question marks stand for: string, int64 or bool.
type statement struct {
	SQL  string
	Args []any
}

// answer is what the engine says.
type answer struct {
	Columns []column
	Rows    int
	More    bool // there are more rows than were asked for
	Changed int64
	Error   string
	Reason  reason // of the error
}

// column is a column of an answer: texts or numbers, one a row. What is NULL is empty, or 0.
type column struct {
	Name    string
	Texts   []string
	Numbers []int64
}

// at is a cell.
func (c *column) at(row int) (v value) {
	if c.Texts != nil {
		v.text = c.Texts[row]
	}
	if c.Numbers != nil {
		v.number = c.Numbers[row]
	}
	return v
}

// value is a cell of an answer.
type value struct {
	text   string
	number int64
}

// reason is why a question was not answered.
type reason int

const (
	reasonNone    reason = iota
	reasonOther          // as the error says
	reasonTooMuch        // memory or disk
	reasonWritten        // what somebody wrote is not to be answered
	reasonEnded          // whoever asked has gone
	reasonBusy           // others are being answered
)

func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
