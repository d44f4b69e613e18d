package main

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// check notes everything that is wrong with settings that could be read.
func (c *Config) check(n *notes, checks ConfigChecks) {
	if c.DataDir == "" {
		n.problem("data_dir", "must not be empty; leave it out for ./playmeter-data")
	}
	c.Listen.check(n, c.ObjectStore.Embedded())
	c.ObjectStore.check(n)
	c.Buckets.check(n)
	c.Reports.check(n, checks)
	c.checkReaders(n)
	c.Privacy.check(n, c.Reports.Grace)
	c.Intake.check(n)
	c.Statistics.check(n)
	c.checkLogs(n)
	c.checkSources(n)
	first := map[schemas.Tenant]int{}
	for i := range c.Tenants {
		key := fmt.Sprintf("tenants[%d]", i)
		c.Tenants[i].check(n, key, checks, c.ObjectStore.Embedded())
		id := c.Tenants[i].ID
		if at, again := first[id]; again && id != "" {
			n.problem(key+".id", "%s is listed before, in %s; merge the two", id, n.placeOf(fmt.Sprintf("tenants[%d].id", at)).where)
		} else {
			first[id] = i
		}
	}
}

func (l Listen) check(n *notes, embedded bool) {
	checkAddress(n, "listen.http", l.HTTP)
	checkAddress(n, "listen.s3", l.S3)
	if embedded && l.HTTP == l.S3 && !strings.HasSuffix(l.S3, ":0") {
		n.problem("listen.s3", "must not be the same as listen.http; port 0 picks a free one")
	}
	if (l.TLS.Certificate == "") != (l.TLS.Key == "") {
		n.problem("listen.tls", "needs both certificate and key")
	}
}

// checkAddress wants host:port; a host is a name or an address, or empty.
func checkAddress(n *notes, key, text string) {
	host, port, err := net.SplitHostPort(text)
	number, bad := strconv.Atoi(port)
	switch {
	case err != nil:
		n.problem(key, "%q is no address; write host:port, such as 127.0.0.1:8080 (IPv6 in brackets: [::1]:8080)", text)
	case bad != nil || number < 0 || number > 65535:
		n.problem(key, "%q has no usable port; write a number from 0 to 65535, 0 picks a free one", text)
	case strings.ContainsAny(host, " /@?#"):
		n.problem(key, "%q has no usable host; write an address or a host name", text)
	}
}

func (o ObjectStore) check(n *notes) {
	if o.PublicEndpoint != "" {
		checkEndpoint(n, "object_store.public_endpoint", o.PublicEndpoint)
	}
	if o.Embedded() {
		if o.AccessKey != "" || o.SecretKey != "" || o.Dialect != "" {
			n.problem("object_store.endpoint", "is missing; name the service, such as https://s3.example.com, or leave object_store out for the embedded one")
		}
		return
	}
	checkEndpoint(n, "object_store.endpoint", o.Endpoint)
	if o.Region == "" {
		n.problem("object_store.region", "must not be empty; leave it out for us-east-1")
	}
	if o.AccessKey == "" {
		n.problem("object_store.access_key", "is missing; write access_key: ${PLAYMETER_S3_ACCESS_KEY} and set that")
	}
	if o.SecretKey == "" {
		n.problem("object_store.secret_key", "is missing; write secret_key: ${PLAYMETER_S3_SECRET_KEY} and set that")
	}
}

// checkEndpoint wants the address of a service, and nothing behind its host.
func checkEndpoint(n *notes, key, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "":
		n.problem(key, "%q is no address of a service; write http:// or https:// and its host", withoutUser(text))
	case u.User != nil:
		n.problem(key, "must not hold a user; write access_key and secret_key")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		n.problem(key, "must end after the host; buckets have settings of their own")
	}
}

// withoutUser cuts what may be a password out of an address.
func withoutUser(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "…" + address[i:]
	}
	return address
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (b Buckets) check(n *notes) {
	seen := map[string]string{}
	for _, s := range []struct{ key, name string }{
		{"buckets.usage", b.Usage}, {"buckets.catalog", b.Catalog}, {"buckets.metering", b.Metering}, {"buckets.reporting", b.Reporting},
	} {
		if !bucketName.MatchString(s.name) || strings.Contains(s.name, "..") {
			n.problem(s.key, "%q is no name for a bucket; write 3 to 63 of a-z 0-9 . -, the first and last a letter or digit", s.name)
		} else if other, taken := seen[s.name]; taken {
			n.problem(s.key, "is the same bucket as %s; each needs its own", other)
		}
		seen[s.name] = s.key
	}
}

func (r ReportSettings) check(n *notes, checks ConfigChecks) {
	checkSchedule(n, "reports.schedule", r.Schedule, checks)
	for _, s := range []struct {
		key   string
		value time.Duration
		zero  bool
	}{
		{"reports.grace", r.Grace, true},
		{"reports.session_idle.with_id", r.SessionIdle.WithID, false},
		{"reports.session_idle.without_id", r.SessionIdle.WithoutID, false},
		{"reports.restate.every", r.Restate.Every, true},
		{"reports.restate.until", r.Restate.Until, true},
	} {
		if s.value < 0 {
			n.problem(s.key, "must not be below zero, got %s", s.value)
		} else if s.value == 0 && !s.zero {
			n.problem(s.key, "must be above zero")
		}
	}
	if r.Keep.Runs < 0 {
		n.problem("reports.keep.runs", "must not be below zero, got %d", r.Keep.Runs)
	}
	if r.Keep.Daily < 0 {
		n.problem("reports.keep.daily", "must not be below zero, got %d", r.Keep.Daily)
	}
	if err := r.Tiers.check(); err != nil {
		n.problem("reports.tiers", "%v", err)
	}
}

func checkSchedule(n *notes, key, text string, checks ConfigChecks) {
	if strings.TrimSpace(text) == "" {
		n.problem(key, `must not be empty; write five fields such as "17 * * * *", or @hourly, @daily, @every 10m`)
	} else if checks.Schedule != nil {
		if err := checks.Schedule(text); err != nil {
			n.problem(key, "%v", err)
		}
	}
}
