package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

const importHelp = `Puts usage files (.parquet, .ndjson, .ndjson.gz, .ndjson.zst) into the usage
bucket, byte for byte. Of a folder all files below it are taken, and a file's key is
its path in the folder; a file that is named itself goes under its name.

A key that is taken stays as it is: the same content is passed over, another
content is an error, unless --replace. Nothing is put before all keys have been
looked at. Files are not examined, unless --check; a run sets aside what it cannot read.

With --catalog a catalog snapshot of a tenant is put instead, after it was read.`

// importing is what import was asked for.
type importing struct {
	prefix  string
	replace bool
	check   bool
	catalog schemas.Tenant
	at      time.Time
	force   bool
	logs    importingLogs
}

func importCommand(a *app) *cobra.Command {
	var o importing
	c := &cobra.Command{
		Use: "import PATH...", Short: "Put usage files or a catalog into their buckets", Long: importHelp + importLogsHelp, GroupID: "in", Args: cobra.MinimumNArgs(1),
		Example: `  playmeter import ./usage-2026-10
  playmeter import --prefix dt=2026-10-14/hour=09 node1-1.parquet
  playmeter import --check --replace repaired/
  playmeter import --catalog iten4EXAMPLE --at 2026-10-01 objects.parquet
  playmeter import --format nginx --tenant iten4EXAMPLE --playlists /srv/www access.log.gz`,
	}
	f := c.Flags()
	f.StringVar(&o.prefix, "prefix", "", "put all keys below `KEY`")
	f.BoolVar(&o.replace, "replace", false, "replace keys whose content is another")
	f.BoolVar(&o.check, "check", false, "read each file through first, and leave out those that no run could read")
	f.Var(&textFlag{kind: "TENANT", set: func(s string) (err error) { o.catalog, err = schemas.ParseTenant(s); return err }}, "catalog", "put a catalog snapshot of this tenant")
	f.Var(&textFlag{kind: "TIME", set: func(s string) (err error) { o.at, err = parseTime(s); return err }}, "at", "when the snapshot was taken (default now)")
	f.BoolVar(&o.force, "force", false, "put a snapshot that cannot be read or is empty all the same")
	o.logs.flags(c)
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, args []string) error {
		if o.logs.format == "" && o.logs.given() {
			return usagef("--tenant, --node and --playlists are for --format")
		}
		if o.logs.format != "" {
			if o.catalog != "" || !o.at.IsZero() || o.force {
				return usagef("--format is for logs; --catalog, --at and --force are for catalogs")
			}
			return a.importLogs(ctx, o, args)
		}
		if o.catalog != "" {
			return a.importCatalog(ctx, o, args)
		}
		if !o.at.IsZero() || o.force {
			return usagef("--at and --force are for --catalog")
		}
		return a.importUsage(ctx, o, args)
	})
	return c
}

// imported is what an import came to.
type imported struct {
	Put      []string          `json:"put"`
	Same     []string          `json:"same"`    // there already, with the same content
	Skipped  []string          `json:"skipped"` // no names of usage files
	Rejected map[string]string `json:"rejected,omitempty"`
	BadRows  map[string]int64  `json:"bad_rows,omitempty"` // by file, of --check
	Bytes    int64             `json:"bytes"`
}

func (a *app) importUsage(ctx context.Context, o importing, args []string) error {
	files, skipped, err := findUsage(args, o.prefix)
	if err != nil {
		return err
	}
	done := &imported{Put: []string{}, Same: []string{}, Skipped: skipped, Rejected: map[string]string{}, BadRows: map[string]int64{}}
	p := a.progress()
	defer p.end()
	if o.check {
		if files, err = checkUsage(ctx, files, done, p); err != nil {
			return err
		}
	}
	s, err := a.open(ctx, toWrite)
	if err != nil {
		return err
	}
	defer s.close()
	if err := putUsage(ctx, s.reporter.Buckets.Usage, files, o.replace, done, p); err != nil {
		return err
	}
	p.end()
	return a.tellImport(done)
}

func (a *app) tellImport(d *imported) error {
	if a.json {
		if err := a.printJSON(d); err != nil {
			return err
		}
	} else {
		for _, path := range d.Skipped {
			a.say("skipped: %s: not the name of a usage file (.parquet, .ndjson, .ndjson.gz, .ndjson.zst; no part may begin with \"_\" or \".\")", printable(path))
		}
		for path, n := range d.BadRows {
			a.say("%s: %s rows will be rejected", printable(path), humanize.Comma(n))
		}
		for path, reason := range d.Rejected {
			a.say("left out: %s: %s", printable(path), printable(reason))
		}
		a.say("%s put (%s), %d there already", files(len(d.Put)), web.Bytes(d.Bytes), len(d.Same))
		if len(d.Put) > 0 {
			a.say("To count them:\n  %s run%s", program(), a.flagsFor())
		}
	}
	if len(d.Rejected) > 0 {
		return errAside
	}
	return nil
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%s files", humanize.Comma(int64(n)))
}
