// Package web is what the daemon shows over HTTP. All routes are in one
// table, [Site.routes]: who may use each, what it takes and what answers is
// read off it, by the mux, by the sign-in and by the tests of openapi.json.
//
//   - /api/v1/…: the reports of tenants, for billing systems; reports.go lists,
//     sealed.go hands out, link.go makes links. openapi.json says it all.
//   - /healthz: the process answers. /readyz: it can do its work.
//   - /metrics: for Prometheus; metrics.go.
//   - /, /sessions…: statistics of finished sessions, for people; dashboard.go, sessions.go, what both ask is in
//     statistics.go, and which runs the figures are of in speaks.go. docs/statistics.md says what everything on them means.
//   - /reports…, /runs: months and what they have to fetch; runs, and how the daemon is. reports_page.go, month_page.go, runs_page.go.
//   - /sign-in, /sign-out: a token for a cookie, and back; signin_page.go, browser.go.
//   - /assets/NAME: styles, scripts and the map; assets.go.
//
// # How one request goes
//
// entrance.go accepts its connection. serve.go takes it: the route, who asks
// (signin.go; loopback.go where there are no tokens yet), whether too often
// (limits.go), whether the role and the grants allow it, a place among those served at once.
// Then the route's handler answers or returns an error, which problem.go writes down, and problem_page.go on a page where
// somebody looks at one. What a handler fetches for somebody is on record (audit.go) before its first byte leaves.
//
// # How one page is made
//
// A handler asks for values, and puts them into the types of parts.go (a table, a chart, a form) with texts of human.go: a
// figure as people read it, and the exact one. pages.go renders them with the templates in assets/pages: the whole page, or
// the part of it that htmx asks for. Every page works without scripts; app.js only adds.
//
// # What is not there
//
// A tenant's token must not be able to find out whether another tenant exists: for it,
// every other tenant is one that does not. Nothing of a token but its id and name is
// logged, kept or shown. No page has script, style or anything of another host in it, and no text of viewers is ever
// anything but text.
package web
