package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

const withdrawHelp = `Takes a usage file out of the count: one that was delivered twice under another name
with other numbers, that a test wrote, that should not be billed. Deleting a file does
not: what was counted stays counted.

KEY is the file's whole name in the usage bucket, as "playmeter explain" and the lists
of inputs show it. It may be gone from the bucket. What goes is shown, and asked for;
--yes does it without asking.

What follows:

  - Months that are not final are counted without it by their next run.
  - Final months get a restatement by the next run that may make one.
  - Rows that had been left out as copies of its rows count in its place.
  - Every manifest that would have counted it names it under "withdrawn".
  - It is this object that is withdrawn, not the name: another object put under the key
    counts again. There is no way back for the same bytes under the same key; put them
    under another one.

The file itself is not touched.`

func withdrawCommand(a *app) *cobra.Command {
	var yes, list bool
	c := &cobra.Command{
		Use: "withdraw KEY", Short: "Take a usage file out of the count", Long: withdrawHelp, GroupID: "in",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case list && len(args) > 0:
				return errors.New("--list takes no key: it lists them all")
			case !list && len(args) != 1:
				return errors.New("say which usage file: its whole name in the usage bucket")
			}
			return nil
		},
		Example: `  playmeter withdraw dt=2026-10-14/hour=09/node1-77.parquet
  playmeter withdraw dt=2026-10-14/hour=09/node1-77.parquet --yes
  playmeter withdraw --list`,
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&list, "list", false, "list what has been withdrawn, and change nothing")
	c.MarkFlagsMutuallyExclusive("yes", "list")
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, args []string) error {
		if list {
			return a.listWithdrawn(ctx)
		}
		return a.withdraw(ctx, args[0], yes)
	})
	return c
}

func (a *app) withdraw(ctx context.Context, key string, yes bool) error {
	if !yes && !a.canAsk() {
		return usagef("withdraw asks before it takes %s out of the count, and nobody is at a terminal to answer: look with \"playmeter withdraw\" on one, or give --yes", printable(key))
	}
	s, err := a.open(ctx, toRead)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := s.reporter.Counted(ctx, key)
	if err != nil {
		return err
	}
	if !a.json || !yes {
		a.tellCounted(c)
	}
	if !c.At.IsZero() {
		a.say("It is withdrawn already, since %s.", c.At.Format(time.RFC3339))
		return a.tellWithdrawn(c)
	}
	if !yes {
		if ok, err := a.ask(ctx, "Take it out of the count?"); err != nil {
			return err
		} else if !ok {
			a.say("Nothing was changed.")
			return nil
		}
	}
	if err := s.reporter.Withdraw(ctx, c); err != nil {
		return fmt.Errorf("withdraw %s: %w", printable(key), err)
	}
	if c, err = s.reporter.Counted(ctx, key); err != nil { // with the time that is stored
		return err
	}
	if !a.json {
		a.say("Withdrawn. The next run of each month counts without it, final months get a restatement:\n  %s run --month YYYY-MM%s", program(), a.flagsFor())
	}
	return a.tellWithdrawn(c)
}

// tellCounted shows what would go.
func (a *app) tellCounted(c *reporter.Counted) {
	a.say("usage file  %s", printable(c.Key))
	a.say("object      %s, %s", printable(c.ETag), web.Bytes(c.Size))
	switch {
	case len(c.Tenants) == 0 && c.Rows == 0:
		a.say("rows        none that count: it was not counted yet, could not be read, or is empty")
	case len(c.Tenants) == 0:
		a.say("rows        %s, of no tenant", humanize.Comma(c.Rows))
	default:
		a.say("rows        %s, of %s", humanize.Comma(c.Rows), listed(texts(c.Tenants)))
	}
	if c.Gone {
		a.say("It is no longer in the usage bucket, and still counts.")
	}
}

func texts[T ~string](ids []T) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}

// tellWithdrawn is the answer for programs.
func (a *app) tellWithdrawn(c *reporter.Counted) error {
	if !a.json {
		return nil
	}
	if c.Tenants == nil {
		c.Tenants = []schemas.Tenant{}
	}
	return a.printJSON(c)
}

// canAsk tells whether somebody sits at a terminal.
func (a *app) canAsk() bool {
	f, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask asks a question that only a plain yes answers with yes.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	failed := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(a.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			failed <- err
			return
		}
		answer <- line
	}()
	select {
	case line := <-answer:
		word := strings.ToLower(strings.TrimSpace(line))
		return word == "y" || word == "yes", nil
	case err := <-failed:
		return false, fmt.Errorf("read the answer: %w", err)
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// listWithdrawn lists the withdrawals there are.
func (a *app) listWithdrawn(ctx context.Context) error {
	s, err := a.open(ctx, toRead)
	if err != nil {
		return err
	}
	defer s.close()
	files, err := s.reporter.Withdrawn(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(files)
	}
	if len(files) == 0 {
		a.say("No usage file has been withdrawn.")
		return nil
	}
	t := &table{head: []string{"WITHDRAWN", "KEY", "ROWS", "TENANTS", "NOW"}, right: []string{"ROWS"}, most: 72}
	for _, f := range files {
		now := ""
		if f.Again {
			now = "another object under the key counts"
		}
		t.add(f.At.UTC().Format(time.RFC3339), f.Key, humanize.Comma(f.Rows), listed(texts(f.Tenants)), now)
	}
	return t.write(a.out)
}
