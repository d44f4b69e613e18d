package schemas

import "encoding/json"

// ManifestSchema is the version of the manifest (SPEC 7.1).
const ManifestSchema = "playmeter.manifest/1"

// Manifest is the record of one run: everything that its reports depend on. It
// speaks of its tenant alone.
type Manifest struct {
	Schema      string       `json:"schema"`
	Tenant      Tenant       `json:"tenant"`
	TenantName  string       `json:"tenant_name"` // as the usage report has it
	Period      Period       `json:"period"`
	State       string       `json:"state"` // open, closing or final
	AsOf        string       `json:"as_of"`
	Run         string       `json:"run"`
	Restatement int          `json:"restatement"`
	Previous    *Previous    `json:"previous"`
	Software    Software     `json:"software"`
	Inputs      Inputs       `json:"inputs"`
	Events      Events       `json:"events"`
	Nodes       []NodeEvents `json:"nodes"`
	SetAside    int          `json:"set_aside_files"`
	// Withdrawn are the usage files with events of the tenant in the period that were taken out of the count.
	Withdrawn  []Withdrawal `json:"withdrawn,omitempty"`
	Complete   bool         `json:"complete"`
	Enrichment Enrichment   `json:"enrichment"`
	Rules      Rules        `json:"rules"`

	// UnrecognisedFormats are playout formats counted as DRM because nothing says
	// otherwise (SPEC 2.3), with how many rows bore them.
	UnrecognisedFormats map[string]int64 `json:"unrecognised_formats,omitempty"`
	// Warnings say what an auditor should know, such as a catalog that lost half of its objects.
	Warnings []string         `json:"warnings,omitempty"`
	Reports  []ManifestReport `json:"reports"`

	// Restates is the run that a restatement corrects, and Diff what it changed of usage, sealed as
	// the usage report is.
	Restates *Previous       `json:"restates,omitempty"`
	Diff     *ManifestReport `json:"diff,omitempty"`
	// RulesBefore is the digest of the rules that held until this run, where it was told to take the
	// configured ones instead.
	RulesBefore string `json:"rules_before,omitempty"`

	// Rekeys is the run whose reports this one repeats to the byte, sealed for other recipients.
	Rekeys *Previous `json:"rekeys,omitempty"`

	// RestatedBy is in the copy at the stable name alone: the newest restatement of a final month.
	RestatedBy *RestatedBy `json:"restated_by,omitempty"`
}

// Objects are the run's sealed objects: its reports, and what a restatement changed.
func (m *Manifest) Objects() []ManifestReport {
	if m.Diff == nil {
		return m.Reports
	}
	return append(m.Reports[:len(m.Reports):len(m.Reports)], *m.Diff)
}

// RestatedBy points to a restatement of a final month.
type RestatedBy struct {
	Restatement int    `json:"restatement"`
	Run         string `json:"run"`
	Manifest    string `json:"manifest"` // relative to the period's folder
	SHA256      string `json:"sha256"`   // of that manifest
}

// Previous is the run before, for the chain.
type Previous struct {
	Run    string `json:"run"`
	SHA256 string `json:"sha256"` // of its manifest
}

// Software is what made a run.
type Software struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Inputs are the usage files that held events of the tenant in the period.
type Inputs struct {
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
	List   string `json:"list"` // relative to the period's folder
}

// Input is a line of the inputs list.
type Input struct {
	Key   string    `json:"key"`
	ETag  string    `json:"etag"`
	Size  int64     `json:"size"`
	Tally TallyName `json:"tally"`
	// Gone: the object is no longer in the usage bucket; it stays counted.
	Gone bool `json:"gone,omitempty"`
	// Before: it holds nothing of the period; it was asked only where sessions
	// began that run into the period.
	Before bool `json:"before,omitempty"`
}

// Events are the classes of SPEC 2.1; read is the sum of counted, errors, superseded,
// duplicates, rejected, outside_period and after_as_of.
type Events struct {
	Read          int64            `json:"read"`
	Counted       map[string]int64 `json:"counted"`
	Errors        int64            `json:"errors"`
	Superseded    int64            `json:"superseded"`
	Duplicates    int64            `json:"duplicates"`
	Rejected      map[string]int64 `json:"rejected"`
	OutsidePeriod int64            `json:"outside_period"`
	AfterAsOf     int64            `json:"after_as_of"`
	Differing     int64            `json:"differing_duplicates"` // of the duplicates
	HashMismatch  int64            `json:"hash_mismatch"`        // of the rows that count
}

// NodeEvents are one node's rows of the tenant.
type NodeEvents struct {
	Node       string `json:"node_id"`
	Events     int64  `json:"events"`
	Duplicates int64  `json:"duplicates"`
	// Missing is how many sequence numbers of the node were never met in the period, and SeqConflicts how many
	// of its rows bear a number that another row bears at another time, both over all tenants.
	Missing      int64 `json:"missing"`
	SeqConflicts int64 `json:"seq_conflicts"`
	// Unnumbered tells that the numbers do not follow one another, so that nothing is known of losses.
	Unnumbered bool `json:"unnumbered,omitempty"`
	Bytes      Sum  `json:"bytes"`
}

// Enrichment names the tables that rows were looked up in.
type Enrichment struct {
	Catalog []string `json:"catalog"`
	// CatalogDigest is of the keys and ETags of these snapshots.
	CatalogDigest string `json:"catalog_digest"`
	Geo           string `json:"geo"`
	UserAgents    string `json:"user_agents"`
}

// Rules are the rules in force, as package accounting writes them, and their digest.
type Rules struct {
	json.RawMessage
	Digest string
}

// MarshalJSON writes the rules with their digest among them.
func (r Rules) MarshalJSON() ([]byte, error) {
	fields := make(map[string]json.RawMessage)
	if err := json.Unmarshal(r.RawMessage, &fields); err != nil {
		return nil, err
	}
	fields["digest"], _ = json.Marshal(r.Digest)
	return json.Marshal(fields)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Rules) UnmarshalJSON(b []byte) error {
	fields := make(map[string]json.RawMessage)
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	if err := json.Unmarshal(fields["digest"], &r.Digest); err != nil {
		return err
	}
	delete(fields, "digest")
	raw, err := json.Marshal(fields)
	r.RawMessage = raw
	return err
}

// ManifestReport is one report of a run. Object is relative to the period's folder; a
// report that did not change points to the run that wrote it.
type ManifestReport struct {
	Report     Report   `json:"report"`
	Object     string   `json:"object"`
	Rows       int64    `json:"rows"`
	Columns    []string `json:"columns"`
	Plaintext  Digest   `json:"plaintext"`
	Sealed     Digest   `json:"sealed"`
	Recipients []string `json:"recipients"` // fingerprints, sorted
}

// Digest is a size and a SHA-256 in hex.
type Digest struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// CommitSchema is the version of the commit.
const CommitSchema = "playmeter.commit/1"

// Commit is what makes a run current: create-only, naming its parent.
type Commit struct {
	Schema string `json:"schema"`
	Tenant Tenant `json:"tenant"`
	Period Period `json:"period"`
	Number int64  `json:"number"`
	Parent int64  `json:"parent"` // 0: the first
	Nonce  string `json:"nonce"`
	Run    RunRef `json:"run"`
	// Current is the run that the stable names show: the one with the newest
	// as-of, which need not be the one committed here.
	Current RunRef `json:"current"`
	// Inputs is the name of the list of tallies in the metering bucket.
	Inputs string `json:"inputs"`
	// Statement and SessionsKey are digests of what the folded statement and the
	// sessions depend on, so that a run with nothing new need not fold.
	Statement   string          `json:"statement"`
	SessionsKey string          `json:"sessions_key"`
	Sessions    []SessionObject `json:"sessions"`
	SessionRows int64           `json:"session_rows"`
	Rules       json.RawMessage `json:"rules"` // of the period, fixed by its first run
	// NextRules, if not empty, are the rules of the runs that follow, where they are not Rules: the commit seals
	// the final run of a month anew that was restated by other rules since.
	NextRules json.RawMessage `json:"next_rules,omitempty"`
	Committed string          `json:"committed"` // by the clock of who wrote it

	// Restated is the newest restatement of a final month; nil: none.
	Restated *RunRef `json:"restated,omitempty"`
	// Basis is what the run that stands was made from: the newest restatement, else the current one.
	Basis Basis `json:"basis"`
	// Kept are the runs whose reports are still there, oldest first (SPEC 7).
	Kept []KeptRun `json:"kept"`
}

// Basis is what a run was made from, by digests, so that the next can tell what has changed.
type Basis struct {
	Files     string `json:"files"`     // keys and ETags of the inputs
	Snapshots string `json:"snapshots"` // of the catalog that were listed
	Catalog   string `json:"catalog"`   // snapshots used
	Rules     string `json:"rules"`
	Fold      string `json:"fold"` // version of the software's fold
}

// KeptRun is a run whose reports are still there.
type KeptRun struct {
	Run         string   `json:"run"`
	AsOf        string   `json:"as_of"`
	State       string   `json:"state"`
	Restatement int      `json:"restatement,omitempty"`
	Inputs      string   `json:"inputs"`  // in the metering bucket
	Objects     []string `json:"objects"` // sealed, relative to the period's folder
}

// Stands is the run that holds: the newest restatement, else the current one.
func (c *Commit) Stands() *RunRef {
	if c.Restated != nil {
		return c.Restated
	}
	return &c.Current
}

// RulesInForce are those that the next run goes by.
func (c *Commit) RulesInForce() json.RawMessage {
	if len(c.NextRules) > 0 {
		return c.NextRules
	}
	return c.Rules
}

// NewestInputs is the list that the next run's inputs follow from: the commit's own, unless it seals the
// final run of a restated month anew; then that of the restatement, which is the newer.
func (c *Commit) NewestInputs() string {
	if c.Restated != nil && c.Run.Run == c.Current.Run {
		for _, k := range c.Kept {
			if k.Run == c.Restated.Run {
				return k.Inputs
			}
		}
	}
	return c.Inputs
}

// RunRef is a run as a commit names it.
type RunRef struct {
	Run      string           `json:"run"`
	AsOf     string           `json:"as_of"`
	State    string           `json:"state"`
	Manifest Digest           `json:"manifest"`
	Reports  []ManifestReport `json:"reports"`
	// Restatement is its number, where it is one, and Diff what it says beside the reports.
	Restatement int             `json:"restatement,omitempty"`
	Diff        *ManifestReport `json:"diff,omitempty"`
}

// Report finds one of the run's reports.
func (r *RunRef) Report(report Report) *ManifestReport {
	for i := range r.Reports {
		if r.Reports[i].Report == report {
			return &r.Reports[i]
		}
	}
	return nil
}

// SessionObject is one object of finished sessions.
type SessionObject struct {
	Day  string `json:"day"`
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}
