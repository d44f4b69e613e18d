package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

const grantsHelp = `Shows and applies who gets which report. There are two sides to a grant, both in
playmeter.yaml under the tenant:

  recipient   a public key that the report is sealed to: who can open it
  reader      a key of the object store that may fetch the sealed file

A tenant that fetches its own reports needs both. The daemon applies the readers'
grants when it starts, when the configuration or a reader changes, and every
hour: it writes the policy of the Reporting bucket, and then tries, with the
readers' own keys, that each gets what is granted and nothing else.`

func grantsCommand(a *app) *cobra.Command {
	c := &cobra.Command{Use: "grants", Short: "Show, apply and prove who gets which report", Long: grantsHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter grants list
  playmeter grants apply --dry-run
  playmeter grants check`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(grantsListCommand(a), grantsApplyCommand(a), grantsCheckCommand(a))
	return c
}

// grantLine is a grant as list shows it.
type grantLine struct {
	Tenant  schemas.Tenant   `json:"tenant"`
	Kind    string           `json:"kind"` // recipient or reader
	Who     string           `json:"who"`  // fingerprint, or name
	Reports []schemas.Report `json:"reports"`
	Expires string           `json:"expires,omitempty"`
	Note    string           `json:"note,omitempty"`
}

func grantsListCommand(a *app) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the grants of the configuration", Args: cobra.NoArgs,
		Long: `Lists every grant: recipients by the fingerprint that manifests show, readers by
name, and what is wrong with them. It asks no object store.`}
	a.jsonFlag(c)
	c.RunE = a.do(func(context.Context, []string) error {
		cfg, err := a.config()
		if err != nil {
			return err
		}
		lines, err := grantLines(cfg, time.Now())
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(lines)
		}
		if len(lines) == 0 {
			a.say("No tenant grants anything: add grants to the tenants in playmeter.yaml.")
			return nil
		}
		t := &table{head: []string{"TENANT", "GRANTED TO", "WHO", "REPORTS", "NOTE"}, most: 60}
		for _, l := range lines {
			t.add(l.Tenant, l.Kind, l.Who, strings.Join(texts(l.Reports), " "), l.Note)
		}
		return t.write(a.out)
	})
	return c
}

func grantLines(c *Config, now time.Time) ([]grantLine, error) {
	lines := []grantLine{}
	exists := access(c, storeOf(c)).Exists
	for i := range c.Tenants {
		for _, g := range c.Tenants[i].Grants {
			l := grantLine{Tenant: c.Tenants[i].ID, Kind: "recipient", Reports: g.Reports}
			if g.Reader != "" {
				l.Kind, l.Who = "reader", g.Reader
				if exists == nil {
					lines = append(lines, l)
					continue
				}
				switch ok, err := exists(g.Reader); {
				case err != nil:
					return nil, err
				case !ok:
					l.Note = "does not exist: playmeter reader add " + g.Reader
				}
				lines = append(lines, l)
				continue
			}
			key, err := crypto.ParseRecipient(g.Recipient)
			if err != nil {
				return nil, err
			}
			l.Who = key.Fingerprint()
			if !g.Expires.IsZero() {
				l.Expires = g.Expires.Format(time.DateOnly)
				l.Note = "expires " + l.Expires
				if !now.Before(g.Expires.Time) {
					l.Note = "expired " + l.Expires
				}
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

func grantsApplyCommand(a *app) *cobra.Command {
	var o reporter.GrantOptions
	c := &cobra.Command{Use: "apply", Short: "Write the bucket's policy, and prove it", Args: cobra.NoArgs,
		Long: `Writes the policy of the Reporting bucket so that each reader gets the reports
that are granted to it, their manifests, and the listing of its tenant's prefix;
then tries that with the readers' own keys, where they are known. Statements of
others that deny something stay. Those that allow something stay, too, and are an
error, because they leave the bucket more open than the grants say; --replace
takes them away.

MinIO knows no readers in bucket policies: there the users' own policies are
printed, for "mc admin policy create" and "mc admin policy attach".`}
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the policy that would be written, and do nothing")
	c.Flags().BoolVar(&o.Replace, "replace", false, "take away what statements of others allow")
	c.Flags().BoolVar(&o.All, "all", false, "try each reader with every tenant")
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		s, err := a.open(ctx, toRead)
		if err != nil {
			return err
		}
		defer s.close()
		state, err := s.reporter.ApplyGrants(ctx, o)
		if err != nil {
			return err
		}
		if a.json {
			return a.answerGrants(state)
		}
		if o.DryRun {
			fmt.Fprintln(a.out, state.Policy)
		}
		a.tellUserPolicies(state, s.config.Buckets.Reporting)
		if o.DryRun {
			return grantsVerdict(state)
		}
		return a.answerGrants(state)
	})
	return c
}

func grantsCheckCommand(a *app) *cobra.Command {
	c := &cobra.Command{Use: "check", Short: "Prove that readers get what is granted, and nothing else", Args: cobra.NoArgs,
		Long: `Compares the policy of the Reporting bucket with the grants, and tries, as every
reader whose key is known and as nobody: getting each tenant's reports and
manifests, listing each tenant's prefix and the whole bucket, writing and
deleting. It changes nothing (a test object that could be written against the grants is
removed again). It exits with 1 where anything is not as granted.`}
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		s, err := a.open(ctx, toRead)
		if err != nil {
			return err
		}
		defer s.close()
		state, err := s.reporter.CheckGrants(ctx)
		if err != nil {
			return err
		}
		return a.answerGrants(state)
	})
	return c
}

// answerGrants shows what came of the grants, and fails the command where the bucket is not as granted.
func (a *app) answerGrants(s *reporter.GrantsState) error {
	if a.json {
		return errors.Join(a.printJSON(s), grantsVerdict(s))
	}
	return errors.Join(a.tellGrants(s), grantsVerdict(s))
}

// grantsVerdict fails the command where the bucket is not as granted.
func grantsVerdict(s *reporter.GrantsState) error {
	if s.Err() == nil {
		return nil
	}
	hint := ""
	if slices.ContainsFunc(s.Checks, func(c reporter.GrantCheck) bool { return !c.Good() && c.Got == reporter.Allowed }) {
		hint = "\nWhere somebody can what he must not, other policies of the store allow it: the user's, a group's, or access lists."
	}
	return fmt.Errorf("the Reporting bucket is not as the grants say:\n  %s%s", strings.Join(s.Problems, "\n  "), hint)
}

// tellGrants shows what was tried, a line for each reader and thing.
func (a *app) tellGrants(s *reporter.GrantsState) error {
	type row struct{ reader, action, want string }
	counts := make(map[row][2]int) // tried, good
	for _, c := range s.Checks {
		k := row{c.Reader, c.Action, c.Want}
		n := counts[k]
		n[0]++
		if c.Good() {
			n[1]++
		}
		counts[k] = n
	}
	t := &table{head: []string{"READER", "TRIED", "MUST BE", "TIMES", "RESULT"}, right: []string{"TIMES"}}
	for _, k := range slices.SortedFunc(maps.Keys(counts), func(x, y row) int {
		return strings.Compare(x.reader+"\x00"+x.want+"\x00"+x.action, y.reader+"\x00"+y.want+"\x00"+y.action)
	}) {
		n, name, result := counts[k], k.reader, "good"
		if name == "" {
			name = "(nobody)"
		}
		if n[1] < n[0] {
			result = fmt.Sprintf("%d WRONG", n[0]-n[1])
		}
		t.add(name, k.action, k.want, n[0], result)
	}
	if err := t.write(a.out); err != nil {
		return err
	}
	for _, u := range s.Unproved {
		a.say("not proved: %s", u)
	}
	return nil
}

// tellUserPolicies prints what MinIO's admin tool has to set.
func (a *app) tellUserPolicies(s *reporter.GrantsState, bucket string) {
	for _, user := range slices.Sorted(maps.Keys(s.UserPolicies)) {
		name := "playmeter-" + bucket + "-" + user
		fmt.Fprintf(a.out, "# mc admin policy create ALIAS %s FILE, with this as FILE, then\n# mc admin policy attach ALIAS %s --user %s\n%s\n", shellWord(name), shellWord(name), shellWord(user), s.UserPolicies[user])
	}
}
