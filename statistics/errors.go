package statistics

import "errors"

// What may keep a question from being answered.
var (
	// ErrBusy: too many questions are being answered; ask again in a moment.
	ErrBusy = errors.New("the statistics are answering others")
	// ErrDown: the database ended unexpectedly and is being started again, or rebuilt.
	ErrDown = errors.New("the statistics are not there just now")
	// ErrTooMuch: the question needs more memory or time than statistics may take.
	ErrTooMuch = errors.New("that is more than the statistics may take at once")
	// ErrView: no such tab, column, cursor or number of rows.
	ErrView = errors.New("no such view")
)

// ErrSQL: what an administrator wrote is not to be answered, or is no SQL.
var ErrSQL = errors.New("not to be answered")
