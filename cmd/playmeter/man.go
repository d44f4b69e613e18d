package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a folder", GroupID: "more", Args: cobra.ExactArgs(1),
		Long: "Writes one manual page a command, made from the help texts.",
		Example: `  playmeter man ~/.local/share/man/man1
  man playmeter-run`,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.do(func(context.Context, []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			c.Root().DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "PLAYMETER", Section: "1", Source: "playmeter " + softwareVersion(), Manual: "Playmeter"}
			if err := doc.GenManTree(c.Root(), header, args[0]); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			pages, err := filepath.Glob(filepath.Join(args[0], "playmeter*.1"))
			a.say("%d manual pages in %s", len(pages), args[0])
			return err
		})(c, args)
	}
	return c
}
