// Package web is what the daemon shows over HTTP. All routes are in one
// function, [Site.Handler]; handlers ask the Site and render, they compute
// nothing.
//
//   - /healthz: the process answers. /readyz: it can do its work.
//   - /metrics: for Prometheus; metrics.go.
//   - /: what is up and which runs come next.
//
// There are no tokens yet, so it answers on loopback only: [CheckLoopback] for
// the address that is listened on, and every request must name a loopback host,
// so that no page on the internet can reach it through somebody's browser.
package web
