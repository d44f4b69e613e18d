package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

const tokenHelp = `Makes and revokes access tokens: with one, people and programs sign in to the pages
and the API of the daemon. There are three roles:

  admin    sees and does everything
  tenant   sees the reports of one tenant that the token names
  node     may post usage, and nothing else

Until the first token is made, pages and API answer on loopback only, without a
sign-in. From then on they ask for a token, also when the last one was revoked.

A daemon that runs knows of each change at once. These commands work without one, too.`

func tokenCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "Make and revoke access tokens for pages and API", Long: tokenHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter token add --role admin "Anna Admin"
  playmeter token add --role tenant --tenant iten4EXAMPLE --report usage "billing of Example Films" > films.token
  playmeter token add --role node --tenant iten4EXAMPLE --node edge-7 edge-7
  playmeter token list
  playmeter token revoke k5xw2e4vqa`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(tokenAddCommand(a), tokenListCommand(a), tokenRevokeCommand(a))
	return c
}

// tokenRequest is a token as the flags of add ask for it.
type tokenRequest struct {
	role, tenant, expires string
	reports, nodes        []string
}

func tokenAddCommand(a *app) *cobra.Command {
	var r tokenRequest
	c := &cobra.Command{
		Use: "add --role ROLE [--tenant ID --report NAME] NAME", Short: "Make a token, and print it this one time", Args: oneName("person or program that the token is for"),
		Long: `Makes a token and prints it, alone, on standard output. It is shown this one time:
only a hash of it is kept. NAME says whose it is, for lists and logs.

A token of an admin or a tenant lasts 365 days unless --expires says otherwise. One
of a node lasts until it is revoked: a node whose token had expired would be
turned away with its usage.

With --node a node's token posts usage of these nodes alone (by their node_id; of a
Flussonic server that is its server_id, where it has one). * stands for any number
of characters, ? for one, [a-z] for one of these, none of them a /. Without it whoever
has the token can speak in the name of every node.`,
		Example: `  playmeter token add --role admin "Anna Admin"
  playmeter token add --role tenant --tenant iten4EXAMPLE --report usage --report sessions "Films' billing"
  playmeter token add --role tenant --tenant iten4EXAMPLE --report usage --expires 2027-01-31 auditor
  playmeter token add --role node --tenant iten4EXAMPLE --node 'edge-7-*' --expires never edge-7 > /run/secrets/playmeter-token`,
	}
	f := c.Flags()
	f.StringVar(&r.role, "role", "", "`ROLE`: admin, tenant or node")
	f.StringVar(&r.tenant, "tenant", "", "`ID` of the tenant whose reports it reads; a node's token may be bound to one, too")
	f.StringSliceVar(&r.reports, "report", nil, "report that a tenant's token reads, `NAME`: usage or sessions; may be repeated")
	f.StringArrayVar(&r.nodes, "node", nil, "node whose usage a node's token posts, `PATTERN` such as edge-7 or edge-*; may be repeated")
	f.StringVar(&r.expires, "expires", "", "when it ends, `TIME`: a number of days such as 90d, a day such as 2027-01-31 (its first moment, UTC), or never")
	a.jsonFlag(c)
	c.RunE = a.do(func(_ context.Context, args []string) error { return a.addToken(r, args[0], time.Now()) })
	return c
}

func (a *app) addToken(r tokenRequest, name string, now time.Time) error {
	want, err := r.token(name, now)
	if err != nil {
		return usageError{err}
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	if err := makePrivate(c.DataDir); err != nil {
		return fmt.Errorf("make the data directory: %w; choose another with --data-dir", err)
	}
	text, added, err := crypto.OpenTokens(c.keysDir()).Add(want, now)
	if err != nil {
		return err
	}
	if _, known := c.Tenant(schemas.Tenant(added.Tenant)); added.Tenant != "" && !known {
		a.say("warning: no tenant %s is configured; the token reads nothing until there is one under tenants in playmeter.yaml", added.Tenant)
	}
	if a.json {
		return a.printJSON(struct {
			tokenLine
			Token string `json:"token"`
		}{newTokenLine(added, now), text.Reveal()})
	}
	fmt.Fprintln(a.out, text.Reveal())
	a.say("Token %s for %s: %s. It %s.", added.ID, added.Name, allowance(added), lasts(added))
	a.say(`It is shown this one time. Programs send it as "Authorization: Bearer TOKEN". To end it:
  %s token revoke %s%s`, program(), added.ID, a.flagsFor())
	return nil
}

// token is what is asked for. Errors list every problem that can be seen without the store.
func (r tokenRequest) token(name string, now time.Time) (crypto.Token, error) {
	t := crypto.Token{Name: strings.TrimSpace(name), Role: crypto.Role(r.role), Reports: r.reports, Nodes: r.nodes}
	var errs []error
	if t.Name == "" {
		errs = append(errs, errors.New("the name is empty: say whose the token is, or what for"))
	}
	if !slices.Contains(crypto.Roles, t.Role) {
		errs = append(errs, fmt.Errorf("--role %q: write admin, tenant or node", r.role))
	}
	if r.tenant != "" {
		id, err := schemas.ParseTenant(r.tenant)
		if err != nil {
			errs = append(errs, fmt.Errorf("--tenant: %w", err))
		}
		t.Tenant = string(id)
	}
	for _, report := range r.reports {
		if !slices.Contains(schemas.Reports, schemas.Report(report)) {
			errs = append(errs, fmt.Errorf("--report %q: write %s", report, strings.Join(texts(schemas.Reports), " or ")))
		}
	}
	switch isTenant := t.Role == crypto.RoleTenant; {
	case isTenant && r.tenant == "":
		errs = append(errs, errors.New("--tenant is missing: say whose reports the token reads"))
	case t.Role == crypto.RoleAdmin && r.tenant != "":
		errs = append(errs, errors.New("--tenant: an admin's token is for all tenants"))
	}
	switch isTenant := t.Role == crypto.RoleTenant; {
	case isTenant && len(r.reports) == 0:
		errs = append(errs, errors.New("--report is missing: say which reports the token reads, --report usage, --report sessions or both"))
	case !isTenant && len(r.reports) > 0:
		errs = append(errs, errors.New("--report: only a tenant's token names reports"))
	}
	if t.Role != crypto.RoleNode && len(r.nodes) > 0 {
		errs = append(errs, errors.New("--node: only a node's token names nodes"))
	}
	if err := crypto.CheckNodes(r.nodes); err != nil {
		errs = append(errs, fmt.Errorf("--node: %w", err))
	}
	var err error
	if t.Expires, err = expiry(r.expires, t.Role, now); err != nil {
		errs = append(errs, err)
	}
	return t, errors.Join(errs...)
}

// tokenLife is how long a token lasts where nothing is said.
const tokenLife = 365

// expiry reads --expires; zero: never.
func expiry(text string, role crypto.Role, now time.Time) (time.Time, error) {
	if text == "" && role != crypto.RoleNode {
		text = strconv.Itoa(tokenLife) + "d"
	}
	if text == "" || text == "never" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > 36_500 {
			return time.Time{}, fmt.Errorf("--expires %q: write 1d to 36500d", text)
		}
		return now.UTC().AddDate(0, 0, n), nil
	}
	at, err := parseTime(text)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("--expires %q: write a number of days such as 90d, a day such as 2027-01-31, or never", text)
	case !at.After(now):
		return time.Time{}, fmt.Errorf("--expires %s: that is over already", text)
	}
	return at, nil
}

func allowance(t crypto.Token) string {
	switch t.Role {
	case crypto.RoleAdmin:
		return "sees and does everything"
	case crypto.RoleTenant:
		return fmt.Sprintf("reads %s of %s", strings.Join(t.Reports, " and "), t.Tenant)
	}
	text := "may post usage"
	if t.Tenant != "" {
		text += " of " + t.Tenant
	}
	if len(t.Nodes) > 0 {
		text += ", from the nodes " + printable(strings.Join(t.Nodes, " ")) + " alone"
	}
	return text
}

func lasts(t crypto.Token) string {
	if t.Expires.IsZero() {
		return "lasts until it is revoked"
	}
	return "lasts until " + t.Expires.Format(time.RFC3339)
}

// tokenLine is a token as list shows it.
type tokenLine struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	Role     crypto.Role `json:"role"`
	Tenant   string      `json:"tenant,omitempty"`
	Reports  []string    `json:"reports,omitempty"`
	Nodes    []string    `json:"nodes,omitempty"`
	Created  time.Time   `json:"created"`
	Expires  time.Time   `json:"expires,omitzero"`
	Revoked  time.Time   `json:"revoked,omitzero"`
	LastUsed time.Time   `json:"last_used,omitzero"`
	State    string      `json:"state"` // good, expired or revoked
}

func newTokenLine(t crypto.Token, now time.Time) tokenLine {
	l := tokenLine{t.ID, t.Name, t.Role, t.Tenant, t.Reports, t.Nodes, t.Created, t.Expires, t.Revoked, t.LastUsed, "good"}
	switch {
	case !t.Revoked.IsZero():
		l.State = "revoked"
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		l.State = "expired"
	}
	return l
}

func tokenListCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List tokens, revoked and expired ones included", Args: cobra.NoArgs,
		Long: `Lists all tokens that were made: what each may do, when it ends, when it was last
used (to the minute), and whether it is good, expired or revoked. Only the id of a
token is shown; the rest is not kept.`,
	}
	a.jsonFlag(c)
	c.RunE = a.do(func(context.Context, []string) error { return a.listTokens(time.Now()) })
	return c
}

func (a *app) listTokens(now time.Time) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	all, err := crypto.OpenTokens(c.keysDir()).List()
	if err != nil {
		return err
	}
	lines := make([]tokenLine, len(all))
	for i, t := range all {
		lines[i] = newTokenLine(t, now)
	}
	if a.json {
		return a.printJSON(lines)
	}
	if len(lines) == 0 {
		a.say("There is no token yet; \"playmeter token add\" makes one.")
		return nil
	}
	t := &table{head: []string{"ID", "NAME", "ROLE", "TENANT", "REPORTS", "NODES", "CREATED", "EXPIRES", "LAST USED", "STATE"}}
	for _, l := range lines {
		used := "never"
		if !l.LastUsed.IsZero() {
			used = l.LastUsed.UTC().Format("2006-01-02 15:04")
		}
		t.add(l.ID, l.Name, l.Role, l.Tenant, strings.Join(l.Reports, " "), strings.Join(l.Nodes, " "), dayOr(l.Created, ""), dayOr(l.Expires, "never"), used, l.State)
	}
	return t.write(a.out)
}

func tokenRevokeCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "revoke ID", Short: "End a token", Args: cobra.ExactArgs(1),
		Long: `Ends a token, for good: it is refused from the next request on. ID is what
"playmeter token list" shows: the part of the token between its underscores.`,
		Example: `  playmeter token revoke k5xw2e4vqa`,
	}
	c.RunE = a.do(func(_ context.Context, args []string) error { return a.revokeToken(args[0], time.Now()) })
	return c
}

func (a *app) revokeToken(id string, now time.Time) error {
	if id, secret, ok := strings.Cut(strings.TrimPrefix(id, "pm_"), "_"); ok && secret != "" {
		return usagef("that is a whole token, which is nothing for a command line: give its id, %s", printable(cutText(id, 12)))
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	tokens := crypto.OpenTokens(c.keysDir())
	all, err := tokens.List()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(t crypto.Token) bool { return t.ID == id })
	if i < 0 {
		return fmt.Errorf("revoke token %s: %w; \"playmeter token list\" lists those there are", printable(cutText(id, 16)), crypto.ErrTokenUnknown)
	}
	if !all[i].Revoked.IsZero() {
		a.say("It is revoked already, since %s.", all[i].Revoked.Format(time.RFC3339))
		return nil
	}
	if err := tokens.Revoke(id, now); err != nil {
		return err
	}
	a.say("Revoked: %s, %s of %s, is refused from now on.", id, all[i].Role, printable(all[i].Name))
	return nil
}
