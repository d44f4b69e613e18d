package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

func (t *TenantSettings) check(n *notes, key string, checks ConfigChecks, embedded bool) {
	if t.ID == "" {
		n.problem(key+".id", "is missing; write the tenant's id as it is in usage files")
	} else if t.ID == schemas.SignersFile {
		n.problem(key+".id", "%s is the name of an object of the reporting bucket, and no tenant can bear it", t.ID)
	}
	if t.Name == "" {
		t.Name = string(t.ID)
	}
	if t.Schedule != "" {
		checkSchedule(n, key+".schedule", t.Schedule, checks)
	}
	checkMasks(n, key+".privacy.sessions", t.Privacy.Sessions)
	for i, g := range t.Grants {
		g.check(n, fmt.Sprintf("%s.grants[%d]", key, i), checks, embedded)
	}
	t.checkRecipients(n, key, checks)
}

func (g Grant) check(n *notes, key string, checks ConfigChecks, embedded bool) {
	switch {
	case g.Recipient == "" && g.Reader == "":
		n.problem(key, `names nobody; write recipient: a public key ("playmeter keygen" makes one), or reader: an access key`)
	case g.Recipient != "" && g.Reader != "":
		n.problem(key, "names both a recipient and a reader; make two grants of it")
	case g.Recipient != "" && checks.Recipient != nil:
		if err := checks.Recipient(g.Recipient); err != nil {
			n.problem(key+".recipient", "%s", strings.TrimPrefix(err.Error(), "recipient: "))
		}
	case g.Reader != "":
		checkReader(n, key+".reader", g.Reader, checks, embedded)
	}
	if g.Reader != "" && !g.Expires.IsZero() {
		n.problem(key+".expires", "is for recipients; remove the grant of a reader when it ends")
	}
	if len(g.Reports) == 0 {
		n.problem(key+".reports", "is missing; write [usage], [sessions] or [usage, sessions]")
	}
	for i, r := range g.Reports {
		if slices.Contains(g.Reports[:i], r) && r != "" {
			n.problem(fmt.Sprintf("%s.reports[%d]", key, i), "%s is listed twice", r)
		}
	}
}

// checkReader wants names that a policy can hold: * would be everybody.
func checkReader(n *notes, key, name string, checks ConfigChecks, embedded bool) {
	switch {
	case strings.ContainsAny(name, "*?\"$ \t\r\n"):
		n.problem(key, "%q is no name of a reader; no blanks, quotes or wildcards", name)
	case embedded && checks.Reader != nil:
		if err := checks.Reader(name); err != nil {
			n.problem(key, "%v", err)
		}
	}
}

// checkRecipients wants of the keys of a report that one file can be sealed to all, and of
// a key that it expires on one day.
func (t *TenantSettings) checkRecipients(n *notes, key string, checks ConfigChecks) {
	expires := make(map[string]time.Time)
	for i, g := range t.Grants {
		if at, again := expires[g.Recipient]; again && g.Recipient != "" && !at.Equal(g.Expires.Time) {
			n.problem(fmt.Sprintf("%s.grants[%d].expires", key, i), "the same recipient expires on another day in a grant above; give both the same")
		}
		expires[g.Recipient] = g.Expires.Time
	}
	if checks.Recipients == nil {
		return
	}
	for _, report := range schemas.Reports {
		if err := checks.Recipients(t.Recipients(report)); err != nil {
			n.problem(key+".grants", "%s: %v", report, err)
		}
	}
}

// checkReaders looks at the readers of a foreign store.
func (c *Config) checkReaders(n *notes) {
	for i, r := range c.Readers {
		key := fmt.Sprintf("readers[%d]", i)
		switch {
		case c.ObjectStore.Embedded():
			n.problem(key, `readers of the embedded object store need no entry; make them with "playmeter reader add"`)
		case r.Name == "":
			n.problem(key+".name", "is missing; write the name that grants call the reader by")
		case slices.ContainsFunc(c.Readers[:i], func(o ReaderSettings) bool { return o.Name == r.Name }):
			n.problem(key+".name", "%s is listed before", r.Name)
		}
		if (r.AccessKey == "") != (r.SecretKey == "") {
			n.problem(key, "access_key, secret_key: one is missing; give both or neither")
		}
		if strings.ContainsAny(r.Principal, "*?\"$ \t\r\n") {
			n.problem(key+".principal", "must not hold blanks, quotes or wildcards")
		}
	}
}

func (p PrivacySettings) check(n *notes, grace time.Duration) {
	checkMasks(n, "privacy.sessions", p.Sessions)
	for _, s := range []struct {
		key   string
		value time.Duration
	}{{"fragments", p.Keep.Fragments}, {"sessions", p.Keep.Sessions}, {"audit", p.Keep.Audit}} {
		if s.value < 0 {
			n.problem("privacy.keep."+s.key, "must not be below zero, got %s", s.value)
		}
	}
	if least := grace + 24*time.Hour; p.Keep.Fragments > 0 && p.Keep.Fragments < least {
		n.problem("privacy.keep.fragments", "must be at least %s (reports.grace and a day), got %s: months are made from them until they are final", least, p.Keep.Fragments)
	}
}

// checkMasks wants that only addresses are truncated.
func checkMasks(n *notes, key string, p accounting.Privacy) {
	for _, m := range []struct {
		name string
		mask accounting.Mask
	}{{"auth_identity", p.AuthIdentity}, {"auth_addr", p.AuthAddr}, {"auth_email", p.AuthEmail}, {"user_id", p.UserID}, {"token", p.Token}} {
		if m.mask == accounting.MaskTruncate {
			n.problem(key+"."+m.name, "truncate is for client_ip; write keep, drop or hmac")
		}
	}
}
