package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate is a TLS configuration whose certificate is read again when its files change, so that it is
// renewed without a restart. A pair that cannot be used is told in the log, once, and the one before stays in use.
//
//   - Both files are PEM; the certificate comes first in its file, then those that vouch for it. The paths are
//     absolute, because the embedded store changes the working directory.
//   - The files are looked at with a handshake, at most once a second.
//   - Errors: the first pair cannot be used.
func Certificate(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	p := &keyPair{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	if _, err := p.changed(); err != nil {
		return nil, err
	}
	p.looked = p.now()
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.get}, nil
}

// keyPair is a certificate and its key, and the files that they are from.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu     sync.Mutex
	looked time.Time
	seen   [2]version // of the files when they were read last, usable or not
	told   string     // what the log was told is wrong with them
	cert   *tls.Certificate
}

// version is by what a change of a file is noticed.
type version struct {
	modified int64
	size     int64
}

func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if since := now.Sub(p.looked); 0 <= since && since < time.Second {
		return p.cert, nil
	}
	p.looked = now
	switch changed, err := p.changed(); {
	case err != nil && err.Error() != p.told:
		p.told = err.Error()
		p.log.Error("the new certificate cannot be used; the one before stays in use", "object", p.certFile, "err", err)
	case changed:
		p.told = ""
		p.log.Info("the certificate was read again", "object", p.certFile, "until", p.cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return p.cert, nil
}

// changed reads the files when they are not those that were read last, and tells whether they were taken.
func (p *keyPair) changed() (bool, error) {
	var seen [2]version
	for i, name := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return false, fmt.Errorf("listen.tls: %w", err)
		}
		seen[i] = version{info.ModTime().UnixNano(), info.Size()}
	}
	if seen == p.seen {
		return false, nil
	}
	p.seen = seen
	cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return false, fmt.Errorf("listen.tls: read %s and %s: %w", p.certFile, p.keyFile, err)
	}
	p.cert = &cert
	return true, nil
}
