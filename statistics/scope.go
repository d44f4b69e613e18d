package statistics

import (
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// Scope is whose sessions somebody may see. The zero one is nobody's.
type Scope struct {
	All     bool // of every tenant
	Tenants []schemas.Tenant
}

// Of is the scope of one tenant.
func Of(tenant schemas.Tenant) Scope { return Scope{Tenants: []schemas.Tenant{tenant}} }

// one is the tenant of a scope that has no other.
func (s Scope) one() (schemas.Tenant, bool) {
	if s.All || len(s.Tenants) != 1 {
		return "", false
	}
	return s.Tenants[0], true
}

// where is the condition that holds for the rows of the scope.
func (s Scope) where() condition {
	if s.All {
		return condition{}
	}
	if len(s.Tenants) == 0 {
		return condition{text: "false"}
	}
	c := condition{text: "tenant IN (?" + strings.Repeat(", ?", len(s.Tenants)-1) + ")"}
	for _, t := range s.Tenants {
		c.args = append(c.args, string(t))
	}
	return c
}

// A condition is a piece of SQL with what its question marks stand for. Nothing that somebody wrote is ever
// part of the text.
type condition struct {
	text string
	args []any
}

// all joins conditions that must all hold; "true" where there are none.
func all(conditions ...condition) condition {
	var texts []string
	var out condition
	for _, c := range conditions {
		if c.text == "" {
			continue
		}
		texts = append(texts, "("+c.text+")")
		out.args = append(out.args, c.args...)
	}
	if out.text = strings.Join(texts, " AND "); out.text == "" {
		out.text = "true"
	}
	return out
}
