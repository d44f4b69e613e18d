package crypto

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPseudonymsKeyIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if p, err := OpenPseudonyms(dir, false); p != nil || err != nil {
		t.Fatalf("where none is needed: %v, %v", p, err)
	}
	var keys [8][]byte
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			p, err := OpenPseudonyms(dir, true)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = p.Key("a")
		})
	}
	all.Wait()
	again, err := OpenPseudonyms(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		if !bytes.Equal(keys[i], again.Key("a")) {
			t.Fatalf("opening %d gave another key", i)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, pseudonymsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if bytes.Equal(again.Key("a"), again.Key("b")) || len(again.Key("a")) != 32 {
		t.Error("two tenants share a key")
	}
	other, err := OpenPseudonyms(filepath.Join(t.TempDir(), "keys"), true)
	if err != nil {
		t.Fatal(err)
	}
	if other.Fingerprint() == again.Fingerprint() || !strings.HasPrefix(other.Fingerprint(), "hmac:") || len(other.Fingerprint()) != 21 {
		t.Errorf("fingerprints %s and %s", other.Fingerprint(), again.Fingerprint())
	}
	if (*Pseudonyms)(nil).Fingerprint() != "" {
		t.Error("no key has a fingerprint")
	}
}

func TestADamagedPseudonymsKeyIsToldAndKept(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "short": strings.Repeat("ab", 31), "no hex": strings.Repeat("xy", 32), "too long": strings.Repeat("ab", 600)} {
		dir := t.TempDir()
		path := filepath.Join(dir, pseudonymsFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := OpenPseudonyms(dir, true); err == nil {
			t.Errorf("%s: taken as %s", name, p.Fingerprint())
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
}
