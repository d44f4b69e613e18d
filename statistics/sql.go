package statistics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
)

// maxSQLRows bounds what a question in SQL answers, in rows: it is held in memory.
const maxSQLRows = 1_000_000

// Table is the answer to a question in SQL: everything as text, NULL as none.
type Table struct {
	Columns []string
	Rows    [][]string
	Cut     bool // there are more rows
}

// SQL answers a question that somebody wrote: one SELECT, which can change nothing, and read nothing but the
// statistics. It sees every tenant's sessions: it is for administrators.
//
//   - Errors: ErrSQL, and those of [Database.Sessions].
func (d *Database) SQL(ctx context.Context, text string, rows int) (*Table, error) {
	p, err := d.engine(ctx)
	if err != nil {
		return nil, err
	}
	a, err := p.ask(ctx, sqlQuestion(text, rows))
	return tableOf(a, err)
}

// ErrNobody: no daemon has the statistics of a folder open.
var ErrNobody = errors.New("no daemon has the statistics open")

// Elsewhere asks the statistics that another process has open, as that of the daemon, by their folder.
//
//   - Errors: ErrNobody, where nobody answers; and those of [Database.SQL].
func Elsewhere(ctx context.Context, folder, text string, rows int) (*Table, error) {
	at, err := readAddress(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNobody
	} else if err != nil {
		return nil, fmt.Errorf("read where the statistics answer: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	there, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	if _, err := ask(there, client, at.URL, at.Secret, &question{Mode: modeEnd}); err != nil && ctx.Err() == nil {
		return nil, ErrNobody // whoever wrote the address was killed
	}
	a, err := ask(ctx, client, at.URL, at.Secret, sqlQuestion(text, rows))
	return tableOf(a, err)
}

func sqlQuestion(text string, rows int) *question {
	if rows <= 0 || rows > maxSQLRows {
		rows = maxSQLRows
	}
	return &question{Mode: modeSQL, Statements: []statement{{SQL: text}}, Limit: rows}
}

func tableOf(a *answer, err error) (*Table, error) {
	if err != nil {
		return nil, err
	}
	t := &Table{Cut: a.More}
	for _, c := range a.Columns {
		t.Columns = append(t.Columns, c.Name)
	}
	for i := range a.Rows {
		row := make([]string, len(a.Columns))
		for j := range a.Columns {
			row[j] = a.Columns[j].Texts[i]
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}
