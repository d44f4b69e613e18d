package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

const verifyHelp = `Checks a month of a tenant in the reporting bucket, and changes nothing:

  - every manifest is signed by a key that may sign;
  - each follows the one before it, to the first run of the month;
  - what was read is the sum of what was counted and what was not;
  - every report and every list of usage files is the one that was written;
  - the stable names show the current run, which is the newest commit's.

With --identity the reports are opened, too, and the CSV compared.

With --recompute the current run, and the newest restatement where there is one
(or the run of --run), is counted again from the usage files that it pinned, with its
rules, catalog and as-of, and the CSV compared with what its manifest signs. What was
counted before is not looked at, save of usage files that are gone.

Whose signatures are believed: those listed in --signers, else in
keys/allowed_signers of the data directory, else in the list that is published
beside the reports. The last is no protection from somebody who can write to the
bucket: keep a copy of the list, and name it with --signers.

Exit codes: 0 nothing is wrong; 1 something is, or could not be looked at; 2
wrong usage or configuration.`

// verifying is what verify was asked for.
type verifying struct {
	tenant   schemas.Tenant
	month    schemas.Period
	identity string
	signers  string

	recompute bool
	run       string
}

func verifyCommand(a *app) *cobra.Command {
	var v verifying
	c := &cobra.Command{
		Use: "verify --tenant ID --month YYYY-MM", Short: "Check signatures, chain and digests of a month", Long: verifyHelp, GroupID: "look", Args: cobra.NoArgs,
		Example: `  playmeter verify --tenant iten4EXAMPLE --month 2026-10
  playmeter verify --tenant iten4EXAMPLE --month 2026-10 --identity films.key
  playmeter verify --tenant iten4EXAMPLE --month 2026-10 --recompute
  playmeter verify --tenant iten4EXAMPLE --month 2026-10 --signers pinned --json | jq .findings`,
	}
	c.Flags().Var(&textFlag{kind: "ID", set: func(s string) (err error) { v.tenant, err = schemas.ParseTenant(s); return err }}, "tenant", "the tenant")
	monthFlag(c, &v.month, "the month")
	c.Flags().StringVarP(&v.identity, "identity", "i", "", "`FILE` with the identity that opens the reports, to compare their CSV as well")
	c.Flags().StringVar(&v.signers, "signers", "", "`FILE` with the keys that may sign, in the format of OpenSSH's allowed signers")
	c.Flags().BoolVar(&v.recompute, "recompute", false, "count again from the usage files, and compare")
	c.Flags().StringVar(&v.run, "run", "", "`RUN` to count again with --recompute, such as 2026-10-14T09-17-00Z or restatement-1")
	c.MarkFlagRequired("tenant")
	c.MarkFlagRequired("month")
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		if v.run != "" && !v.recompute {
			return usagef("--run says which run to count again: give --recompute as well")
		}
		return a.verify(ctx, v)
	})
	return c
}

func (a *app) verify(ctx context.Context, v verifying) (err error) {
	r := reporter.Verifier{}
	if v.identity != "" {
		if r.Identities, err = crypto.ReadIdentityFile(v.identity); err != nil {
			return err
		}
	}
	if v.signers != "" {
		if v.signers, err = filepath.Abs(v.signers); err != nil {
			return err
		}
	}
	need := toAudit
	if v.recompute {
		need = toRead
	}
	s, err := a.open(ctx, need)
	if err != nil {
		return err
	}
	defer s.close()
	r.Reporting, r.Metering = s.reporter.Buckets.Reporting, s.reporter.Buckets.Metering
	t, err := trustOf(ctx, s, v.signers)
	if err != nil {
		return err
	}
	r.Signers = t.list
	p := a.progress()
	defer p.end()
	r.Progress = showProgress(p)
	out, err := r.Verify(ctx, v.tenant, v.month)
	if err != nil {
		return err
	}
	var again []*reporter.Recomputation
	if v.recompute {
		before := s.show(showProgress(p))
		again, err = recompute(ctx, s, v)
		s.show(before)
	}
	p.end()
	if terr := a.tellVerification(out, t, again); err == nil {
		err = terr
	}
	return err
}

// recompute counts the runs that stand again, or the one asked for.
func recompute(ctx context.Context, s *site, v verifying) ([]*reporter.Recomputation, error) {
	runs := []string{v.run}
	if v.run == "" {
		n, err := s.reporter.Restatements(ctx, v.tenant, v.month)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			runs = append(runs, fmt.Sprintf("restatement-%d", n))
		}
	}
	var out []*reporter.Recomputation
	for _, run := range runs {
		r, err := s.reporter.Recompute(ctx, reporter.RunID{Tenant: v.tenant, Period: v.month, Run: run})
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// trust is whose signatures are believed.
type trust struct {
	list      crypto.AllowedSigners
	from      string
	published bool // nobody vouches for the list but the bucket itself
}

// trustOf reads the list of signers: the file that is named, else the installation's, else the published one.
func trustOf(ctx context.Context, s *site, file string) (t trust, err error) {
	own := crypto.AllowedSignersFile(s.config.keysDir())
	t.from = file
	if file == "" {
		t.from = own
	}
	t.list, err = crypto.ReadAllowedSigners(t.from)
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		t.from, t.published = s.config.Buckets.Reporting+"/"+schemas.SignersFile, true
		var data []byte
		data, _, err = s.reporter.Buckets.Reporting.Get(ctx, schemas.SignersFile, "", crypto.MaxAllowedSigners)
		if errors.Is(err, bucket.ErrNotExist) {
			return t, fmt.Errorf("nobody says whose signatures to believe: there is neither %s nor %s; name a list with --signers", own, t.from)
		} else if err == nil {
			t.list, err = crypto.ParseAllowedSigners(data)
		}
	}
	if err != nil {
		return t, fmt.Errorf("read whose signatures to believe: %w", err)
	}
	if len(t.list.Fingerprints()) == 0 {
		return t, fmt.Errorf("%s allows no key to sign manifests: a line is %s namespaces=%q ssh-ed25519 AAAA…", t.from, crypto.SignerPrincipal, crypto.ManifestNamespace)
	}
	return t, nil
}
