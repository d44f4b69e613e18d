package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshPair makes a key pair: the public line, and the private file's text.
func sshPair(t testing.TB, key any, passphrase string) (public, private string) {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "a comment")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "a comment", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), string(pem.EncodeToMemory(block))
}

func ed25519Pair(t testing.TB) (public, private string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sshPair(t, key, "")
}

// rsaKey is made once, because it takes a while.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, minRSA) })

func rsaPair(t testing.TB) (public, private string) {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return sshPair(t, key, "")
}

func parse(t testing.TB, s string) Recipient {
	t.Helper()
	r, err := ParseRecipient(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecipientHasOneCanonicalForm(t *testing.T) {
	_, x25519, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, hybrid, err := NewPostQuantumIdentity()
	if err != nil {
		t.Fatal(err)
	}
	ed, _ := ed25519Pair(t)
	rs, _ := rsaPair(t)
	tests := []struct {
		name, text, canonical, fingerprint string
		postQuantum                        bool
	}{
		{"X25519", "  " + x25519.String() + "\n", x25519.String(), "age:", false},
		{"post-quantum", hybrid.String(), hybrid.String(), "age:", true},
		{"ssh-ed25519 loses its comment", ed + " alice@example.com", ed, "SHA256:", false},
		{"ssh-rsa", rs, rs, "SHA256:", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := parse(t, tt.text)
			if r.String() != tt.canonical {
				t.Errorf("String() = %s, want %s", r, tt.canonical)
			}
			if !strings.HasPrefix(r.Fingerprint(), tt.fingerprint) {
				t.Errorf("Fingerprint() = %s, want %s…", r.Fingerprint(), tt.fingerprint)
			}
			if r.PostQuantum() != tt.postQuantum {
				t.Errorf("PostQuantum() = %v", r.PostQuantum())
			}
			if again := parse(t, r.String()); again.Fingerprint() != r.Fingerprint() {
				t.Errorf("fingerprints differ: %s, %s", again.Fingerprint(), r.Fingerprint())
			}
		})
	}
}

// The fingerprints are part of signed manifests: they may never change.
func TestFingerprintsStayTheSame(t *testing.T) {
	tests := []struct{ key, want string }{
		{"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "age:cf7e568231315068"},
		{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl", "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"},
	}
	for _, tt := range tests {
		if got := parse(t, tt.key).Fingerprint(); got != tt.want {
			t.Errorf("Fingerprint(%s) = %s, want %s", tt.key, got, tt.want)
		}
	}
}

func TestBadRecipientsAreExplained(t *testing.T) {
	identity, _, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, private := ed25519Pair(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	short, _ := sshPair(t, weak, "")
	tests := []struct{ name, text, want string }{
		{"nothing", " ", "empty"},
		{"an identity", identity.Reveal(), "that is an identity (a secret key)"},
		{"an identity in lower case", strings.ToLower(identity.Reveal()), "that is an identity (a secret key)"},
		{"an identity after its comment", "# public key: age1…\n" + identity.Reveal(), "that is an identity (a secret key)"},
		{"an SSH private key", private, "that is an identity (a secret key)"},
		{"a cut age key", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8", "not a whole age1… key"},
		{"a cut post-quantum key", "age1pq1xyz", "not a whole age1pq1… key"},
		{"a plugin's key", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugins"},
		{"upper case", "AGE1QL3Z7", "lower case"},
		{"a short RSA key", short, "1024 bits is too short"},
		{"an ECDSA key", "ecdsa-sha2-nistp256 AAAA", "not supported"},
		{"a key on a token", "sk-ssh-ed25519@openssh.com AAAA", "security token"},
		{"half an SSH key", "ssh-ed25519 AAAAC3NzaC1", "not a whole ssh-ed25519 key"},
		{"a name", "alice", "neither an age public key"},
		{"two keys", "age1abc\nage1def", "more than one line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseRecipient(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one that says %q", err, tt.want)
			}
			if strings.Contains(err.Error(), identity.Reveal()[20:]) || strings.Contains(err.Error(), private[60:80]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestIdentityFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		name := filepath.Join(dir, "id")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	one, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := NewPostQuantumIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, ed := ed25519Pair(t)
	_, rs := rsaPair(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, locked := sshPair(t, key, "a passphrase")

	good := []struct {
		name, text string
		want       int
	}{
		{"one key", one.Reveal(), 1},
		{"comments, empty lines and Windows line ends", "# hello\r\n\r\n" + one.Reveal() + "\r\n", 1},
		{"several keys of both kinds", one.Reveal() + "\n# second\n" + two.Reveal() + "\n", 2},
		{"SSH ed25519", ed, 1},
		{"SSH rsa", rs, 1},
	}
	for _, tt := range good {
		ids, err := ReadIdentityFile(file(tt.text))
		if err != nil || ids.Len() != tt.want {
			t.Errorf("%s: %v, %v, want %d", tt.name, ids, err, tt.want)
		}
	}
	bad := []struct{ name, text, want string }{
		{"nothing", "", "there is no key in it"},
		{"only comments", "# a\n", "there is no key in it"},
		{"a public key", "# mine\n" + recipient.String(), "line 2: that is a public key"},
		{"a damaged key", one.Reveal()[:40], "line 1: not a whole AGE-SECRET-KEY-1… key"},
		{"a passphrase", locked, "protected by a passphrase"},
		{"an encrypted identity", "age-encryption.org/v1\n-> scrypt", "it is encrypted"},
		{"something else", "\x00\x01", "neither a key nor a comment"},
		{"an endless file", strings.Repeat("#\n", maxIdentityFile), "larger than any identity file"},
	}
	for _, tt := range bad {
		_, err := ReadIdentityFile(file(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one that says %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), one.Reveal()[20:40]) {
			t.Errorf("%s: the error shows the secret: %v", tt.name, err)
		}
	}
	if _, err := ReadIdentityFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestIdentityFromStandardInput(t *testing.T) {
	secret, _, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = stdin }()
	w.WriteString(secret.Reveal() + "\n")
	w.Close()
	if ids, err := ReadIdentityFile("-"); err != nil || ids.Len() != 1 {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestWriteIdentityFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key.txt")
	secret, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 10, 14, 9, 17, 0, 0, time.UTC)
	if err := WriteIdentityFile(name, secret, recipient, created); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := "# created: 2026-10-14T09:17:00Z\n# public key: " + recipient.String() + "\n" + secret.Reveal() + "\n"
	if string(got) != want {
		t.Errorf("the file says\n%s\nwant\n%s", got, want)
	}
	if st, _ := os.Stat(name); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if ids, err := ReadIdentityFile(name); err != nil || ids.Len() != 1 {
		t.Errorf("read again: %v, %v", ids, err)
	}
	if err := WriteIdentityFile(name, secret, recipient, created); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written twice: %v", err)
	}
}

func FuzzParseRecipient(f *testing.F) {
	f.Add("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl x")
	f.Add("age1pq1")
	f.Add("AGE-SECRET-KEY-1")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecipient(s)
		if err != nil {
			return
		}
		again, err := ParseRecipient(r.String())
		if err != nil || again.Fingerprint() != r.Fingerprint() {
			t.Errorf("%q is taken, its canonical form %q is not: %v", s, r, err)
		}
	})
}

func FuzzIdentities(f *testing.F) {
	f.Add([]byte("# created\nAGE-SECRET-KEY-1QQQQ\n"))
	f.Add([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"))
	f.Add([]byte("AGE-SECRET-KEY-PQ-1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if ids, err := parseIdentities(data); err == nil && ids.Len() == 0 {
			t.Error("no error and no key")
		}
	})
}
