package accounting

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Edges are the sizes from which a picture belongs to a tier: its long or its short edge
// reaches them.
type Edges struct {
	Long  int32 `json:"long"`
	Short int32 `json:"short"`
}

// Tiers are the thresholds of the resolution tiers and of ingest density (SPEC 2.2).
type Tiers struct {
	Hi Edges `json:"hi"`
	Md Edges `json:"md"`
}

// The presets of SPEC 2.2.
var (
	TiersIndustry = Tiers{Hi: Edges{3200, 1800}, Md: Edges{1280, 720}}
	TiersFabric   = Tiers{Hi: Edges{3200, 1800}, Md: Edges{1920, 1080}}
)

// Tier is a class of picture size.
type Tier int

// The tiers. Density uses the same: large, medium, small, unclassified.
const (
	TierHi Tier = iota
	TierMd
	TierLo
	TierNone
	NumTiers
)

// Of classes a picture size; one that is not known is TierNone (R10).
func (t Tiers) Of(width, height int32) Tier {
	long, short := max(width, height), min(width, height)
	switch {
	case short <= 0:
		return TierNone
	case long >= t.Hi.Long || short >= t.Hi.Short:
		return TierHi
	case long >= t.Md.Long || short >= t.Md.Short:
		return TierMd
	}
	return TierLo
}

// Rules are what a statement depends on besides its events: fixed for a
// tenant's period by its first run (SPEC 6).
type Rules struct {
	Tiers     Tiers   `json:"tiers"`
	DensityOf string  `json:"density_of"` // destination or source
	Idle      Idle    `json:"session_idle"`
	CSVGuard  bool    `json:"csv_guard"`
	Privacy   Privacy `json:"privacy,omitzero"`
}

// DefaultRules are those of SPEC 9.
func DefaultRules() Rules {
	return Rules{Tiers: TiersIndustry, DensityOf: DensityOfDestination, Idle: DefaultIdle, CSVGuard: true}
}

// The sizes that ingest density may go by.
const (
	DensityOfDestination = "destination"
	DensityOfSource      = "source"
)

// Digest names the rules by their content.
func (r Rules) Digest() string {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err) // cannot happen: plain fields
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// MarshalJSON writes durations as Go writes them, such as "24h0m0s".
func (i Idle) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"with_id": i.WithID.String(), "without_id": i.WithoutID.String()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *Idle) UnmarshalJSON(b []byte) error {
	var raw struct {
		WithID    string `json:"with_id"`
		WithoutID string `json:"without_id"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	var err error
	if i.WithID, err = time.ParseDuration(raw.WithID); err != nil {
		return fmt.Errorf("session_idle.with_id: %w", err)
	}
	if i.WithoutID, err = time.ParseDuration(raw.WithoutID); err != nil {
		return fmt.Errorf("session_idle.without_id: %w", err)
	}
	return nil
}
