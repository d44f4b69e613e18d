package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

var updateConfig = flag.Bool("update-config", false, "write the golden files of the configuration")

// testChecks stand in for cron and age.
var testChecks = ConfigChecks{
	Schedule: func(s string) error {
		if strings.HasPrefix(s, "@") || len(strings.Fields(s)) == 5 {
			return nil
		}
		return fmt.Errorf("%q is no schedule; write five fields", s)
	},
	Recipient: func(s string) error {
		if s == "age1nonsense" {
			return errors.New("recipient: no key")
		}
		return nil
	},
}

// load reads a configuration from a text, as the file playmeter.yaml.
func load(text string, env []string, flags map[string]string) (*Config, error) {
	return parseConfig(configSource{path: "playmeter.yaml", mode: 0o600, data: []byte(text), env: env, flags: flags}, testChecks)
}

func mustLoad(t *testing.T, text string, env []string, flags map[string]string) *Config {
	t.Helper()
	c, err := load(text, env, flags)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/config-mistakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = load(string(data), []string{"PLAYMETER_REPORTS_DENSITY_OF=both", "PLAYMETER_GEOIP="}, map[string]string{"geoip": "x"})
	if err == nil {
		t.Fatal("no mistake was found")
	}
	golden := "testdata/config-mistakes.golden"
	if *updateConfig {
		if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err2 := os.ReadFile(golden)
	if err2 != nil {
		t.Fatal(err2)
	}
	if got := err.Error() + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var all *ConfigError
	if !errors.As(err, &all) || len(all.Problems) < 12 {
		t.Errorf("%d problems", len(all.Problems))
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error tells a secret")
	}
}

func TestNothingGivenIsTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "tenants:\n", "{}", "reports:\n  tiers:\n"} {
		c := mustLoad(t, text, nil, nil)
		want := DefaultConfig()
		want.DataDir = "playmeter-data"
		if !reflect.DeepEqual(c, want) {
			t.Errorf("%q: got\n%+v\nwant\n%+v", text, c, want)
		}
	}
}

func TestSingleSettings(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a preset", "reports: {tiers: fabric}", "hi 3200/1800 md 1920/1080"},
		{"edges of one's own", "reports: {tiers: {hi: {long: 4000, short: 2000}, md: {long: 1920, short: 1080}}}", "hi 4000/2000 md 1920/1080"},
		{"edges left out are industry's", "reports: {tiers: {md: {short: 1080}}}", "hi 3200/1800 md 1280/1080"},
		{"hi may be md", "reports: {tiers: {md: {long: 3200, short: 1800}}}", "hi 3200/1800 md 3200/1800"},
		{"hi below md", "reports: {tiers: {md: {long: 3201}}}", "playmeter.yaml:1: reports.tiers: hi must not be lower than md"},
		{"an edge of nothing", "reports: {tiers: {md: {long: 0}}}", `playmeter.yaml:1: reports.tiers.md.long: "0" is no size`},
		{"a tier that is none", "reports: {tiers: {lo: {long: 1}}}", "playmeter.yaml:1: reports.tiers.lo: is not a setting"},
		{"tiers in a list", "reports: {tiers: [industry]}", "playmeter.yaml:1: reports.tiers: must be a single value"},
		{"off", "reports: {csv_guard: off}", "guard false"},
		{"OFF", "reports: {csv_guard: OFF}", "guard false"},
		{"true", "reports: {csv_guard: true}", "guard true"},
		{"a duration without a unit", "reports: {grace: 72}", `reports.grace: "72" is no duration`},
		{"a grace of nothing", "reports: {grace: 0s}", "grace 0s"},
		{"below nothing", "reports: {grace: -1h}", "reports.grace: must not be below zero, got -1h0m0s"},
		{"a key twice", "geoip: a\ngeoip: b\n", "playmeter.yaml:2: geoip: is given twice, first in line 1"},
		{"an unknown key", "reports:\n  shedule: x\n", "playmeter.yaml:2: reports.shedule: is not a setting; did you mean schedule?"},
		{"a key that is like none", "reports:\n  zzzzzzzzzzzz: x\n", "playmeter.yaml:2: reports.zzzzzzzzzzzz: is not a setting; here are schedule, "},
		{"text where settings belong", "listen: 8080", "playmeter.yaml:1: listen: must hold settings: http, s3, tls or proxies"},
		{"a list where settings belong", "- a\n- b\n", "playmeter.yaml: must hold settings"},
		{"settings where a list belongs", "tenants: {id: a}", "playmeter.yaml:1: tenants: must be a list"},
		{"broken YAML", "listen: {http: [\n", "is no YAML"},
		{"brackets without end", "geoip: " + strings.Repeat("[", 1<<20), "has more than 100 brackets"},
		{"two documents", "geoip: a\n---\ngeoip: b\n", "playmeter.yaml:3: holds a second document"},
		{"an anchor", "listen: {http: &x \"127.0.0.1:0\", s3: *x}", "listen 127.0.0.1:0"},
		{"an alias to nothing", "geoip: *x", "playmeter.yaml:1: geoip: *x refers to nothing"},
		{"the same port twice", "listen: {http: \":80\", s3: \":80\"}", "listen.s3: must not be the same"},
		{"IPv6", "listen: {http: \"[::1]:0\"}", "listen [::1]:0"},
		{"IPv6 without brackets", "listen: {http: \"::1:0\"}", "listen.http: \"::1:0\" is no address"},
		{"keys without a service", "object_store: {access_key: a, secret_key: b}", "object_store.endpoint: is missing"},
		{"a service without keys", "object_store: {endpoint: \"https://s3.example.com\"}", "object_store.access_key: is missing"},
		{"a service with a password", "object_store: {endpoint: \"https://u:p@s3.example.com\", access_key: a, secret_key: b}", "must not hold a user"},
		{"no region", "object_store: {endpoint: \"http://s3:9000\", region: \"\", access_key: a, secret_key: b}", "object_store.region: must not be empty"},
		{"a tenant without grants", "tenants: [{id: a}]", "tenants 1"},
		{"two tenants of one id", "tenants:\n  - id: a\n  - id: a\n", "playmeter.yaml:3: tenants[1].id: a is listed before, in playmeter.yaml:2"},
		{"an id that is a path", "tenants: [{id: a/b}]", "tenants[0].id: tenant id \"a/b\": must be"},
		{"an empty tenant", "tenants:\n  -\n", "playmeter.yaml:2: tenants[0].id: is missing"},
		{"an id that looks like a number", "tenants: [{id: 0123}]", "tenants 1 0123"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(tt.text, nil, nil)
			if got := describe(c, err); !strings.Contains(got, tt.want) {
				t.Errorf("%s\ngot  %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

// describe writes the settings that the cases look at, or the error.
func describe(c *Config, err error) string {
	if err != nil {
		return err.Error()
	}
	r := c.Reports
	s := fmt.Sprintf("hi %d/%d md %d/%d; guard %v; grace %s; listen %s; tenants %d", r.Tiers.Hi.Long, r.Tiers.Hi.Short,
		r.Tiers.Md.Long, r.Tiers.Md.Short, r.CSVGuard, r.Grace, c.Listen.HTTP, len(c.Tenants))
	for _, t := range c.Tenants {
		s += " " + string(t.ID)
	}
	return s
}

func TestReferencesReadTheEnvironment(t *testing.T) {
	text := "object_store:\n  endpoint: http://${HOST}:${PORT}\n  access_key: ${A}\n  secret_key: \"pre${S}$${S}\"\ngeoip: ${EMPTY}\n"
	c := mustLoad(t, text, []string{"HOST=s3", "PORT=9000", "A=a: [b", "S=x=y", "EMPTY="}, nil)
	o := c.ObjectStore
	if o.Endpoint != "http://s3:9000" || o.AccessKey.Reveal() != "a: [b" || o.SecretKey.Reveal() != "prex=y${S}" || c.GeoIP != "" {
		t.Errorf("%s %s %s %q", o.Endpoint, o.AccessKey.Reveal(), o.SecretKey.Reveal(), c.GeoIP)
	}
	_, err := load(text, []string{"HOST=s3", "PORT=9000", "A=a", "EMPTY="}, nil)
	if want := "configuration: playmeter.yaml:4: object_store.secret_key: ${S} is not set in the environment; set it, or write $${S} for the text itself"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	text := "data_dir: /file\nlisten: {http: \"a:1\", s3: \"a:2\"}\nreports: {schedule: \"@hourly\", grace: nonsense}\n"
	env := []string{"PLAYMETER_DATA_DIR=/env", "PLAYMETER_LISTEN_HTTP=b:1", "PLAYMETER_REPORTS_GRACE=1h", "PLAYMETER_REPORTS_TIERS=fabric",
		"PLAYMETER_REPORTS_SESSION_IDLE_WITH_ID=2h", "PLAYMETER_REPORTS_CSV_GUARD=off", "PLAYMETER_REPORTS_KEEP_RUNS=3", "PLAYMETER_GEOIP=geo/city.mmdb",
		"PLAYMETER_OBJECT_STORE_ENDPOINT=https://s3.example.com", "PLAYMETER_OBJECT_STORE_ACCESS_KEY=k", "PLAYMETER_OBJECT_STORE_SECRET_KEY=s",
		"PLAYMETER_OBJECT_STORE_REGION=eu", "PLAYMETER_REPORTS_SCHEDULE=", "PLAYMETER_BUCKETS_USAGE=in-1"}
	c := mustLoad(t, text, env, map[string]string{"data_dir": "flag"})
	got := fmt.Sprint(c.DataDir, c.Listen.HTTP, c.Listen.S3, c.Reports.Schedule, c.Reports.Grace, c.Reports.Tiers.Md.Long, c.Reports.SessionIdle.WithID, c.Reports.CSVGuard,
		c.Reports.Keep, c.GeoIP, c.ObjectStore.Endpoint, c.ObjectStore.AccessKey.Reveal(), c.ObjectStore.SecretKey.Reveal(), c.ObjectStore.Region, c.Buckets.Usage)
	want := "flagb:1a:2@hourly1h0m0s19202h0m0sfalse{3 35}geo/city.mmdbhttps://s3.example.comkseuin-1"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err := load("", []string{"PLAYMETER_LISTEN_HTTP=x", "PLAYMETER_REPORTS_GRACE=-1h"}, map[string]string{"listen.s3": "y"})
	for _, want := range []string{"environment PLAYMETER_LISTEN_HTTP: listen.http: ", "environment PLAYMETER_REPORTS_GRACE: reports.grace: must not", "flag --listen-s3: listen.s3: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
}

func TestPathsBeginAtTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(path, []byte("geoip: geo/city.mmdb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(path, true, nil, nil, testChecks)
	if err != nil {
		t.Fatal(err)
	}
	if c.GeoIP != filepath.Join(dir, "geo/city.mmdb") || c.DataDir != filepath.Join(dir, "playmeter-data") {
		t.Errorf("%s, %s", c.GeoIP, c.DataDir)
	}
}

func TestAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "playmeter.yaml")
	if c, err := LoadConfig(path, false, nil, nil, testChecks); err != nil || c.Listen.HTTP != "127.0.0.1:8080" {
		t.Errorf("the default file: %v", err)
	}
	if _, err := LoadConfig(path, true, nil, nil, testChecks); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("a named file: %v", err)
	}
	if _, err := LoadConfig(t.TempDir(), false, nil, nil, testChecks); err == nil {
		t.Error("a folder was read")
	}
}

func TestWarnings(t *testing.T) {
	secret := "object_store: {endpoint: \"http://s3\", access_key: abc, secret_key: \"${S}\"}"
	tests := []struct {
		name, text string
		mode       fs.FileMode
		env        []string
		want       string
	}{
		{"a secret for all to read", secret, 0o644, []string{"S=x"}, "playmeter.yaml can be read by others and holds object_store.access_key: chmod 600"},
		{"a secret for a group", secret, 0o640, []string{"S=x"}, ""},
		{"no secret", "geoip: a", 0o644, nil, ""},
		{"a variable that is no setting", "", 0o600, []string{"PLAYMETER_LISTEN=x"}, "PLAYMETER_LISTEN is set, but there is no such setting"},
		{"a variable that is referred to", "geoip: ${PLAYMETER_DB}", 0o600, []string{"PLAYMETER_DB=x", "PLAYMETER_CONFIG=y"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseConfig(configSource{path: "playmeter.yaml", mode: tt.mode, data: []byte(tt.text), env: tt.env}, testChecks)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(c.Warnings(), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Contains(got, "abc") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := mustLoad(t, "object_store: {endpoint: \"http://s3\", access_key: hunter1, secret_key: hunter2}", nil, nil)
	if text := fmt.Sprintf("%v %+v %#v %s", c, c, c, c.ObjectStore); strings.Contains(text, "hunter") {
		t.Error(text)
	}
}

const exampleRecipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" // of the age specification's own examples

func TestTheExampleIsTrue(t *testing.T) {
	data, err := os.ReadFile("../../docs/playmeter.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, string(data), nil, nil)
	want := DefaultConfig()
	want.DataDir = "playmeter-data"
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the example as it is differs from the defaults:\n%+v\n%+v", c, want)
	}

	full := regexp.MustCompile(`(?m)^( *)#(\S|  )`).ReplaceAllString(string(data), "$1$2")
	full = strings.Replace(full, "  tiers: industry\n", "", 1)
	full = strings.Replace(full, "RECIPIENT", exampleRecipient, 1)
	checks := ConfigChecks{Schedule: testChecks.Schedule, Recipient: func(s string) error { _, err := crypto.ParseRecipient(s); return err }}
	c, err = parseConfig(configSource{path: "x.yaml", data: []byte(full), env: []string{"PLAYMETER_S3_ACCESS_KEY=a", "PLAYMETER_S3_SECRET_KEY=b", "BILLING_ACCESS_KEY=c", "BILLING_SECRET_KEY=d",
		"NATS_PASSWORD=e", "NATS_TOKEN=f", "STREAMER_SIGN_KEY=g", "CDN_ACCESS_KEY=h", "CDN_SECRET_KEY=i"}}, checks)
	if err != nil {
		t.Fatalf("%v\n%s", err, full)
	}
	if w := c.Warnings(); len(w) != 0 || c.ObjectStore.Embedded() || len(c.Tenants) != 1 || !reflect.DeepEqual(c.Rules(), accounting.DefaultRules()) {
		t.Errorf("%v %+v", c.Warnings(), c)
	}
	settings(reflect.ValueOf(c).Elem(), "", func(path string, _ any) {
		if key := path[strings.LastIndex(path, ".")+1:]; !regexp.MustCompile(`\b` + key + `:`).Match(data) {
			t.Errorf("the example does not tell of %s", path)
		}
	})
	tenant, _ := c.Tenant("iten4EXAMPLE")
	got := fmt.Sprintln(c.ScheduleOf(tenant), tenant.Recipients(schemas.ReportSessions), tenant.Readers(schemas.ReportUsage), tenant.Readers(schemas.ReportSessions))
	if want := "@daily [" + exampleRecipient + "] [billing-bot] []\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEverySettingHasItsManual(t *testing.T) {
	src, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(src), "\n")
	for i, line := range lines {
		if strings.Contains(line, "`yaml:") && !strings.Contains(lines[i-1], "//") && !strings.Contains(line, "SecretKey") && !strings.Contains(line, "`yaml:\"key\"`") {
			t.Errorf("line %d has no comment: %s", i+1, line)
		}
	}
	if slices.Contains(fieldNames(reflect.TypeFor[Config]()), "") {
		t.Error("a setting without a key")
	}
}

func FuzzConfig(f *testing.F) {
	for _, name := range []string{"testdata/config-mistakes.yaml", "../../docs/playmeter.example.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("a: &a [*a]\ntenants: *a\n")
	f.Add("tenants:\n- &a {id: x, grants: [{reader: *b, reports: [usage]}]}\n- *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		c, err := load(text, []string{"A=b"}, nil)
		if err != nil {
			var all *ConfigError
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if c.Reports.Grace < 0 || c.DataDir == "" {
			t.Errorf("%q was taken: %+v", text, c)
		}
		for _, tenant := range c.Tenants {
			if _, err := schemas.ParseTenant(string(tenant.ID)); err != nil {
				t.Errorf("%q was taken: %v", text, err)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%d bytes took %s", len(text), took)
		}
	})
}
