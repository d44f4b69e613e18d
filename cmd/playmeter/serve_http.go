package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/web"
)

// door is where the daemon answers over HTTP: all of it that can be wrong before anything else is begun.
type door struct {
	net.Listener
	tls    *tls.Config // nil: plain HTTP
	tokens *crypto.TokenStore
}

// openDoor takes the address, and lets none be taken that strangers reach before there is a token.
func (a *app) openDoor(c *Config) (*door, error) {
	d := &door{tokens: crypto.OpenTokens(c.keysDir())}
	any, err := d.tokens.Any()
	if err != nil {
		return nil, err
	}
	if err := web.CheckLoopback(c.Listen.HTTP, any); err != nil {
		return nil, usagef("listen.http: %w", err)
	}
	if c.Listen.TLS.Certificate != "" {
		if d.tls, err = web.Certificate(c.Listen.TLS.Certificate, c.Listen.TLS.Key, a.log()); err != nil {
			return nil, usageError{err}
		}
	} else if web.CheckLoopback(c.Listen.HTTP, false) != nil {
		a.say("warning: listen.http is %s without listen.tls, so tokens and lists can be read on the way: set listen.tls, or let only a proxy that speaks HTTPS reach it", c.Listen.HTTP)
	}
	d.Listener, err = listen(c.Listen.HTTP)
	return d, err
}

// address is where a browser finds it.
func (d *door) address() string {
	if d.tls != nil {
		return "https://" + d.Addr().String()
	}
	return "http://" + d.Addr().String()
}

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen.http: another program uses %s: choose another with --listen-http or %sLISTEN_HTTP, such as 127.0.0.1:0", address, EnvPrefix)
	} else if err != nil {
		return nil, fmt.Errorf("listen.http: %w", err)
	}
	return l, nil
}

// startHTTP begins to answer.
func (d *daemon) startHTTP(l *door, m *web.Metrics) {
	d.audit = web.NewAudit(d.reporter.Buckets.Metering, d.reporter.Log, m)
	page := &web.Site{Version: softwareVersion(), Started: time.Now(), Store: d.store.Config().Endpoint, Metrics: m, Now: time.Now,
		Ready: d.ready, Runs: d.nextRuns,
		Tokens: l.tokens, Proxies: d.config.Listen.Proxies, Reports: d.reporter, Intake: d.intake, Audit: d.audit, Log: d.reporter.Log, Assets: d.assets,
		Watch: &d.watch, RunNow: d.runNow, Inflow: d.inflow, Go: d.begin}
	if d.statistics != nil {
		page.Statistics = d.statistics
	}
	d.http = page.Server(l.tls)
	go func() {
		if err := page.Serve(d.http, l.Listener); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("serve %s: %w", d.address, err)
		}
	}()
}
