package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pairFiles are a certificate and its key in a folder.
type pairFiles struct {
	t         testing.TB
	cert, key string
	changes   int
}

func newPair(t testing.TB, name string) *pairFiles {
	dir := t.TempDir()
	p := &pairFiles{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	p.renew(name)
	return p
}

// renew writes a certificate for a name, as if time had passed.
func (p *pairFiles) renew(name string) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	p.write(p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func (p *pairFiles) write(name string, data []byte) {
	p.t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.changes++
	at := time.Now().Add(time.Duration(p.changes) * time.Second)
	if err := os.Chtimes(name, at, at); err != nil {
		p.t.Fatal(err)
	}
}

func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	files := newPair(t, "first")
	said := new(lockedBuffer)
	c := &clock{at: time.Now()}
	p := &keyPair{certFile: files.cert, keyFile: files.key, log: slog.New(slog.NewTextHandler(said, nil)), now: c.now, looked: c.at}
	if _, err := p.changed(); err != nil {
		t.Fatal(err)
	}
	want := func(name string) {
		t.Helper()
		cert, err := p.get(nil)
		if err != nil || cert.Leaf.Subject.CommonName != name {
			t.Errorf("%v, %v; want %s", cert.Leaf.Subject, err, name)
		}
	}
	want("first")
	files.renew("second")
	want("first") // looked at within this second
	c.move(time.Second)
	want("second")
	c.move(time.Second)
	want("second")

	good, _ := os.ReadFile(files.cert)
	files.write(files.cert, []byte("no certificate"))
	for range 3 {
		c.move(time.Second)
		want("second")
	}
	files.write(files.cert, good)
	c.move(time.Second)
	want("second")
	if err := os.Remove(files.key); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.move(time.Second)
		want("second")
	}
	files.renew("third")
	c.move(-time.Hour) // the clock was put back
	want("third")
	if got := said.String(); strings.Count(got, "level=ERROR") != 2 || strings.Count(got, "read again") != 3 || strings.Contains(got, "PRIVATE") {
		t.Errorf("the log says %s", got)
	}
}

func TestACertificateThatCannotBeUsedIsNoStart(t *testing.T) {
	files, other := newPair(t, "first"), newPair(t, "other")
	if c, err := Certificate(files.cert, files.key, slog.New(slog.DiscardHandler)); err != nil || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("a good pair: %v", err)
	}
	if _, err := Certificate(files.cert, other.key, nil); err == nil || !strings.Contains(err.Error(), "listen.tls") {
		t.Errorf("another's key: %v", err)
	}
	if _, err := Certificate(files.cert, filepath.Join(t.TempDir(), "key.pem"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
	if _, err := Certificate(files.key, files.key, nil); err == nil {
		t.Error("a key is taken for a certificate")
	}
}
