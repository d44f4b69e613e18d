package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
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
age-keygen read and write the same files.

With --signing it makes a new key for signing manifests, in the data directory.
The first one makes itself; this replaces it (rotation). Old manifests stay
good: the old public key stays in keys/allowed_signers, its private half is
gone. The next run publishes the list as "allowed_signers" in the reporting bucket. A
daemon signs with the old key until it is started again. What is printed is the
line that tenants need who keep a list of their own.`

func keygenCommand(a *app) *cobra.Command {
	var file string
	var quantum, signing bool
	c := &cobra.Command{
		Use: "keygen [-o FILE | --signing]", Short: "Make an age identity for a tenant, or a new signing key", Long: keygenHelp, GroupID: "work", Args: cobra.NoArgs,
		Example: `  playmeter keygen -o films.key
  playmeter keygen -o films.key --json | jq -r .recipient
  playmeter keygen --signing`,
	}
	c.Flags().StringVarP(&file, "output", "o", "", "write the identity to `FILE`")
	c.Flags().BoolVar(&quantum, "post-quantum", false, "make a key that also withstands quantum computers (opened by age 1.3 or later)")
	c.Flags().BoolVar(&signing, "signing", false, "make a new key for signing manifests instead")
	c.MarkFlagsMutuallyExclusive("signing", "output")
	c.MarkFlagsMutuallyExclusive("signing", "post-quantum")
	a.jsonFlag(c)
	c.RunE = a.do(func(context.Context, []string) error {
		if signing {
			return a.rotate(time.Now())
		}
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

// rotate makes a new signing key.
func (a *app) rotate(now time.Time) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	if _, err := makeFolders(c); err != nil {
		return err
	}
	k, old, err := crypto.RotateKeyring(c.keysDir(), now)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(k.Lines()), "\n")
	if a.json {
		return a.printJSON(map[string]string{"fingerprint": k.Signer.Fingerprint(), "replaced": old, "allowed_signers": line})
	}
	fmt.Fprintln(a.out, line)
	a.say("Manifests will be signed with %s, kept in %s.", k.Signer.Fingerprint(), c.keysDir())
	if old != "" {
		a.say("It replaces %s, which stays among the allowed signers, so that old manifests stay good.", old)
	}
	a.say(`To do:
  - Restart the daemon, if one runs: it signs with the key that it was started with.
  - Tell tenants who keep a list of signers of their own, in a way that they trust, to
    add the line above to it. The next run publishes it for the others.
  - Copy the folder to where your backups are.`)
	return nil
}
