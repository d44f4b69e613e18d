package reporter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// writeManifest writes the input list and the manifest of a run.
func (x *run) writeManifest(ctx context.Context, reports []schemas.ManifestReport) (*schemas.Manifest, error) {
	folder := schemas.ReportFolder(x.tenant.ID, x.period) + schemas.RunFolder(x.name)
	list, err := inputLines(x.inputs, false)
	if err != nil {
		return nil, err
	}
	m := x.manifest(reports, list)
	digest, err := x.r.storeManifest(ctx, folder, m, list)
	if err != nil {
		return nil, err
	}
	x.commit.Run = schemas.RunRef{Run: x.name, AsOf: m.AsOf, State: m.State, Reports: reports, Manifest: digest,
		Restatement: x.restatement, Diff: x.diff}
	return m, nil
}

// storeManifest writes the list of inputs, the signature and the manifest of a run into its folder.
func (r *Reporter) storeManifest(ctx context.Context, folder string, m *schemas.Manifest, list []byte) (schemas.Digest, error) {
	if _, err := r.Buckets.Reporting.PutBytes(ctx, folder+schemas.InputsFile, gzipped(list)); err != nil {
		return schemas.Digest{}, err
	}
	body, err := encodeManifest(m)
	if err != nil {
		return schemas.Digest{}, err
	}
	sig, err := r.sign(body)
	if err != nil {
		return schemas.Digest{}, err
	}
	return digestOfBytes(body), r.putManifest(ctx, folder, body, sig)
}

// sign makes the signature of a manifest; none without a key.
func (r *Reporter) sign(manifest []byte) ([]byte, error) {
	if r.Signer == nil {
		return nil, nil
	}
	return r.Signer.Sign(manifest, crypto.ManifestNamespace)
}

// putManifest writes a manifest and its signature into a folder, the manifest last: it is what
// makes the rest current.
func (r *Reporter) putManifest(ctx context.Context, folder string, manifest, sig []byte) error {
	if sig != nil {
		if _, err := r.Buckets.Reporting.PutBytes(ctx, folder+schemas.SignatureFile, sig); err != nil {
			return err
		}
	}
	_, err := r.Buckets.Reporting.PutBytes(ctx, folder+schemas.ManifestFile, manifest)
	return err
}

// encodeManifest writes a manifest as people read it.
func encodeManifest(m *schemas.Manifest) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return out.Bytes(), nil
}

func (x *run) manifest(reports []schemas.ManifestReport, list []byte) *schemas.Manifest {
	sum := sha256.Sum256(list)
	m := &schemas.Manifest{Schema: schemas.ManifestSchema, Tenant: x.tenant.ID, TenantName: x.tenant.Name, Period: x.period, State: x.r.State(x.period, x.plan.asOf),
		AsOf: x.plan.asOf.Format(time.RFC3339), Run: x.name, Software: schemas.Software{Name: "playmeter", Version: x.r.Version},
		Inputs:     schemas.Inputs{Digest: "sha256:" + hex.EncodeToString(sum[:]), List: schemas.RunFolder(x.name) + schemas.InputsFile},
		Events:     x.statement.Events,
		Nodes:      x.nodes(),
		Withdrawn:  x.withdrawn(),
		SetAside:   len(x.plan.asides) + len(x.catalog.asides),
		Enrichment: schemas.Enrichment{Catalog: x.catalog.names, CatalogDigest: "sha256:" + x.catalog.digest, Geo: x.r.Geo.Name(), UserAgents: x.r.Agents.Digest()},
		Rules:      schemas.Rules{RawMessage: x.commit.Rules, Digest: x.rules.Digest()},
		Warnings:   append(x.warnings, x.catalog.warnings...), Reports: reports, UnrecognisedFormats: x.statement.Formats}
	if x.restatement > 0 {
		stands := x.head.Stands()
		m.Restatement, m.Diff, m.Restates = x.restatement, x.diff, &schemas.Previous{Run: stands.Run, SHA256: stands.Manifest.SHA256}
	}
	m.RulesBefore = x.rulesBefore
	m.Complete = m.SetAside == 0
	for _, n := range m.Nodes {
		m.Complete = m.Complete && n.Missing == 0
	}
	for _, in := range x.inputs {
		if !in.Before {
			m.Inputs.Files++
			m.Inputs.Bytes += in.Size
		}
	}
	if m.Enrichment.Catalog == nil {
		m.Enrichment.Catalog = []string{}
	}
	if x.head != nil {
		m.Previous = &schemas.Previous{Run: x.head.Run.Run, SHA256: x.head.Run.Manifest.SHA256}
	}
	return m
}

// nodes lists what the nodes' events of the tenant came to, beside what each lost.
func (x *run) nodes() []schemas.NodeEvents {
	from, until := x.bounds.Hours()
	losses := accounting.Losses(x.plan.hours, from, until)
	nodes := []schemas.NodeEvents{}
	for id, n := range x.statement.Nodes {
		e := schemas.NodeEvents{Node: id, Events: n.Events, Duplicates: n.Duplicates, Bytes: n.Bytes}
		if loss := losses[id]; loss != nil {
			e.Missing, e.SeqConflicts, e.Unnumbered = loss.Missing, loss.Conflicts, loss.Scattered
		}
		nodes = append(nodes, e)
	}
	slices.SortFunc(nodes, func(a, b schemas.NodeEvents) int { return strings.Compare(a.Node, b.Node) })
	return nodes
}

// withdrawn lists the withdrawn files that would count for the tenant in the period.
func (x *run) withdrawn() []schemas.Withdrawal {
	var out []schemas.Withdrawal
	for _, f := range x.plan.wanted.withdrawn {
		in := input{file: f}
		if in.place(x.tenant.ID, &x.bounds) && !in.Before {
			out = append(out, x.plan.withdrawals[[2]string{f.Key, f.ETag}])
		}
	}
	return out
}
