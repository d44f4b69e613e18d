package schemas

import "io"

// EventLines reads usage events off a stream of NDJSON, wherever it comes from: a body that was posted, or a log
// of such. It is to a stream what [UsageReader] is to a file, and may be used again and again.
//
//   - Batches hold until the next call; see [Batch].
//   - Errors: what the stream gives. A line that cannot be read is a row with a fault, in [Batch.Bad].
//   - Not for use by several goroutines at once.
type EventLines struct{ lineBatches }

// linesPerBatch is how many lines a batch of EventLines has at most: a post has some hundreds.
const linesPerBatch = 2 << 10

// maxLinesDict is the size from which EventLines begins a new dictionary.
const maxLinesDict = 4 << 20

// NewEventLines has no stream yet: see Reset.
func NewEventLines() *EventLines {
	l := &EventLines{lineBatches{lines: newLines(nil), rows: lineRows{size: linesPerBatch, most: maxLinesDict}}}
	l.rows.init(func(string) {})
	return l
}

// Reset begins with another stream.
func (l *EventLines) Reset(r io.Reader) {
	l.lines.in.Reset(r)
	l.lines.began, l.row = false, 0
}

// Next returns the next batch, or io.EOF at the end.
func (l *EventLines) Next() (*Batch, error) { return l.next() }
