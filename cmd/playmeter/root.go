package main

import (
	"github.com/spf13/cobra"
)

const rootHelp = `Playmeter adds up what streaming costs each tenant, and hands every tenant
reports that only the tenant can open.

Media nodes put usage files into the bucket "usage". A run counts them and
seals two reports a tenant and month, "usage" and "sessions", into the bucket
"reporting". Nothing else is needed: the object store comes with the program,
and speaks S3.

To look around:         playmeter demo
To meter for real:      playmeter keygen, write playmeter.yaml, playmeter serve`

// newRoot is the command line: one file per command.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use: "playmeter", Short: "Meter streaming usage into sealed reports", Long: rootHelp,
		SilenceUsage: true, SilenceErrors: true, Version: softwareVersion(),
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentPreRun = func(c *cobra.Command, _ []string) { a.hint = c.CommandPath() }
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		a.hint = c.CommandPath()
		return usageError{err}
	})
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "configuration `FILE` (default "+DefaultConfigFile+" in the working directory, if there is one)")
	f.StringVar(&a.dataDir, "data-dir", "", "`DIR` of object store, keys and database (default ./playmeter-data)")
	f.StringVar(&a.logFormat, "log-format", "text", "`FORMAT`: text or json")
	f.StringVar(&a.logLevel, "log-level", "", "`LEVEL`: debug, info, warn or error (default info; warn for a command on a terminal)")
	root.AddGroup(&cobra.Group{ID: "work", Title: "Make and get reports:"}, &cobra.Group{ID: "in", Title: "Put data in:"},
		&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "more", Title: "More:"})
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	root.AddCommand(serveCommand(a), runCommand(a), fetchCommand(a), linkCommand(a), importCommand(a), flussonicCommand(a), withdrawCommand(a), keygenCommand(a), readerCommand(a), tokenCommand(a), envCommand(a),
		grantsCommand(a), rekeyCommand(a), statusCommand(a), verifyCommand(a), diffCommand(a), explainCommand(a), scheduleCommand(a), sqlCommand(a), demoCommand(a), versionCommand(a), manCommand(a))
	return root
}
