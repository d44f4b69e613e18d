package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// askedAgain is where somebody is led back to who signs in with another token.
var askedAgain = regexp.MustCompile(`/sign-in\?next=[^"]*`)

// testRoles has everybody ask for everything: they see what their tokens give them, and no word of others.
func testRoles(t *testing.T, w *pagesWorld) {
	month := w.month.String()
	var foreign []string // what nobody of the first tenant may read
	for _, tenant := range others {
		foreign = append(foreign, tenant.ID, tenant.Name)
		foreign = append(foreign, w.texts(t, `SELECT DISTINCT object_id FROM sessions WHERE tenant = %s`, quoted(tenant.ID))...)
	}
	foreign = append(foreign, hostileTenant)
	personal := w.texts(t, "SELECT DISTINCT ip FROM sessions WHERE tenant = %[1]s AND ip <> '' UNION SELECT DISTINCT user_name FROM sessions WHERE tenant = %[1]s AND user_name <> ''", quoted(filmTenant.ID))
	stranger := others[0].ID
	for _, tt := range []struct {
		path string
		want map[string]int // by role; admin sees all
	}{
		{"/?month=" + month, map[string]int{roleBoth: 200, roleUsage: 200, roleSessions: 200}},
		{"/?tenant=" + stranger + "&month=" + month, map[string]int{roleBoth: 404, roleUsage: 404, roleSessions: 404}},
		{w.inMonth("/sessions"), map[string]int{roleBoth: 200, roleUsage: 403, roleSessions: 200}},
		{w.inMonth("/sessions/users"), map[string]int{roleBoth: 200, roleUsage: 403, roleSessions: 200}},
		{w.inMonth("/sessions/servers"), map[string]int{roleBoth: 200, roleUsage: 403, roleSessions: 200}},
		{w.inMonth("/sessions", "tenant", stranger), map[string]int{roleBoth: 404, roleUsage: 403, roleSessions: 404}},
		{w.inMonth("/sessions/playback/export.csv"), map[string]int{roleBoth: 200, roleUsage: 403, roleSessions: 200}},
		{w.inMonth("/sessions/unique/export.csv", "tenant", stranger), map[string]int{roleBoth: 404, roleUsage: 403, roleSessions: 404}},
		{w.inMonth("/sessions", "stream", "*"), map[string]int{roleBoth: 200, roleUsage: 403, roleSessions: 200}},
		{w.inMonth("/sessions", "ip", "0.0.0.0/0"), map[string]int{roleBoth: 200, roleUsage: 403, roleSessions: 200}},
		{"/reports", map[string]int{roleBoth: 200, roleUsage: 200, roleSessions: 200}},
		{"/reports?tenant=" + stranger, map[string]int{roleBoth: 404, roleUsage: 404, roleSessions: 404}},
		{"/reports/" + filmTenant.ID + "/" + month, map[string]int{roleBoth: 200, roleUsage: 200, roleSessions: 200}},
		{"/reports/" + filmTenant.ID + "/" + month + "/usage", map[string]int{roleBoth: 200, roleUsage: 200, roleSessions: 403}},
		{"/reports/" + filmTenant.ID + "/" + month + "/sessions", map[string]int{roleBoth: 200, roleUsage: 403, roleSessions: 200}},
		{"/reports/" + stranger + "/" + month, map[string]int{roleBoth: 404, roleUsage: 404, roleSessions: 404}},
		{"/runs", map[string]int{roleBoth: 403, roleUsage: 403, roleSessions: 403}},
		{"/metrics", map[string]int{roleBoth: 403, roleUsage: 403, roleSessions: 403}},
		{"/api/v1/tenants", map[string]int{roleBoth: 200, roleUsage: 200, roleSessions: 200}},
		{"/api/v1/tenants/" + filmTenant.ID + "/reports", map[string]int{roleBoth: 200, roleUsage: 200, roleSessions: 200}},
		{"/api/v1/tenants/" + stranger + "/reports", map[string]int{roleBoth: 404, roleUsage: 404, roleSessions: 404}},
		{"/nowhere", map[string]int{roleBoth: 404, roleUsage: 404, roleSessions: 404}},
	} {
		for role, want := range tt.want {
			t.Run(fmt.Sprintf("%s gets %d of %s", role, want, strings.NewReplacer(stranger, "STRANGER", filmTenant.ID, "OWN", "/", ":").Replace(tt.path)), func(t *testing.T) {
				status, body := w.get(t, w.tokens[role], tt.path)
				if status != want {
					t.Errorf("it is answered with %d", status)
				}
				body = askedAgain.ReplaceAllString(body, "") // what was asked for stands there, to be asked for again
				for _, word := range foreign {
					if strings.Contains(body, word) {
						t.Errorf("it tells of %q", word)
					}
				}
				if role != roleUsage {
					return
				}
				for _, word := range personal {
					if len(word) > 4 && strings.Contains(body, word) {
						t.Errorf("it tells of the viewer %q", word)
					}
				}
				if strings.Contains(body, `"/sessions`) {
					t.Error("it leads to sessions")
				}
			})
		}
		if status, _ := w.get(t, w.tokens[roleNode], tt.path); status != http.StatusForbidden && tt.path != "/nowhere" {
			t.Errorf("a node gets %d of %s", status, tt.path)
		}
	}
	t.Run("the pages that are refused say why, and can be used by everybody", func(t *testing.T) {
		b := w.tabAs(t, roleUsage)
		b.refuse(w.inMonth("/sessions"), http.StatusForbidden)
		b.barriers()
		b.refuse("/runs", http.StatusForbidden)
		b.barriers()
		b.refuse("/?tenant="+stranger, http.StatusNotFound)
		b.barriers()
		if said := js[string](b, `document.querySelector("main").textContent`); strings.Contains(said, stranger) {
			t.Errorf("it says %q", said)
		}
	})
	t.Run("with usage alone the dashboard has no viewers, devices, places or servers", func(t *testing.T) {
		b := w.tabAs(t, roleUsage)
		b.open("/?month=" + month)
		b.until(drawn)
		if got := js[string](b, `[...document.querySelectorAll("main .tile dt")].map((e) => e.textContent).join()`); got != "Views,View time,Traffic" {
			t.Errorf("tiles %q", got)
		}
		if got := js[string](b, `[...document.querySelectorAll("main section[id], main figure[id]")].map((e) => e.id).join()`); got != "streams-by-view-time,streams-by-traffic,days,protection,quality" {
			t.Errorf("parts %q", got)
		}
		b.barriers()
	})
}
