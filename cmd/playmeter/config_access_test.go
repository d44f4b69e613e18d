package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
)

// Settings of who gets what, and of what is left out.
func TestAccessSettings(t *testing.T) {
	const tenant = "tenants:\n- id: a\n  grants:\n  - "
	const store = "object_store: {endpoint: \"https://s3\", access_key: k, secret_key: s}\n"
	tests := []struct{ name, text, want string }{
		{"a day", tenant + "{recipient: age1x, reports: [usage], expires: 2027-01-31}", ""},
		{"a day that is none", tenant + "{recipient: age1x, reports: [usage], expires: 31.1.2027}", `playmeter.yaml:4: tenants[0].grants[0].expires: "31.1.2027" is no day`},
		{"readers do not expire", tenant + "{reader: bot, reports: [usage], expires: 2027-01-31}", "expires: is for recipients"},
		{"a key with two ends", tenant + "{recipient: age1x, reports: [usage], expires: 2027-01-31}\n  - {recipient: age1x, reports: [sessions]}", "grants[1].expires: the same recipient expires on another day"},
		{"keys that do not mix", tenant + "{recipient: age1x, reports: [usage]}\n  - {recipient: age1pq1y, reports: [usage, sessions]}", "tenants[0].grants: usage: they do not mix"},
		{"keys that do not meet", tenant + "{recipient: age1x, reports: [usage]}\n  - {recipient: age1pq1y, reports: [sessions]}", ""},
		{"a reader that would be everybody", store + tenant + "{reader: \"*\", reports: [usage]}", `"*" is no name of a reader`},
		{"a reader with a policy variable", store + tenant + "{reader: \"${aws:x}\", reports: [usage]}", "is not set in the environment"},
		{"a reader by ARN", store + tenant + "{reader: \"arn:aws:iam::1:user/x\", reports: [usage]}", ""},
		{"an ARN of the embedded store", tenant + "{reader: \"arn:aws:iam::1:user/x\", reports: [usage]}", "grants[0].reader: reader"},
		{"readers of the embedded store", "readers: [{name: x}]", `readers[0]: readers of the embedded object store need no entry`},
		{"a reader without a name", store + "readers: [{principal: p}]", "readers[0].name: is missing"},
		{"a reader twice", store + "readers: [{name: x}, {name: x}]", "readers[1].name: x is listed before"},
		{"half a key", store + "readers: [{name: x, access_key: k}]", "readers[0]: access_key, secret_key: one is missing"},
		{"a principal that would be everybody", store + "readers: [{name: x, principal: \"arn:*\"}]", "readers[0].principal: must not hold"},
		{"a dialect", store[:len(store)-2] + ", dialect: ceph}", ""},
		{"a dialect that is none", store[:len(store)-2] + ", dialect: gcs}", `"gcs" is not known; write aws, ceph, minio or versitygw`},
		{"a dialect of the embedded store", "object_store: {dialect: aws}", "object_store.endpoint: is missing"},
		{"an address for others", "object_store: {public_endpoint: \"https://s3.example.com\"}", ""},
		{"an address for others with a path", "object_store: {public_endpoint: \"https://s3.example.com/x\"}", "object_store.public_endpoint: must end after the host"},
		{"a certificate without its key", "listen: {tls: {certificate: c.pem}}", "listen.tls: needs both"},
		{"a proxy and a network", "listen: {proxies: [10.0.0.7, \"fd00::/8\"]}", ""},
		{"a proxy by name", "listen: {proxies: [proxy.example.com]}", "listen.proxies[0]: \"proxy.example.com\" is no address"},
		{"masks", "privacy: {sessions: {client_ip: truncate, user_id: hmac}}", ""},
		{"a mask that is none", "privacy: {sessions: {client_ip: blur}}", `"blur" is not known; write keep, drop, truncate or hmac`},
		{"a truncated name", "tenants: [{id: a, privacy: {sessions: {user_id: truncate}}}]", "tenants[0].privacy.sessions.user_id: truncate is for client_ip"},
		{"a mask of a column that has none", "privacy: {sessions: {user_agent: drop}}", "privacy.sessions.user_agent: is not a setting"},
		{"kept for less than nothing", "privacy: {keep: {audit: -1h}}", "privacy.keep.audit: must not be below zero"},
		{"fragments that go before a month is final", "privacy: {keep: {fragments: 95h}}", "privacy.keep.fragments: must be at least 96h0m0s"},
		{"fragments that go with it", "privacy: {keep: {fragments: 96h}}", ""},
	}
	checks := ConfigChecks{Reader: crypto.CheckReaderName, Recipients: func(all []string) error {
		if text := strings.Join(all, " "); strings.Contains(text, "age1pq") && strings.Contains(text, "age1x") {
			return errors.New("they do not mix")
		}
		return nil
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseConfig(configSource{path: "playmeter.yaml", mode: 0o600, data: []byte(tt.text)}, checks)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestMasksOfATenantGoBeforeThoseOfAll(t *testing.T) {
	c := mustLoad(t, "privacy: {sessions: {client_ip: truncate, auth_email: drop}}\ntenants:\n- id: a\n  privacy: {sessions: {client_ip: keep, token: hmac}}\n- id: b\n", nil, nil)
	a, _ := c.Tenant("a")
	b, _ := c.Tenant("b")
	if got, want := c.RulesOf(a).Privacy, (accounting.Privacy{AuthEmail: accounting.MaskDrop, Token: accounting.MaskHMAC}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := c.RulesOf(b).Privacy, (accounting.Privacy{ClientIP: accounting.MaskTruncate, AuthEmail: accounting.MaskDrop}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhatNeedsARestartIsNamed(t *testing.T) {
	before := mustLoad(t, "", nil, nil)
	now := mustLoad(t, "data_dir: x\nlisten: {http: \"127.0.0.1:1\"}\nreports: {grace: 1h, schedule: \"@daily\", tiers: fabric}\nprivacy: {keep: {audit: 1h}, sessions: {token: drop}}\n", nil, nil)
	if got, want := fmt.Sprint(needRestart(before, now)), "[data_dir listen reports.grace privacy.keep]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
