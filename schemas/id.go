package schemas

import (
	"fmt"
	"regexp"
)

// Tenant is a customer of the platform; it becomes a key prefix.
type Tenant string

// Object is the id of a content object.
type Object string

// Node is the id of a server that observes events.
type Node string

// MaxID is the longest object, node or session id in bytes (SPEC 1).
const MaxID = 1024

var tenantPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ParseTenant checks a tenant id against SPEC 1.
func ParseTenant(s string) (Tenant, error) {
	if !tenantPattern.MatchString(s) {
		return "", fmt.Errorf("tenant id %q: must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit", s)
	}
	return Tenant(s), nil
}
