package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/crypto"
)

const keygenHelp = `Makes an identity: the secret key with which a tenant opens its reports, and the
public key to which they are sealed. The tenant should do this on a machine of
its own and send only the public key; the daemon never needs the secret one.

With -o the identity goes to a file that only you can read and that never
replaces another; the public key is printed. Without -o the identity is
printed, and the public key is said beside it. The stock programs age and
age-keygen read and write the same files.`

func keygenCommand(a *app) *cobra.Command {
	var file string
	var quantum bool
	c := &cobra.Command{
		Use: "keygen [-o FILE]", Short: "Make an age identity for a tenant", Long: keygenHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter keygen -o films.key
  playmeter keygen -o films.key --json | jq -r .recipient`,
	}
	c.Flags().StringVarP(&file, "output", "o", "", "write the identity to `FILE`")
	c.Flags().BoolVar(&quantum, "post-quantum", false, "make a key that also withstands quantum computers (opened by age 1.3 or later)")
	a.jsonFlag(c)
	c.RunE = a.do(func(context.Context, []string) error {
		newIdentity := crypto.NewIdentity
		if quantum {
			newIdentity = crypto.NewPostQuantumIdentity
		}
		secret, public, err := newIdentity()
		if err != nil {
			return err
		}
		if file == "" {
			return a.printIdentity(secret, public)
		}
		err = crypto.WriteIdentityFile(file, secret, public, time.Now())
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: an identity is never overwritten, because what is sealed to it would be lost; name another file", err)
		} else if err != nil {
			return err
		}
		return a.tellRecipient(file, public)
	})
	return c
}

func (a *app) printIdentity(secret crypto.Secret, public crypto.Recipient) error {
	if a.json {
		return usagef("--json does not print secret keys; add -o FILE")
	}
	fmt.Fprintf(a.out, "# created: %s\n# public key: %s\n%s\n", time.Now().Format(time.RFC3339), public, secret.Reveal())
	a.say("public key: %s", public)
	return nil
}

func (a *app) tellRecipient(file string, public crypto.Recipient) error {
	if a.json {
		return a.printJSON(map[string]string{"file": file, "recipient": public.String(), "fingerprint": public.Fingerprint()})
	}
	fmt.Fprintln(a.out, public)
	a.say(`The identity is in %s; keep it safe, nobody can open the reports without it.
Put the public key into playmeter.yaml:

tenants:
  - id: TENANT
    grants:
      - recipient: %s
        reports: [usage, sessions]`, file, public)
	return nil
}
