package crypto

import (
	"errors"
	"time"
)

// Token is what an access token may do, and what is shown of it. The secret half is not in it.
type Token struct {
	// ID is the public half of the token's text, by which lists, logs and people name it.
	ID string
	// Name is whose it is, as who made it wrote.
	Name string
	Role Role
	// Tenant is whose reports a token of RoleTenant reads; empty for the other roles, except that one of
	// RoleNode may be bound to a tenant.
	Tenant string
	// Reports are the reports that a token of RoleTenant reads: usage, sessions.
	Reports []string
	// Nodes are patterns of the ids of the nodes whose usage a token of RoleNode may post, such as edge-acme-*: * is
	// any number of characters, ? one, [a-z] one of these, none of them a /; a \ takes the meaning off the next. None: all nodes.
	Nodes []string

	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: it is not
	// LastUsed is to the minute; zero: never.
	LastUsed time.Time
}

// Role is what a token is for.
type Role string

// The roles: admins see and do everything, tenants what their grants give them, nodes may only
// post usage.
const (
	RoleAdmin  Role = "admin"
	RoleTenant Role = "tenant"
	RoleNode   Role = "node"
)

// Roles lists them.
var Roles = []Role{RoleAdmin, RoleTenant, RoleNode}

// Why a token is not taken.
var (
	ErrTokenUnknown = errors.New("the token is not known")
	ErrTokenExpired = errors.New("the token has expired")
	ErrTokenRevoked = errors.New("the token was revoked")
)
