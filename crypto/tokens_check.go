package crypto

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// checkToken lists what is wrong with a token that is to be made.
func checkToken(t Token, now time.Time) error {
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case strings.TrimSpace(t.Name) == "":
		problem("name: say whose the token is, or what for")
	case len(t.Name) > maxTokenName || !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, unicode.IsControl):
		problem("name: at most %d bytes of text on one line", maxTokenName)
	}
	if !slices.Contains(Roles, t.Role) {
		problem("role: must be one of %v, got %q", Roles, t.Role)
	}
	if t.Role == RoleTenant && t.Tenant == "" {
		problem("tenant: a token of a tenant needs one")
	}
	if t.Role == RoleAdmin && t.Tenant != "" {
		problem("tenant: an admin's token is for all of them")
	}
	switch {
	case t.Role == RoleTenant && len(t.Reports) == 0:
		problem("reports: name at least one that the token may read")
	case t.Role != RoleTenant && len(t.Reports) > 0:
		problem("reports: only a tenant's token names them")
	}
	for i, r := range t.Reports {
		if r == "" || slices.Contains(t.Reports[:i], r) {
			problem("reports: %q is empty or named twice", r)
		}
	}
	if t.Role != RoleNode && len(t.Nodes) > 0 {
		problem("nodes: only a node's token names them")
	}
	if err := CheckNodes(t.Nodes); err != nil {
		problem("nodes: %w", err)
	}
	if !t.Expires.IsZero() && !t.Expires.Truncate(time.Second).After(now) {
		problem("expires: must be in the future, got %s", t.Expires.UTC().Format(time.RFC3339))
	}
	return errors.Join(errs...)
}
