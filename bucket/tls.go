package bucket

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// TLSFiles make the embedded store speak HTTPS: a certificate, followed by those that vouch for it,
// and its key, as PEM files. They are looked at once a second, and read again when they change; a pair that
// cannot be used (of which one half is not there yet, say) leaves the one before in use.
type TLSFiles struct{ Certificate, Key string }

// None tells that there is no certificate.
func (f TLSFiles) None() bool { return f.Certificate == "" && f.Key == "" }

// absolute makes the paths so, and checks the pair.
func (f TLSFiles) absolute() (TLSFiles, error) {
	if f.None() {
		return f, nil
	}
	if f.Certificate == "" || f.Key == "" {
		return f, errors.New("TLS needs a certificate and its key, and one is missing")
	}
	var abs TLSFiles
	var errCert, errKey error
	abs.Certificate, errCert = filepath.Abs(f.Certificate)
	abs.Key, errKey = filepath.Abs(f.Key)
	if err := errors.Join(errCert, errKey, abs.check()); err != nil {
		return f, fmt.Errorf("TLS certificate %s: %w", f.Certificate, err)
	}
	return abs, nil
}

func (f TLSFiles) check() error {
	_, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	return err
}

// watch tells the gateway to read the files again when they have changed and belong together.
func (f TLSFiles) watch(ctx context.Context, tick <-chan time.Time, reload chan<- struct{}) {
	was := f.look()
	for {
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
		now := f.look()
		if sameFiles(was, now) || f.check() != nil {
			continue
		}
		select {
		case reload <- struct{}{}:
			was = now
		case <-ctx.Done():
			return
		}
	}
}

// look is what a change of the files is known by; nil for one that is not there.
func (f TLSFiles) look() (all [2]fs.FileInfo) {
	for i, name := range []string{f.Certificate, f.Key} {
		all[i], _ = os.Stat(name)
	}
	return all
}

func sameFiles(a, b [2]fs.FileInfo) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil {
			return false
		}
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// certPin trusts the one server that shows the certificate that a file has. Names, issuers and
// dates do not matter: we know the file, and reach the store by an address that its
// certificate need not name.
//
// The one before is trusted, too, because the store takes a moment to read a new file.
type certPin struct {
	path string

	mu   sync.Mutex
	last []byte // DER
}

func (p *certPin) verify(c tls.ConnectionState) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("the object store shows no certificate")
	}
	shown := c.PeerCertificates[0].Raw
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Equal(shown, p.last) {
		return nil
	}
	data, err := os.ReadFile(p.path)
	if err != nil {
		return fmt.Errorf("the certificate of the object store: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" || !bytes.Equal(block.Bytes, shown) {
		return fmt.Errorf("the object store shows another certificate than the one in %s", p.path)
	}
	p.last = shown
	return nil
}

// pins are transports by certificate file, shared by all stores of the process.
var pins sync.Map // string → func() (*http.Transport, error)

// pinnedTransport is a transport that trusts the certificate in a file.
func pinnedTransport(path string) (*http.Transport, error) {
	get, _ := pins.LoadOrStore(path, sync.OnceValues(func() (*http.Transport, error) {
		t, err := newTransport(true)
		if err != nil {
			return nil, err
		}
		p := &certPin{path: path}
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: p.verify} // verify decides
		return t, nil
	}))
	return get.(func() (*http.Transport, error))()
}

// transportFor is how the store of a configuration is reached.
func transportFor(cfg Config, secure bool) (*http.Transport, error) {
	if secure && cfg.Certificate != "" {
		return pinnedTransport(cfg.Certificate)
	}
	return transports[secure]()
}
