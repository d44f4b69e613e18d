package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/statistics"
)

const sqlHelp = `Asks the database behind the statistics pages, in SQL (DuckDB's dialect). One
SELECT at a time: nothing can be changed, and nothing but the statistics read. It
sees the sessions of every tenant, so it is for whoever runs the installation.

Without a question on the command line it is read from standard input.

The tables: sessions (a row is a session: who, what, where, how much), moves (the
parts of sessions that several servers served), months (what was loaded, and of
which run), and day_streams, day_servers, day_devices, day_places, day_protocols
(sums by day). Times are UTC, view_us and the like are microseconds. DESCRIBE
sessions lists the columns; docs/statistics.md explains them.

Where a daemon runs, it is asked; else the statistics are brought up to date
first, which takes a while the first time.`

func sqlCommand(a *app) *cobra.Command {
	rows, format := 1000, "table"
	c := &cobra.Command{
		Use: "sql [QUESTION]", Short: "Ask the statistics in SQL, read-only", Long: sqlHelp, GroupID: "look", Args: cobra.MaximumNArgs(1),
		Example: `  playmeter sql "SELECT stream, sum(bytes) AS bytes FROM sessions GROUP BY ALL ORDER BY bytes DESC LIMIT 5"
  playmeter sql --format csv "FROM day_servers WHERE tenant = 'iten4EXAMPLE'" > servers.csv
  playmeter sql "DESCRIBE sessions"`,
	}
	c.Flags().IntVarP(&rows, "rows", "n", rows, "at most so many rows (at most 1000000)")
	c.Flags().StringVar(&format, "format", format, "`FORMAT` of the answer: table, csv or json")
	c.RunE = a.do(func(ctx context.Context, args []string) error {
		if rows < 1 || rows > 1_000_000 {
			return usagef("-n %d: write a number from 1 to 1000000", rows)
		}
		if format != "table" && format != "csv" && format != "json" {
			return usagef("--format %q: write table, csv or json", format)
		}
		question, err := a.question(args)
		if err != nil {
			return err
		}
		t, err := a.askSQL(ctx, question, rows)
		if err != nil {
			return err
		}
		if t.Cut {
			a.say("only the first %d rows are shown; -n asks for more", rows)
		}
		return a.writeSQL(t, format)
	})
	return c
}

// maxQuestion bounds a question, in bytes.
const maxQuestion = 1 << 20

// question is what is asked: the argument, or standard input.
func (a *app) question(args []string) (string, error) {
	text := strings.Join(args, "")
	if len(args) == 0 {
		raw, err := io.ReadAll(io.LimitReader(a.in, maxQuestion+1))
		if err != nil {
			return "", fmt.Errorf("read the question: %w", err)
		}
		text = string(raw)
	}
	if len(text) > maxQuestion {
		return "", usagef("the question has more than %d bytes", maxQuestion)
	}
	if strings.TrimSpace(text) == "" {
		return "", usagef(`no question: write one, such as playmeter sql "SELECT count(*) FROM sessions"`)
	}
	return text, nil
}

// askSQL asks the daemon's statistics, or opens them where none has.
func (a *app) askSQL(ctx context.Context, question string, rows int) (*statistics.Table, error) {
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	if !c.Statistics.Pages {
		return nil, usagef("statistics.pages is off, so no statistics are kept: turn it on to ask them")
	}
	t, err := statistics.Elsewhere(ctx, c.statisticsDir(), question, rows)
	if errors.Is(err, statistics.ErrDown) {
		return nil, errors.New("the statistics ended while they looked for the answer; ask again in a moment")
	} else if !errors.Is(err, statistics.ErrNobody) {
		return t, err
	}
	s, err := a.openConfig(ctx, c, toRead, "")
	if err != nil {
		return nil, err
	}
	defer s.close()
	o := c.statistics(s.reporter.Buckets.Metering)
	o.Log = a.log()
	if _, err := os.Stat(o.Folder); errors.Is(err, fs.ErrNotExist) {
		a.say("making the statistics in %s, the first time ...", o.Folder)
	}
	d, err := statistics.Open(ctx, o)
	if errors.Is(err, bucket.ErrLocked) {
		return nil, errors.New("a daemon has the statistics open, and they do not answer just now; ask again in a moment")
	} else if err != nil {
		return nil, err
	}
	defer d.Close()
	if err := d.Sync(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		a.say("warning: the answer lacks what could not be loaded: %v", err)
	}
	return d.SQL(ctx, question, rows)
}

func (a *app) writeSQL(t *statistics.Table, format string) error {
	switch format {
	case "csv":
		w := csv.NewWriter(a.out)
		if err := errors.Join(w.Write(t.Columns), w.WriteAll(t.Rows)); err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		return nil
	case "json":
		return a.printJSON(objectsOf(t))
	}
	out := table{head: t.Columns, rows: t.Rows, most: 80}
	return out.write(a.out)
}

// objectsOf is a table as objects, a row each: everything as text.
func objectsOf(t *statistics.Table) []map[string]string {
	out := make([]map[string]string, len(t.Rows))
	for i, row := range t.Rows {
		out[i] = map[string]string{}
		for j, cell := range row {
			out[i][t.Columns[j]] = cell
		}
	}
	return out
}
