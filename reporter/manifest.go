package reporter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
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
	if _, err := x.r.Buckets.Reporting.PutBytes(ctx, folder+schemas.InputsFile, gzipped(list)); err != nil {
		return nil, err
	}
	body, err := encodeManifest(m)
	if err != nil {
		return nil, err
	}
	if _, err := x.r.Buckets.Reporting.PutBytes(ctx, folder+schemas.ManifestFile, body); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	x.commit.Run = schemas.RunRef{Run: x.name, AsOf: m.AsOf, State: m.State, Reports: reports,
		Manifest: schemas.Digest{Bytes: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}}
	return m, nil
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
	m := &schemas.Manifest{Schema: schemas.ManifestSchema, Tenant: x.tenant.ID, Period: x.period, State: x.r.State(x.period, x.plan.asOf),
		AsOf: x.plan.asOf.Format(time.RFC3339), Run: x.name, Software: schemas.Software{Name: "playmeter", Version: x.r.Version},
		Inputs:     schemas.Inputs{Digest: "sha256:" + hex.EncodeToString(sum[:]), List: schemas.RunFolder(x.name) + schemas.InputsFile},
		Events:     x.statement.Events,
		Nodes:      manifestNodes(x.statement),
		SetAside:   len(x.plan.asides) + len(x.catalog.asides),
		Enrichment: schemas.Enrichment{Catalog: x.catalog.names, Geo: x.r.Geo.Name(), UserAgents: x.r.Agents.Digest()},
		Rules:      schemas.Rules{RawMessage: x.commit.Rules, Digest: x.rules.Digest()},
		Warnings:   append(x.warnings, x.catalog.warnings...), Reports: reports, UnrecognisedFormats: x.statement.Formats}
	m.Complete = m.SetAside == 0
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

func manifestNodes(s *accounting.Statement) []schemas.NodeEvents {
	nodes := []schemas.NodeEvents{}
	for id, n := range s.Nodes {
		nodes = append(nodes, schemas.NodeEvents{Node: id, Events: n.Events, Duplicates: n.Duplicates, Bytes: n.Bytes})
	}
	slices.SortFunc(nodes, func(a, b schemas.NodeEvents) int { return bytes.Compare([]byte(a.Node), []byte(b.Node)) })
	return nodes
}
