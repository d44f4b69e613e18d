package main

import (
	"strings"
	"testing"
)

// TestMistakesInIntakeLogsAndSourcesAreNamed, and none of them ends the program.
func TestMistakesInIntakeLogsAndSourcesAreNamed(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a preset that is none", "logs: [{name: a, like: ngninx, fields: {time: ts}}]", `logs[0].like: "ngninx" is no preset`},
		{"a column that is none", "logs: [{name: a, fields: {tiem: ts}}]", `logs[0].fields.tiem: is no column; did you mean time?`},
		{"two formats of one name", "logs: [{name: a}, {name: a}]", `logs[1].name: "a" is the name of another format`},
		{"events that never wait", "intake: {every: 1ms}", "intake.every: 1ms is too short"},
		{"a size that is none", "intake: {size: much}", `intake.size: "much" is no size`},
		{"files that are too small", "intake: {size: 1KB}", "intake.size: must be from 1MiB"},
		{"a log that holds less than two files", "intake: {size: 64MB, most: 100MB}", "intake.most: must be at least twice"},
		{"a key of a server that is empty", "intake: {sign_keys: [{tenant: a}]}", "intake.sign_keys[0].key: is missing"},
		{"a rule that matches nothing", "intake: {streams: [{tenant: a}]}", "intake.streams[0].match: is missing"},
		{"a pattern that is none", `intake: {streams: [{match: "a[", tenant: a}]}`, "intake.streams[0].match"},
		{"who signs in nowhere", "intake: {nats: {user: a}}", "intake.nats.url: is missing"},
		{"a user in an address", "intake: {nats: {url: \"nats://me:secret@h:1\"}}", "intake.nats.url: must not hold a user"},
		{"another protocol", "intake: {nats: {url: \"http://h:1\"}}", "is no address of a server"},
		{"a stream with a dot", "intake: {nats: {url: \"nats://h:1\", stream: a.b}}", "intake.nats.stream"},
		{"too many copies", "intake: {nats: {url: \"nats://h:1\", replicas: 9}}", "intake.nats.replicas: must be from 1 to 5"},
		{"a source without a name", "sources: [{bucket: drops, format: nginx}]", "sources[0].name"},
		{"a source in the usage bucket", "sources: [{name: a, bucket: usage, format: nginx}]", "sources[0].bucket: is where usage files are"},
		{"a format of a source that is none", "sources: [{name: a, bucket: drops, format: ngninx}]", `sources[0].format: "ngninx" is not known`},
		{"keys of no service", "sources: [{name: a, bucket: drops, format: nginx, access_key: x}]", "sources[0].endpoint: is missing"},
		{"a look too often", "sources: [{name: a, bucket: drops, format: nginx, every: 1ms}]", "sources[0].every: 1ms is too short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(tt.text, nil, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Error("a password is shown")
			}
		})
	}
}

func TestSwitchesOfStreamsAreOnOffOrNotGiven(t *testing.T) {
	c := mustLoad(t, `intake: {streams: [{match: a, drm: on}, {match: b, drm: "off"}, {match: c}]}`, nil, nil)
	rules := c.Intake.rules().Streams
	if rules[0].DRM == nil || !*rules[0].DRM || rules[1].DRM == nil || *rules[1].DRM || rules[2].DRM != nil {
		t.Errorf("%+v", rules)
	}
}
