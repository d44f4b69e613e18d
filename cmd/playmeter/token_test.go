package main

import (
	"testing"
	"time"

	"github.com/playmeter/playmeter/crypto"
)

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 10, 14, 9, 17, 0, 0, time.UTC)
	tests := []struct {
		name, text string
		role       crypto.Role
		want       string // empty: never; "error"
	}{
		{"an admin's, where nothing is said", "", crypto.RoleAdmin, "2027-10-14T09:17:00Z"},
		{"a tenant's, where nothing is said", "", crypto.RoleTenant, "2027-10-14T09:17:00Z"},
		{"a node's, where nothing is said", "", crypto.RoleNode, ""},
		{"never", "never", crypto.RoleAdmin, ""},
		{"days", "90d", crypto.RoleNode, "2027-01-12T09:17:00Z"},
		{"one day", "1d", crypto.RoleNode, "2026-10-15T09:17:00Z"},
		{"a hundred years", "36500d", crypto.RoleNode, "2126-09-20T09:17:00Z"},
		{"a day longer", "36501d", crypto.RoleNode, "error"},
		{"no day", "0d", crypto.RoleNode, "error"},
		{"days gone by", "-1d", crypto.RoleNode, "error"},
		{"half a day", "0.5d", crypto.RoleNode, "error"},
		{"only the unit", "d", crypto.RoleNode, "error"},
		{"a unit that is none", "9w", crypto.RoleNode, "error"},
		{"tomorrow", "2026-10-15", crypto.RoleNode, "2026-10-15T00:00:00Z"},
		{"today began already", "2026-10-14", crypto.RoleNode, "error"},
		{"this moment", "2026-10-14T09:17", crypto.RoleNode, "error"},
		{"the next one", "2026-10-14T09:17:01Z", crypto.RoleNode, "2026-10-14T09:17:01Z"},
		{"of another offset", "2026-10-15T01:00:00+02:00", crypto.RoleNode, "2026-10-14T23:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, err := expiry(tt.text, tt.role, now)
			got := ""
			if err != nil {
				got = "error"
			} else if !at.IsZero() {
				got = at.Format(time.RFC3339)
			}
			if got != tt.want {
				t.Errorf("%q is %q (%v), want %q", tt.text, got, err, tt.want)
			}
		})
	}
}
