package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

const readerHelp = `Makes and removes readers: accounts of the embedded object store with which tenants
fetch their sealed reports by any S3 client. The name is the S3 access key.

A reader begins with no rights. What it may fetch is said by grants in playmeter.yaml:

tenants:
  - id: TENANT
    grants:
      - reader: NAME
        reports: [usage]

A daemon that runs knows of each change at once. These commands work without one, too.
Where object_store names another service, make the key there.`

func readerCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "reader", Short: "Make keys with which tenants fetch sealed reports", Long: readerHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter reader add films-billing > films-billing.env
  playmeter reader list
  playmeter reader rotate films-billing
  playmeter reader remove films-billing`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(readerAddCommand(a), readerRotateCommand(a), readerRemoveCommand(a), readerListCommand(a))
	return c
}

func readerAddCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "add NAME", Short: "Make a reader, and print its key this one time", Args: oneName("reader"),
		Long: `Makes a reader and prints shell exports with its access key and its secret key, the
endpoint and the region. They are shown this one time; a key that was lost is
replaced by "playmeter reader rotate".

NAME has 3 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit.`,
		Example: `  playmeter reader add films-billing > films-billing.env
  . ./films-billing.env && aws s3 ls s3://reporting/TENANT/`,
	}
	a.jsonFlag(c)
	c.RunE = a.do(func(_ context.Context, args []string) error {
		cfg, readers, err := a.readersToChange(args[0])
		if err != nil {
			return err
		}
		secret, err := readers.Add(args[0], time.Now())
		if errors.Is(err, crypto.ErrReaderExists) {
			return fmt.Errorf("%w; \"playmeter reader rotate %s\" gives it a new key", err, args[0])
		} else if err != nil {
			return err
		}
		return a.tellReader(cfg, args[0], secret)
	})
	return c
}

func readerRotateCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "rotate NAME", Short: "Give a reader a new key", Args: oneName("reader"),
		Long: `Gives a reader a new secret key and prints it as "playmeter reader add" does. The old
one, and links that were made with it, are refused from the next request on; what
the reader may fetch stays as it is.`,
		Example: `  playmeter reader rotate films-billing > films-billing.env`,
	}
	a.jsonFlag(c)
	c.RunE = a.do(func(_ context.Context, args []string) error {
		cfg, readers, err := a.readersToChange(args[0])
		if err != nil {
			return err
		}
		secret, err := readers.Rotate(args[0], time.Now())
		if err != nil {
			return unknownReader(err)
		}
		return a.tellReader(cfg, args[0], secret)
	})
	return c
}

func readerRemoveCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "remove NAME", Short: "Take a reader away", Args: oneName("reader"),
		Long: `Takes a reader away: its key is refused from the next request on. It is shown and
asked for first; --yes does it without asking. Grants that name it stay in
playmeter.yaml: take them out, because a new reader of that name would get what
they say.`,
		Example: `  playmeter reader remove films-billing
  playmeter reader remove films-billing --yes`,
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.RunE = a.do(func(ctx context.Context, args []string) error { return a.removeReader(ctx, args[0], yes) })
	return c
}

func (a *app) removeReader(ctx context.Context, name string, yes bool) error {
	if !yes && !a.canAsk() {
		return usagef("remove asks before it takes the reader %s away, and nobody is at a terminal to answer: give --yes", printable(name))
	}
	cfg, readers, err := a.readersToChange(name)
	if err != nil {
		return err
	}
	all, err := readers.List()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(r crypto.Reader) bool { return r.Name == name })
	if i < 0 {
		return unknownReader(fmt.Errorf("remove reader %s: %w", name, crypto.ErrReaderUnknown))
	}
	granted := readerGrants(cfg, name)
	a.say("reader      %s, made %s", name, all[i].Created.Format(time.DateOnly))
	a.say("may fetch   %s", showGrants(granted))
	if !yes {
		if ok, err := a.ask(ctx, "Take it away?"); err != nil {
			return err
		} else if !ok {
			a.say("Nothing was changed.")
			return nil
		}
	}
	if err := readers.Remove(name); err != nil {
		return err
	}
	a.say("Removed; its key is refused from now on.")
	if len(granted) > 0 {
		a.say("To do: take \"reader: %s\" out of the grants in playmeter.yaml.", name)
	}
	return nil
}

func readerListCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List readers and what they may fetch", Args: cobra.NoArgs,
		Long: `Lists the readers, when they were made and last got a new key, and what grants in
playmeter.yaml let them fetch. Keys are not shown.`,
	}
	a.jsonFlag(c)
	c.RunE = a.do(func(context.Context, []string) error { return a.listReaders() })
	return c
}

// readerLine is a reader as list shows it.
type readerLine struct {
	crypto.Reader
	Grants []readerGrant `json:"grants"`
}

func (a *app) listReaders() error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if err := onlyEmbedded(cfg); err != nil {
		return err
	}
	all, err := crypto.OpenReaders(cfg.keysDir()).List()
	if err != nil {
		return err
	}
	lines := make([]readerLine, len(all))
	for i, r := range all {
		lines[i] = readerLine{r, readerGrants(cfg, r.Name)}
	}
	if a.json {
		return a.printJSON(lines)
	}
	if len(lines) == 0 {
		a.say("There is no reader yet; \"playmeter reader add NAME\" makes one.")
		return nil
	}
	t := &table{head: []string{"NAME", "CREATED", "ROTATED", "MAY FETCH"}, most: 72}
	for _, l := range lines {
		t.add(l.Name, l.Created.Format(time.DateOnly), dayOr(l.Rotated, "never"), showGrants(l.Grants))
	}
	return t.write(a.out)
}

// readersToChange are the readers of the installation, whose data directory is made where it is missing.
func (a *app) readersToChange(name string) (*Config, *crypto.Readers, error) {
	if err := crypto.CheckReaderName(name); err != nil {
		return nil, nil, usageError{err}
	}
	c, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	if err := onlyEmbedded(c); err != nil {
		return nil, nil, err
	}
	if err := makePrivate(c.DataDir); err != nil {
		return nil, nil, fmt.Errorf("make the data directory: %w; choose another with --data-dir", err)
	}
	return c, crypto.OpenReaders(c.keysDir()), nil
}

func onlyEmbedded(c *Config) error {
	if c.ObjectStore.Embedded() {
		return nil
	}
	return usagef("object_store names %s, which has accounts of its own: make the key there, and name it under grants", c.ObjectStore.Endpoint)
}

func unknownReader(err error) error {
	return fmt.Errorf("%w; \"playmeter reader list\" lists those there are", err)
}

// tellReader prints a key, once.
func (a *app) tellReader(c *Config, name string, secret crypto.Secret) error {
	store, running := bucket.Running(c.DataDir)
	if !running {
		store = bucket.Config{Endpoint: endpointOf(c.Listen), Region: DefaultConfig().ObjectStore.Region}
	}
	if c.ObjectStore.PublicEndpoint != "" {
		store.Endpoint = c.ObjectStore.PublicEndpoint
	}
	store.AccessKey, store.SecretKey = name, secret.Reveal()
	if err := a.printEnv(store); err != nil {
		return err
	}
	a.say("The secret key is shown this one time: hand it to the reader, in a way that you both trust.")
	if granted := readerGrants(c, name); len(granted) > 0 {
		a.say("%s may fetch %s.", name, showGrants(granted))
		return nil
	}
	a.say(`%s may fetch nothing yet. Say what in playmeter.yaml:

tenants:
  - id: TENANT
    grants:
      - reader: %[1]s
        reports: [usage]`, name)
	return nil
}

// readerGrant is what a tenant's grants give a reader.
type readerGrant struct {
	Tenant  schemas.Tenant   `json:"tenant"`
	Reports []schemas.Report `json:"reports"`
}

func readerGrants(c *Config, name string) []readerGrant {
	grants := []readerGrant{}
	for i := range c.Tenants {
		var reports []schemas.Report
		for _, report := range schemas.Reports {
			if slices.Contains(c.Tenants[i].Readers(report), name) {
				reports = append(reports, report)
			}
		}
		if len(reports) > 0 {
			grants = append(grants, readerGrant{c.Tenants[i].ID, reports})
		}
	}
	return grants
}

func showGrants(grants []readerGrant) string {
	if len(grants) == 0 {
		return "nothing: no grant names it"
	}
	parts := make([]string, len(grants))
	for i, g := range grants {
		parts[i] = fmt.Sprintf("%s of %s", strings.Join(texts(g.Reports), " and "), g.Tenant)
	}
	return listed(parts)
}

// oneName wants a command's one argument.
func oneName(of string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("say the name of one %s", of)
		}
		return nil
	}
}

// dayOr is a day, or a word where there is none.
func dayOr(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format(time.DateOnly)
}

// storeAccounts lets readers into the embedded store.
type storeAccounts struct{ readers *crypto.Readers }

func (s storeAccounts) Secret(accessKey string) (string, bool, error) {
	secret, ok, err := s.readers.Secret(accessKey)
	return secret.Reveal(), ok, err
}
