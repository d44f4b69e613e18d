package bucket

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certify writes a certificate of its own making for a name, and its key.
func certify(t *testing.T, files TLSFiles, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func tlsFiles(t *testing.T, name string) TLSFiles {
	t.Helper()
	dir := t.TempDir()
	files := TLSFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	certify(t, files, name)
	return files
}

func TestTheStoreSpeaksHTTPS(t *testing.T) {
	dir, files := t.TempDir(), tlsFiles(t, "s3.example.com")
	e, s := embeddedWith(t, EmbeddedConfig{Dir: dir, TLS: files})
	if !strings.HasPrefix(e.Config().Endpoint, "https://127.0.0.1:") {
		t.Errorf("it answers at %s", e.Config().Endpoint)
	}
	b := newBucket(t, s)
	mustPut(t, b, "a/b", noise(1, 1<<20))
	if got := mustGet(t, b, "a/b"); len(got) != 1<<20 {
		t.Errorf("%d bytes came back", len(got))
	}
	if running, ok := Running(dir); !ok || running != e.Config() {
		t.Errorf("another process finds %v, want %v", running, e.Config())
	}
	link, err := s.core.PresignedGetObject(t.Context(), b.Name(), "a/b", time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := pinnedTransport(files.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Get(link.String())
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("a signed link: %v, %v", resp, err)
	}
	resp.Body.Close()
	// In clear it says nothing, and who does not know the certificate does not trust it.
	if resp, err := http.Get("http" + strings.TrimPrefix(e.Config().Endpoint, "https")); err == nil && resp.StatusCode < 400 {
		t.Errorf("in clear: %v", resp.Status)
	}
	if _, err := http.Get(e.Config().Endpoint); err == nil {
		t.Error("somebody trusts it who does not know it")
	}
	other := e.Config()
	other.Certificate = tlsFiles(t, "s3.example.com").Certificate
	wrong, err := newStore(other, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Now(t.Context()); err == nil || !strings.Contains(err.Error(), "shows another certificate than the one in "+other.Certificate) {
		t.Errorf("with another certificate: %v", err)
	}
}

func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	files := tlsFiles(t, "first.example.com")
	tick := make(chan time.Time)
	e, s := embeddedWith(t, EmbeddedConfig{TLS: files, tick: tick})
	b := newBucket(t, s)
	shown := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(e.Config().Endpoint, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	looked := func() { // twice: the second is only taken when all that the first led to was begun
		tick <- time.Time{}
		tick <- time.Time{}
	}
	becomes := func(want string) {
		t.Helper()
		for range 100 {
			if shown() == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("it shows %s, want %s", shown(), want)
	}
	looked()
	becomes("first.example.com")
	mustPut(t, b, "k", []byte("x"))

	key, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files.Key, []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	looked()
	becomes("first.example.com")
	if err := os.WriteFile(files.Key, key, 0o600); err != nil {
		t.Fatal(err)
	}
	certify(t, files, "second.example.com")
	transport, err := pinnedTransport(files.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	transport.CloseIdleConnections()
	mustGet(t, b, "k") // the file has the new one, and the store shows the old one still
	looked()
	becomes("second.example.com")
	transport.CloseIdleConnections()
	mustGet(t, b, "k")
	if err := os.Remove(files.Certificate); err != nil {
		t.Fatal(err)
	}
	looked()
	becomes("second.example.com")
}

func TestCertificatesThatCannotBeUsed(t *testing.T) {
	good, other := tlsFiles(t, "a.example.com"), tlsFiles(t, "b.example.com")
	for name, files := range map[string]TLSFiles{
		"no key":             {Certificate: good.Certificate},
		"no certificate":     {Key: good.Key},
		"the key of another": {good.Certificate, other.Key},
		"no such file":       {good.Certificate + "x", good.Key},
	} {
		e, err := OpenEmbedded(t.Context(), EmbeddedConfig{Dir: t.TempDir(), TLS: files})
		if err == nil || !strings.Contains(err.Error(), "TLS") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			e.Close()
		}
	}
}
