package flussonic

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

func TestRules(t *testing.T) {
	rules := Rules{
		{Match: "films/**", Server: "edge-*.example.com", Tenant: "films", Width: 1920, Height: 1080, DRM: new(true)},
		{Match: "films/**", Tenant: "films", Width: 1280, Height: 720},
		{Match: "news_*", Tenant: "news", DRM: new(false)},
		{Match: "{radio,music}/?", Tenant: "sound"},
		{Match: "free/[a-c]*", Width: 640, Height: 360},
		{Match: "**/shared", Tenant: "late"},
	}
	if err := rules.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, bound, stream, server, want string
	}{
		{"the first that matches decides", "", "films/a", "edge-7.example.com", "films 1920x1080 drm=true"},
		{"a server that the first does not match leaves it to the second", "", "films/a", "core.example.com", "films 1280x720"},
		{"** matches any number of parts", "", "films/a/b/c", "core", "films 1280x720"},
		{"** matches none", "", "films", "core", "refused: stream \"films\" bears the id of its tenant; give it another name"},
		{"* matches within a part", "", "news_1", "core", "news drm=false"},
		{"* does not match a slash", "", "news_1/hd", "core", `refused: no rule names a tenant for stream "news_1/hd"; add one under intake.streams, or post with ?tenant=`},
		{"one of several", "", "music/7", "core", "sound"},
		{"? is one character", "", "music/77", "core", `refused: no rule names a tenant for stream "music/77"; add one under intake.streams, or post with ?tenant=`},
		{"one of a class", "own", "free/b1", "core", "own 640x360"},
		{"none of a class", "own", "free/d1", "core", "own"},
		{"a rule without a tenant leaves it to the sender's", "own", "free/a", "core", "own 640x360"},
		{"a rule without a tenant, and a sender without one", "", "free/a", "core", `refused: no rule names a tenant for stream "free/a"; add one under intake.streams, or post with ?tenant=`},
		{"no rule leaves it to the sender's", "own", "other", "core", "own"},
		{"no rule, and a sender without a tenant", "", "other", "core", `refused: no rule names a tenant for stream "other"; add one under intake.streams, or post with ?tenant=`},
		{"a rule may name the sender's tenant", "films", "films/a", "core", "films 1280x720"},
		{"a rule may not leave the sender's tenant", "own", "films/a", "core", `refused: stream "films/a" belongs to another tenant by a rule under intake.streams, and the sender may post for own only`},
		{"the name decides as it is written", "", "Films/a", "core", `refused: no rule names a tenant for stream "Films/a"; add one under intake.streams, or post with ?tenant=`},
		{"a name that looks like a pattern is a name", "", "**", "core", `refused: no rule names a tenant for stream "**"; add one under intake.streams, or post with ?tenant=`},
		{"** at the beginning", "", "a/b/shared", "core", "late"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Peer: netip.MustParseAddr("192.0.2.10"), Rules: rules, Tenant: schemas.Tenant(tt.bound)}
			r, err := DecodeAll(fmt.Appendf(nil, `{"event":"play_opened","id":"s","media":%q,"server":%q,"opened_at":1792390080000}`, tt.stream, tt.server), o)
			got := ""
			switch {
			case err != nil:
				got = err.Error()
			case len(r.Refused) > 0:
				got = "refused: " + r.Refused[0].Detail
			default:
				e := r.Events[0]
				got = e.TenantID
				if e.Width != nil {
					got += fmt.Sprintf(" %dx%d", *e.Width, *e.Height)
				}
				if e.DRM != nil {
					got += fmt.Sprintf(" drm=%t", *e.DRM)
				}
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAServerWithoutANameIsMatchedByItsID(t *testing.T) {
	rules := Rules{{Match: "**", Server: "abc-*", Tenant: "films"}}
	for server, want := range map[string]int{`"server_id":"abc-1"`: 1, `"server_id":"abc-1","server":"edge1"`: 0, `"server_id":"x","server":"abc-2"`: 1, `"token":"t"`: 0} {
		r, err := DecodeAll([]byte(`{"event":"play_opened","id":"s","media":"news","opened_at":1792390080000,`+server+`}`), Options{Peer: netip.MustParseAddr("192.0.2.10"), Rules: rules})
		if err != nil || len(r.Events) != want {
			t.Errorf("%s: %d events, %v, %v", server, len(r.Events), r.Refused, err)
		}
	}
}

// TestRulesAreNotSharedWithEvents changes an event's size: the next one has the rule's.
func TestRulesAreNotSharedWithEvents(t *testing.T) {
	o := Options{Peer: netip.MustParseAddr("192.0.2.10"), Rules: Rules{{Match: "**", Tenant: "films", Width: 1920, Height: 1080, DRM: new(true)}}}
	body := []byte(`{"event":"play_opened","id":"s","media":"news","opened_at":1792390080000}`)
	first, _ := DecodeAll(body, o)
	*first.Events[0].Width, *first.Events[0].DRM = 1, false
	second, _ := DecodeAll(body, o)
	if *second.Events[0].Width != 1920 || !*second.Events[0].DRM {
		t.Error("an event shares memory with its rule")
	}
}

func TestValidateListsEveryProblem(t *testing.T) {
	err := Rules{
		{Match: "fine/**"},
		{},
		{Match: "a[", Server: "{", Tenant: "-no", Width: 1},
		{Match: "a", Width: -1, Height: 100_001},
		{Match: "a", Width: 100_000, Height: 100_000},
	}.Validate()
	want := []string{
		"[1].match: is missing; ** matches every stream",
		`[2].match: "a[" is no pattern; write it like films/** or news_*`,
		`[2].server: "{" is no pattern; write it like edge-*.example.com`,
		`[2].tenant: tenant id "-no": must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit`,
		"[2].width, height: give both, or neither",
		"[3].width, height: must be from 1 to 100000",
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	if err := (Rules{}).Validate(); err != nil {
		t.Error(err)
	}
}
