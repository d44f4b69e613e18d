package logs

import (
	"slices"
	"strings"
	"testing"
)

func TestPresetsAreValid(t *testing.T) {
	for _, name := range Presets() {
		f, ok := Preset(name)
		if !ok || f.Validate() != nil {
			t.Errorf("%s: %v", name, f.Validate())
		}
		f.Fields["time"] = "changed"
		if again, _ := Preset(name); again.Fields["time"] == "changed" {
			t.Errorf("%s: a change of a copy changed the preset", name)
		}
	}
	if _, ok := Preset("apache"); ok {
		t.Error("there is a preset that is none")
	}
}

func TestEveryProblemOfAFormatIsNamed(t *testing.T) {
	f := Format{Name: "a b", Lines: "csv", Times: "epoch",
		Fields:    map[Column]string{"bites": "b"},
		Constants: map[Column]string{"kind": "session", "track": "av", "nothing": "x"},
		URLs: []URL{{}, {Match: "("}, {Match: "(?P<show>.)"}, {Match: strings.Repeat("x", maxPattern+1)},
			{Match: ".", Methods: []string{"get"}, Kind: "play", Track: "v", DRM: "yes", Live: "no"}},
		Renditions: []Rendition{{}, {Name: "a", MinKbps: 5, MaxKbps: 4}, {Name: "b", Width: 5}, {Name: "c", MinKbps: -1}},
	}
	err := f.Validate()
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{`name: "a b"`, `lines: "csv"`, `times: "epoch"`, "fields.bites: is no column", "fields.time: is missing",
		`constants.kind: "session"`, `constants.track: "av"`, "constants.nothing: is no column", "urls[0].match: is missing", "urls[1].match: error parsing",
		`urls[2].match: there is no group "show"`, "urls[3].match: is longer", `urls[4].methods: "get"`, `urls[4].kind: "play"`, `urls[4].track: "v"`,
		`urls[4].drm: "yes"`, `urls[4].live: "no"`, "renditions[0]: needs a name", "renditions[1].kbps: 5 to 4", "renditions[2]: width and height", "renditions[3].kbps: -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not named: %s", want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 21 {
		t.Errorf("%d problems, want 21:\n%v", n, err)
	}
	if _, _, err := tryRead(&f, tenantA, ""); err == nil {
		t.Error("a log is read with it")
	}
}

func TestTooManyPatternsAndRenditions(t *testing.T) {
	f, _ := Preset("nginx")
	f.URLs = slices.Repeat([]URL{{Match: "."}}, maxURLs)
	f.Renditions = slices.Repeat([]Rendition{{Name: "a"}}, maxRenditions)
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	f.URLs, f.Renditions = append(f.URLs, URL{Match: "."}), append(f.Renditions, Rendition{Name: "a"})
	if err := f.Validate(); err == nil || !strings.Contains(err.Error(), "urls: 201") || !strings.Contains(err.Error(), "renditions: 1001") {
		t.Error(err)
	}
}

func TestFieldsOfOnesOwn(t *testing.T) {
	f, _ := Preset("ndjson")
	f.Fields["url"], f.Fields["user_agent"], f.Fields["client_ip"] = "request.uri", "request.headers.User-Agent", "ip|request.remote_ip"
	f.Constants = map[Column]string{"node_id": "n1", "tenant_id": "b", "live": "off"}
	f.URLs = []URL{{Match: ladder}}
	line := `{"time":1740909600.5,"status":200,"bytes":null,"request":{"uri":"/film/720p/seg4.ts","remote_ip":"::1","headers":{"User-Agent":["UA","other"]}},"duration_us":4000000,"user_id":"u","seq":{"x":[1]}}`
	events, sum := readAll(t, &f, tenantA, line)
	if len(events) != 1 {
		t.Fatalf("%+v", sum)
	}
	e := events[0]
	if got, want := show(e), "film/ #4 4000000us hls vod"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if e.UserAgent != "UA" || e.ClientIP != "::1" || e.NodeID != "n1" || e.TenantID != "b" || e.UserID != "u" || e.Bytes != nil || *e.Status != 200 || e.Time != 1740909600500000000 {
		t.Errorf("%+v", e)
	}
	if sum.Micros["muxed"] != 4e6 {
		t.Errorf("%+v", sum)
	}
}

func TestTheFirstNameWithAValueCounts(t *testing.T) {
	f := nginx(t, func(f *Format) { withLadder(f); f.Fields["client_ip"] = "xff|remote_addr" })
	for line, want := range map[string]string{nginxLine(""): "10.0.0.7", nginxLine("xff=1.1.1.1"): "1.1.1.1", nginxLine("xff=-"): "10.0.0.7", nginxLine("xff="): "10.0.0.7"} {
		if events, _ := readAll(t, f, tenantA, line); events[0].ClientIP != want {
			t.Errorf("got %q, want %q: %s", events[0].ClientIP, want, line)
		}
	}
}

func TestNamesOfFieldsInOtherLetters(t *testing.T) {
	events, sum := readAll(t, preset(t, "cloudfront"), tenantA,
		"#Fields: Timestamp X-Edge-Location CS-Method CS-URI-Stem\n1740909601\tMUC\tGET\t/film/720p/seg8.ts")
	if len(events) != 1 || events[0].NodeID != "MUC" || *events[0].Segment != 8 {
		t.Errorf("%+v", sum)
	}
}

func TestWhichReasonsMayBeLostUsage(t *testing.T) {
	var harmless []Reason
	for _, why := range []Reason{NotMedia, Method, Excluded, BadLine, BadTime, BadValue, NoObject, NoTenant, BadTenant, NoNode, IDTooLong, ObjectIsTenant} {
		if !why.Bad() {
			harmless = append(harmless, why)
		}
	}
	if !slices.Equal(harmless, []Reason{NotMedia, Method, Excluded}) {
		t.Error(harmless)
	}
	s := Summary{Skipped: map[Reason]int64{NotMedia: 5, BadLine: 2, Method: 2, NoNode: 7}}
	if got := s.Reasons(); s.BadLines() != 9 || !slices.Equal(got, []Reason{NoNode, NotMedia, BadLine, Method}) {
		t.Error(got, s.BadLines())
	}
}
