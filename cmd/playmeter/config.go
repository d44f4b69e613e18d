package main

import (
	"net/netip"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// Config is what playmeter.yaml says. [LoadConfig] reads it; a key that is not
// given keeps its default, and a key that is not known is an error.
//
//   - Texts may hold ${NAME}, which reads the environment; $${NAME} is the text ${NAME}.
//   - Every setting that is no list can be given in the environment:
//     PLAYMETER_ and its keys in capitals, joined by _, such as
//     PLAYMETER_LISTEN_HTTP for listen.http. An empty variable counts as not given.
//   - Durations are written with a unit, such as 72h or 30m.
//   - Source: SPEC 9.
type Config struct {
	// The folder of the embedded object store, the keys and the local
	// database. In the file it is relative to the file's folder, in the environment and
	// as a flag to the working directory. Default: ./playmeter-data
	DataDir string `yaml:"data_dir"`

	// Where the daemon listens.
	Listen Listen `yaml:"listen"`

	// The S3 service that holds the buckets. Leave it out for the embedded one.
	ObjectStore ObjectStore `yaml:"object_store"`

	// The names of the buckets.
	Buckets Buckets `yaml:"buckets"`

	// How and when reports are made.
	Reports ReportSettings `yaml:"reports"`

	// The path of a city database in MaxMind's format (GeoLite2-City, DB-IP
	// City). Empty: places are those that the nodes know. Relative as data_dir is.
	GeoIP string `yaml:"geoip"`

	// Readers of the object store whose keys are known here, so that what they are let at can be proved.
	// Those of the embedded store are made by "playmeter reader add" and need no entry.
	Readers []ReaderSettings `yaml:"readers"`

	// What of viewers' data is left out of sessions, and how long what they are made from is kept.
	Privacy PrivacySettings `yaml:"privacy"`

	// The tenants that get reports. Usage of others is tallied, and named by
	// "playmeter status"; a tenant added later gets its reports from the start of the month.
	Tenants []TenantSettings `yaml:"tenants"`

	// What becomes of events that nodes and media servers post.
	Intake IntakeSettings `yaml:"intake"`

	// The database of the statistics pages.
	Statistics StatisticsSettings `yaml:"statistics"`

	// Formats of access logs, for "playmeter import --format NAME" and for sources.
	Logs []LogSettings `yaml:"logs"`

	// Buckets where a CDN drops its access logs. The daemon imports each log once.
	Sources []SourceSettings `yaml:"sources"`

	warnings []string
}

// Listen is where the daemon listens: host:port, where port 0 picks a free one
// and an empty host is every address of the machine.
type Listen struct {
	// Pages, API, intake and metrics. Without a token they answer on loopback only. Default: 127.0.0.1:8080
	HTTP string `yaml:"http"`

	// The embedded object store's S3 API. Default: 127.0.0.1:9000
	S3 string `yaml:"s3"`

	// Certificate and key, for HTTPS: of pages and API, and of the object store where it does not listen on
	// loopback. Files that change are read again.
	TLS TLSFiles `yaml:"tls"`

	// Addresses or networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed. Default: none
	Proxies []netip.Prefix `yaml:"proxies"`
}

// TLSFiles are a certificate (with its chain) and its key, as PEM files. In the file
// they are relative as data_dir is.
type TLSFiles struct {
	// The certificate comes first, then those that vouch for it.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// ObjectStore is an S3 service.
type ObjectStore struct {
	// Its address, such as https://s3.example.com. Empty: the embedded one.
	Endpoint string `yaml:"endpoint"`

	// Its region. Default: us-east-1
	Region string `yaml:"region"`

	// The key that may read and write the buckets. Better ${NAME} than the text.
	AccessKey crypto.Secret `yaml:"access_key"`
	SecretKey crypto.Secret `yaml:"secret_key"`

	// The address under which others reach it, or the embedded one, where that is another: links lead there,
	// and new readers are told it. Default: its address; of the embedded one, listen.s3
	PublicEndpoint string `yaml:"public_endpoint"`

	// How it wants bucket policies written: aws, ceph, minio or versitygw. Default: what it says it is
	Dialect bucket.Dialect `yaml:"dialect"`
}

// ReaderSettings is a reader of an S3 service that is not ours.
type ReaderSettings struct {
	// As grants name it.
	Name string `yaml:"name"`

	// As the service's policies name it, such as arn:aws:iam::123456789012:user/billing. Default: made
	// of the name, where the service's dialect allows that
	Principal string `yaml:"principal"`

	// Its key. With it the daemon proves what the reader can and cannot get. Better ${NAME} than the text.
	AccessKey crypto.Secret `yaml:"access_key"`
	SecretKey crypto.Secret `yaml:"secret_key"`
}

// Embedded tells whether the daemon is its own object store.
func (o ObjectStore) Embedded() bool { return o.Endpoint == "" }

// Buckets are the names of the four buckets; no two are the same.
type Buckets struct {
	// Where media nodes put usage files. Default: usage
	Usage string `yaml:"usage"`

	// Where catalog snapshots are put. Default: catalog
	Catalog string `yaml:"catalog"`

	// Where tallies, statements and commits are kept. Default: metering
	Metering string `yaml:"metering"`

	// Where sealed reports are published. Default: reporting
	Reporting string `yaml:"reporting"`
}

// ReportSettings are how and when reports are made. What they count with (tiers,
// density_of, session_idle, csv_guard) is fixed for a tenant's month by its
// first run; a change takes effect with the next month.
type ReportSettings struct {
	// When a run starts, UTC: five fields (minute, hour, day, month, weekday),
	// @hourly, @daily or @every 10m. Default: 17 * * * *
	Schedule string `yaml:"schedule"`

	// How long after its end a month stays open for late files. Default: 72h
	Grace time.Duration `yaml:"grace"`

	// How a report is packed before it is sealed: gzip, zstd or none. Default: gzip
	Compression schemas.Compression `yaml:"compression"`

	// What is hi (4K) and md (HD): industry, fabric (720p is SD), or
	// {hi: {long: 3200, short: 1800}, md: {long: 1280, short: 720}}, edges in pixels, of which those
	// left out are industry's. Default: industry
	Tiers TierSetting `yaml:"tiers"`

	// Which size the density of an ingest goes by: destination or source. Default: destination
	DensityOf Density `yaml:"density_of"`

	// How long a viewer may be silent before a session ends.
	SessionIdle SessionIdle `yaml:"session_idle"`

	// Whether text cells that a spreadsheet would run get a leading '. Default: on
	CSVGuard bool `yaml:"csv_guard"`

	// Which old runs stay. Finals, restatements and manifests stay for good.
	Keep Keep `yaml:"keep"`

	// When usage that turns up late restates a final month.
	Restate Restate `yaml:"restate"`
}

// SessionIdle are the pauses after which a session ends.
type SessionIdle struct {
	// For sessions with a session_id. Default: 24h
	WithID time.Duration `yaml:"with_id"`

	// For the others. Default: 30m
	WithoutID time.Duration `yaml:"without_id"`
}

// Keep is how many old runs stay.
type Keep struct {
	// The newest of a month. Default: 24
	Runs int `yaml:"runs"`

	// For so many days the last one of each. Default: 35
	Daily int `yaml:"daily"`
}

// Restate bounds the restatements of final months.
type Restate struct {
	// At most one in so long, by tenant. Default: 24h
	Every time.Duration `yaml:"every"`

	// None for months that ended longer ago. Default: 9600h (400 days)
	Until time.Duration `yaml:"until"`
}

// TenantSettings is one tenant.
type TenantSettings struct {
	// Its id as in usage files: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit.
	ID schemas.Tenant `yaml:"id"`

	// Its name in the first row of the usage report. Default: the id
	Name string `yaml:"name"`

	// When its runs start, instead of reports.schedule.
	Schedule string `yaml:"schedule"`

	// What of its viewers' data is left out of its sessions; what is not given is as under privacy.sessions.
	Privacy TenantPrivacy `yaml:"privacy"`

	// Who gets which report. Without a recipient there is no report, and a run says so.
	Grants []Grant `yaml:"grants"`
}

// PrivacySettings are the same for all tenants.
type PrivacySettings struct {
	// Fields of sessions and what is done to each: keep, drop, truncate (client_ip alone: /24, /48) or hmac
	// (a pseudonym). Like the rules of reports, fixed for a tenant's month by its first run.
	Sessions accounting.Privacy `yaml:"sessions"`

	// How long personal data is kept after the end of the month that it belongs to.
	Keep PrivacyKeep `yaml:"keep"`
}

// PrivacyKeep is how long what holds viewers' data stays in the metering bucket; 0s: for good.
type PrivacyKeep struct {
	// What sessions are made from. Without it a month can be restated, sealed anew and counted again
	// no more. Not below reports.grace + 24h. Default: 0s
	Fragments time.Duration `yaml:"fragments"`

	// Finished sessions, which statistics pages show. Default: 0s
	Sessions time.Duration `yaml:"sessions"`

	// The log of who fetched what. Default: 0s
	Audit time.Duration `yaml:"audit"`
}

// TenantPrivacy is what is special to a tenant.
type TenantPrivacy struct {
	// As privacy.sessions.
	Sessions accounting.Privacy `yaml:"sessions"`
}

// Grant names who may decrypt, or who may fetch, which reports: one of
// Recipient and Reader.
type Grant struct {
	// A public key that the reports are sealed to: age1…, ssh-ed25519 … or ssh-rsa …
	Recipient string `yaml:"recipient"`

	// An access key of the object store that may fetch the sealed reports.
	Reader string `yaml:"reader"`

	// usage, sessions or both.
	Reports []schemas.Report `yaml:"reports"`

	// The day (UTC) from which a recipient's key is sealed to no more, such as 2027-01-31. From 30 days
	// before, runs and "playmeter status" warn. Default: never
	Expires Day `yaml:"expires"`
}

// DefaultConfig is what holds where nothing is said.
func DefaultConfig() *Config {
	return &Config{
		DataDir:     "./playmeter-data",
		Listen:      Listen{HTTP: "127.0.0.1:8080", S3: "127.0.0.1:9000"},
		ObjectStore: ObjectStore{Region: "us-east-1"},
		Buckets:     Buckets{Usage: "usage", Catalog: "catalog", Metering: "metering", Reporting: "reporting"},
		Reports: ReportSettings{
			Schedule: "17 * * * *", Grace: 72 * time.Hour, Compression: schemas.CompressGzip,
			Tiers: TierSetting{accounting.TiersIndustry}, DensityOf: accounting.DensityOfDestination,
			SessionIdle: SessionIdle(accounting.DefaultIdle), CSVGuard: true,
			Keep: Keep{Runs: 24, Daily: 35}, Restate: Restate{Every: 24 * time.Hour, Until: 9600 * time.Hour},
		},
		Intake:     defaultIntake,
		Statistics: defaultStatistics,
	}
}

// Warnings are what is allowed and still not right, such as a secret in a
// file that others can read.
func (c *Config) Warnings() []string { return c.warnings }

// Rules are what the arithmetic needs to know.
func (c *Config) Rules() accounting.Rules {
	return accounting.Rules{
		Tiers: c.Reports.Tiers.Tiers, DensityOf: string(c.Reports.DensityOf),
		Idle: accounting.Idle(c.Reports.SessionIdle), CSVGuard: c.Reports.CSVGuard,
	}
}

// RulesOf are those of a tenant's reports: what is special to it goes before what holds for all.
func (c *Config) RulesOf(t *TenantSettings) accounting.Rules {
	r := c.Rules()
	r.Privacy = c.Privacy.Sessions.With(t.Privacy.Sessions)
	return r
}

// Tenant finds a tenant, or tells that it is not configured.
func (c *Config) Tenant(id schemas.Tenant) (*TenantSettings, bool) {
	for i := range c.Tenants {
		if c.Tenants[i].ID == id {
			return &c.Tenants[i], true
		}
	}
	return nil, false
}

// ScheduleOf is when a tenant's runs start.
func (c *Config) ScheduleOf(t *TenantSettings) string {
	if t.Schedule != "" {
		return t.Schedule
	}
	return c.Reports.Schedule
}

// Recipients lists the keys that a report of the tenant is sealed to.
func (t *TenantSettings) Recipients(r schemas.Report) []string {
	return t.granted(r, func(g Grant) string { return g.Recipient })
}

// Readers lists the access keys that may fetch a report of the tenant.
func (t *TenantSettings) Readers(r schemas.Report) []string {
	return t.granted(r, func(g Grant) string { return g.Reader })
}

func (t *TenantSettings) granted(r schemas.Report, to func(Grant) string) []string {
	var all []string
	for _, g := range t.Grants {
		if name := to(g); name != "" && slices.Contains(g.Reports, r) && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
