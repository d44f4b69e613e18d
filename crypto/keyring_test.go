package crypto

import (
	"crypto/ed25519"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func openKeys(t testing.TB, dir string) *Keyring {
	t.Helper()
	k, err := OpenKeyring(dir, signTime)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAKeyringIsMadeOnceAndForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first := openKeys(t, dir)
	second := openKeys(t, dir)
	if !first.Made || second.Made || first.Signer.Public() != second.Signer.Public() {
		t.Errorf("made %v, then %v: %s, %s", first.Made, second.Made, first.Signer, second.Signer)
	}
	if got := second.Allowed.Fingerprints(); len(got) != 1 || got[0] != first.Signer.Fingerprint() {
		t.Errorf("allowed are %v", got)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "signing": 0o600, "allowed_signers": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q has mode %v (%v), want %v", name, info.Mode(), err, want)
		}
	}
	wantFiles(t, dir, "allowed_signers signing")
}

func wantFiles(t *testing.T, dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("the folder holds %s, want %s", got, want)
	}
}

func TestManyProcessesAgreeOnOneKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	keys := make([]string, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			k, err := OpenKeyring(dir, signTime)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = k.Signer.Public()
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Errorf("one has %s, another %s", keys[0], k)
		}
	}
	// Also where the file system knows no locks: the name itself is the fence.
	other := filepath.Join(t.TempDir())
	if err := createSigner(other, signTime); err != nil {
		t.Fatal(err)
	}
	before, err := readSigner(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := createSigner(other, signTime); err != nil {
		t.Fatal(err)
	}
	if after, err := readSigner(other); err != nil || after.Public() != before.Public() {
		t.Errorf("the second creator replaced %s by %s (%v)", before, after, err)
	}
}

func TestAfterARotationBothKeysAreBelieved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	old := openKeys(t, dir)
	was, err := old.Signer.Sign([]byte("then"), ManifestNamespace)
	if err != nil {
		t.Fatal(err)
	}
	k, before, err := RotateKeyring(dir, signTime)
	if err != nil || before != old.Signer.Fingerprint() || k.Signer.Public() == old.Signer.Public() {
		t.Fatalf("rotated from %s (was %s) to %s: %v", before, old.Signer, k.Signer, err)
	}
	now := openKeys(t, dir)
	if now.Made || now.Signer.Public() != k.Signer.Public() {
		t.Errorf("the key in force is %s, want %s", now.Signer, k.Signer)
	}
	is, err := now.Signer.Sign([]byte("now"), ManifestNamespace)
	if err != nil {
		t.Fatal(err)
	}
	for message, sig := range map[string][]byte{"then": was, "now": is} {
		if _, err := now.Allowed.Verify([]byte(message), sig, SignerPrincipal, ManifestNamespace, signTime); err != nil {
			t.Errorf("%s: %v", message, err)
		}
	}
	wantFiles(t, dir, "allowed_signers signing")
	if _, none, err := RotateKeyring(filepath.Join(t.TempDir(), "keys"), signTime); err != nil || none != "" {
		t.Errorf("the first key replaced %q, %v", none, err)
	}
}

func TestWhatAKilledProcessLeftIsHealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k := openKeys(t, dir)
	signing := filepath.Join(dir, "signing")
	if err := os.Link(signing, filepath.Join(dir, ".signing-123")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(AllowedSignersFile(dir)); err != nil {
		t.Fatal(err)
	}
	if got := openKeys(t, dir); got.Signer.Public() != k.Signer.Public() || len(got.Allowed.Fingerprints()) != 1 {
		t.Errorf("%s with %v", got.Signer, got.Allowed.Fingerprints())
	}
	wantFiles(t, dir, "allowed_signers signing")
}

func TestADamagedKeyIsNeverReplacedInSilence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	openKeys(t, dir)
	signing := filepath.Join(dir, "signing")
	_, locked := sshPair(t, privateOf(t, dir), "a passphrase")
	for name, text := range map[string]string{"empty": "", "cut": "-----BEGIN OPENSSH PRIVATE KEY-----\n", "locked": locked} {
		if err := os.WriteFile(signing, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeyring(dir, signTime); err == nil || !strings.Contains(err.Error(), signing) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := RotateKeyring(dir, signTime); err == nil {
			t.Errorf("%s: was rotated away", name)
		}
		if got, err := os.ReadFile(signing); err != nil || string(got) != text {
			t.Errorf("%s: now it holds %d bytes", name, len(got))
		}
	}
}

func privateOf(t *testing.T, dir string) ed25519.PrivateKey {
	t.Helper()
	s, err := readSigner(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.private
}

func TestAKeyOfSSHKeygenServes(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed (make tools)")
	}
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "signing")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	k := openKeys(t, dir)
	if k.Made || len(k.Allowed.Fingerprints()) != 1 {
		t.Errorf("made %v, allowed %v", k.Made, k.Allowed.Fingerprints())
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v", info.Mode())
	}
}
