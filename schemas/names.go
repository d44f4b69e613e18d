package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Stamp is how an instant looks in a name: UTC, to the second, without colons.
const Stamp = "2006-01-02T15-04-05Z"

// The folders of the metering bucket.
const (
	PrefixPacks      = "packs/"
	PrefixCommits    = "commits/"
	PrefixInputs     = "inputs/"
	PrefixStatements = "statements/"
	PrefixSessions   = "sessions/"
	PrefixLeases     = "leases/"
	PrefixClaims     = "claims/"
	PrefixLedgers    = "ledgers/"
	PrefixWithdrawn  = "withdrawn/"
	PrefixReturned   = "returned/"
	PrefixAudit      = "audit/"
	PrefixLogSources = "sources/" // what came of each source of logs
)

// GrantsFile says in the metering bucket what came of the last look at the readers' grants.
const GrantsFile = "grants/state.json"

// PackName names a pack by the digest of its content, fanned out so that no
// folder grows flat.
func PackName(digest string) string { return PrefixPacks + digest[:2] + "/" + digest + ".pack" }

// MonthFolder is what a folder of the metering bucket holds of a tenant's period.
func MonthFolder(prefix string, t Tenant, p Period) string {
	return prefix + string(t) + "/" + p.String() + "/"
}

// CommitFolder holds the commits of a tenant's period.
func CommitFolder(t Tenant, p Period) string { return MonthFolder(PrefixCommits, t, p) }

// CommitName names commit n; names sort as numbers do.
func CommitName(t Tenant, p Period, n int64) string {
	return fmt.Sprintf("%s%08d.json", CommitFolder(t, p), n)
}

// ParseNumber reads the number off the name of a commit or a lease.
func ParseNumber(key string) (int64, bool) {
	base := key[strings.LastIndexByte(key, '/')+1:]
	var n int64
	if _, err := fmt.Sscanf(base, "%d.json", &n); err != nil || fmt.Sprintf("%08d.json", n) != base {
		return 0, false
	}
	return n, true
}

// LeaseFolder holds the leases of a tenant's period.
func LeaseFolder(t Tenant, p Period) string { return MonthFolder(PrefixLeases, t, p) }

// LeasesOfPacks holds the leases under which packs are merged and removed; no tenant has such an id.
const LeasesOfPacks = PrefixLeases + "_packs/"

// LeaseName names lease n of a folder.
func LeaseName(folder string, n int64) string { return fmt.Sprintf("%s%08d.json", folder, n) }

// ClaimName names what makes a run's name taken.
func ClaimName(t Tenant, p Period, run string) string {
	return MonthFolder(PrefixClaims, t, p) + run + ".json"
}

// LedgerFolder holds the ledgers of a day.
func LedgerFolder(d Day) string { return PrefixLedgers + d.String() + "/" }

// LedgerName names a ledger by the digest of the files that it speaks of.
func LedgerName(d Day, digest string) string { return LedgerFolder(d) + digest + ".json.zst" }

// WithdrawnName names the withdrawal of a usage object.
func WithdrawnName(key, etag string) string { return PrefixWithdrawn + objectDigest(key, etag) }

// ReturnedName names the note that a usage object was put back under its key.
func ReturnedName(key, etag string) string { return PrefixReturned + objectDigest(key, etag) }

func objectDigest(key, etag string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(key), key, etag))
	return hex.EncodeToString(sum[:16]) + ".json"
}

// InputsName names a list of tallies by its digest and the run that wrote it.
func InputsName(t Tenant, p Period, digest, run string) string {
	return MonthFolder(PrefixInputs, t, p) + digest + "-" + run + ".ndjson.zst"
}

// StatementName names a folded statement by the digest of what it depends on.
func StatementName(t Tenant, p Period, digest string) string {
	return MonthFolder(PrefixStatements, t, p) + digest + ".json.zst"
}

// SessionsName names a part of the finished sessions that began on a day by the digest
// of its rows.
//
// The name bears the run that wrote it too: what a crashed run left under the same digest may be
// removed at any time.
func SessionsName(t Tenant, p Period, day Day, part int, digest, run string) string {
	return fmt.Sprintf("%s%s/%04d-%s-%s.parquet", MonthFolder(PrefixSessions, t, p), day, part, digest, run)
}

// AuditName names an object of the log of who fetched what, by the hour in which it was written, so that
// no folder grows flat; random keeps those of one second apart.
func AuditName(at time.Time, random string) string {
	return PrefixAudit + at.UTC().Format("2006-01-02/15/"+Stamp) + "-" + random + ".ndjson"
}

// SourceName names the state of a source of logs.
func SourceName(source string) string { return PrefixLogSources + source + ".json" }

// Report is one of the two reports.
type Report string

// The reports.
const (
	ReportUsage    Report = "usage"
	ReportSessions Report = "sessions"
)

// ReportDiff is what a restatement changed of the usage report.
const ReportDiff Report = "usage.diff"

// Reports lists them in the order of manifests.
var Reports = []Report{ReportUsage, ReportSessions}

// Compression is how a report is packed before it is sealed.
type Compression string

// The compressions.
const (
	CompressGzip Compression = "gzip"
	CompressZstd Compression = "zstd"
	CompressNone Compression = "none"
)

// Compressions lists them, the default first.
var Compressions = []Compression{CompressGzip, CompressZstd, CompressNone}

// Suffix is what the compression adds to a report's name.
func (c Compression) Suffix() string {
	return map[Compression]string{CompressGzip: ".gz", CompressZstd: ".zst"}[c]
}

// ReportFile is a report's file name, such as usage.csv.gz.age.
func ReportFile(r Report, c Compression) string { return string(r) + ".csv" + c.Suffix() + ".age" }

// CompressionOf reads the compression off a report's name.
func CompressionOf(name string) (Compression, error) {
	for _, c := range Compressions {
		if strings.HasSuffix(name, ".csv"+c.Suffix()+".age") {
			return c, nil
		}
	}
	return "", fmt.Errorf("%q is not the name of a report", name)
}

// Files beside the reports.
const (
	ManifestFile  = "manifest.json"
	SignatureFile = "manifest.json.sig"
	InputsFile    = "inputs.ndjson.gz"
)

// SignersFile, at the root of the Reporting bucket, lists the keys that sign manifests. No
// tenant may bear the name.
const SignersFile = "allowed_signers"

// ReportFolder holds everything about a tenant's period in the Reporting bucket.
func ReportFolder(t Tenant, p Period) string { return string(t) + "/" + p.String() + "/" }

// RunFolder holds the files of a run, relative to ReportFolder.
func RunFolder(run string) string { return "runs/" + run + "/" }

// RestatementFolder holds the files of a restatement, relative to ReportFolder.
func RestatementFolder(n int) string { return fmt.Sprintf("restatements/%d/", n) }

// RunName names a run by its as-of; attempt 1 has no number.
func RunName(asOf time.Time, attempt int) string {
	name := asOf.UTC().Format(Stamp)
	if attempt > 1 {
		name += fmt.Sprintf("-%d", attempt)
	}
	return name
}

// CatalogName names a tenant's catalog snapshot.
func CatalogName(t Tenant, at time.Time, ending string) string {
	return string(t) + "/" + at.UTC().Format(Stamp) + ending
}

// ParseCatalogName reads tenant and instant off a snapshot's name.
func ParseCatalogName(key string) (Tenant, time.Time, bool) {
	tenant, rest, ok := strings.Cut(key, "/")
	stamp, ending, dot := strings.Cut(rest, ".")
	if !ok || !dot || (ending != "parquet" && ending != "ndjson" && ending != "ndjson.gz" && ending != "ndjson.zst") {
		return "", time.Time{}, false
	}
	at, err := time.Parse(Stamp, stamp)
	if _, bad := ParseTenant(tenant); err != nil || bad != nil || at.Year() < 2000 || at.Year() > 2099 {
		return "", time.Time{}, false
	}
	return Tenant(tenant), at, true
}
