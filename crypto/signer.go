package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"golang.org/x/crypto/ssh"
)

// What manifests are signed as: verifying one with "ssh-keygen -Y verify" takes
// -n ManifestNamespace and -I SignerPrincipal.
const (
	ManifestNamespace = "playmeter-manifest"
	SignerPrincipal   = "playmeter"
)

// A Signer is an Ed25519 key that signs as "ssh-keygen -Y sign" does. It prints
// as its public fingerprint alone.
type Signer struct {
	private ed25519.PrivateKey
	public  ssh.PublicKey
}

// NewSigner makes a key.
func NewSigner() (*Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	return newSigner(key)
}

func newSigner(key ed25519.PrivateKey) (*Signer, error) {
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return &Signer{key, public}, nil
}

// ParseSigner reads an OpenSSH private key file: Ed25519, without a passphrase.
// Errors never show what is in it.
func ParseSigner(file Secret) (*Signer, error) {
	key, err := ssh.ParseRawPrivateKey([]byte(file))
	var locked *ssh.PassphraseMissingError
	switch k, ok := key.(*ed25519.PrivateKey); {
	case errors.As(err, &locked):
		return nil, errors.New(`signing key: it is protected by a passphrase, which nobody is there to type; take it off with "ssh-keygen -p"`)
	case err != nil:
		return nil, errors.New("signing key: not a whole OpenSSH private key")
	case ok:
		return newSigner(*k)
	}
	return nil, errors.New(`signing key: it is not of the kind ed25519`)
}

// File is the key as ssh-keygen would write it.
func (s Signer) File(comment string) (Secret, error) {
	block, err := ssh.MarshalPrivateKey(s.private, comment)
	if err != nil {
		return "", fmt.Errorf("write signing key: %w", err)
	}
	return Secret(pem.EncodeToMemory(block)), nil
}

// Sign makes an armored SSH signature of a message, over its SHA-512. The same key gives
// the same signature every time.
func (s Signer) Sign(message []byte, namespace string) ([]byte, error) {
	sig := signature{Version: signatureVersion, PublicKey: s.public.Marshal(), Namespace: namespace, Hash: "sha512"}
	text, err := sig.digest(message)
	if err != nil {
		return nil, err
	}
	sig.Signature = ssh.Marshal(inner{ssh.KeyAlgoED25519, ed25519.Sign(s.private, text)})
	return sig.armor(), nil
}

// Public is the public key, "ssh-ed25519 AAAA…".
func (s Signer) Public() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.public)))
}

// Fingerprint names the key, "SHA256:…".
func (s Signer) Fingerprint() string { return ssh.FingerprintSHA256(s.public) }

// AllowedLine is the key's line in a list of allowed signers.
func (s Signer) AllowedLine(comment string) string {
	return fmt.Sprintf("%s namespaces=%q %s %s", SignerPrincipal, ManifestNamespace, s.Public(), comment)
}

// String shows the fingerprint.
func (s Signer) String() string { return "signer " + s.Fingerprint() }

// GoString is for %#v.
func (s Signer) GoString() string { return s.String() }

// Format answers every other verb.
func (s Signer) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue is for slog.
func (s Signer) LogValue() slog.Value { return slog.StringValue(s.String()) }
