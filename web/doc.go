// Package web is what the daemon shows over HTTP. All routes are in one
// table, [Site.routes]: who may use each, what it takes and what answers is
// read off it, by the mux, by the sign-in and by the tests of openapi.json.
//
//   - /api/v1/…: the reports of tenants, for billing systems; reports.go lists,
//     sealed.go hands out, link.go makes links. openapi.json says it all.
//   - /healthz: the process answers. /readyz: it can do its work.
//   - /metrics: for Prometheus; metrics.go.
//   - /: what is up and which runs come next.
//
// # How one request goes
//
// entrance.go accepts its connection. serve.go takes it: the route, who asks
// (signin.go; loopback.go where there are no tokens yet), whether too often
// (limits.go), whether the role and the grants allow it, a place among those served at once.
// Then the route's handler answers or returns an error, which problem.go writes down. What a handler fetches
// for somebody is on record (audit.go) before its first byte leaves.
//
// # What is not there
//
// A tenant's token must not be able to find out whether another tenant exists: for it,
// every other tenant is one that does not. Nothing of a token but its id and name is
// logged, kept or shown.
package web
