package crypto

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// A Recipient is a public key that files can be sealed to. The zero Recipient
// is none.
type Recipient struct {
	age         age.Recipient
	text        string
	fingerprint string
	postQuantum bool
}

// minRSA is the shortest RSA key taken, in bits.
const minRSA = 2048

// ParseRecipient reads a public key:
//
//   - age1…, an X25519 key; age1pq1…, a post-quantum one (age v1.3 or later);
//   - ssh-ed25519 … or ssh-rsa … (at least 2,048 bits), one line as in an
//     authorized_keys file without options; its comment is dropped.
//
// Errors say what the text is instead, where that can be told, and how to get
// what is needed. They never repeat a secret key.
func ParseRecipient(s string) (Recipient, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return Recipient{}, errors.New(`recipient: empty; give an age1… or SSH public key ("playmeter keygen" makes one)`)
	case looksSecret(s):
		return Recipient{}, errors.New(`recipient: that is an identity (a secret key); give its public key, age1… or ssh-…, and treat the secret as seen`)
	case strings.ContainsAny(s, "\r\n"):
		return Recipient{}, errors.New("recipient: more than one line; give one public key")
	case strings.HasPrefix(s, "age1pq1"):
		r, err := age.ParseHybridRecipient(s)
		if err != nil {
			return Recipient{}, fmt.Errorf("recipient: not a whole age1pq1… key (%w)", cut(err))
		}
		return ageRecipient(r, r.String(), true), nil
	case strings.HasPrefix(s, "age1"):
		return parseX25519(s)
	case strings.HasPrefix(s, "AGE1"):
		return Recipient{}, errors.New("recipient: an age public key is written in lower case")
	}
	return parseSSH(s)
}

func parseX25519(s string) (Recipient, error) {
	r, err := age.ParseX25519Recipient(s)
	if err == nil {
		return ageRecipient(r, r.String(), false), nil
	}
	// age1NAME1… is a key that a plugin of the age program would handle.
	if name, _, ok := strings.Cut(s[len("age1"):], "1"); ok && name != "" && len(s) != 62 {
		return Recipient{}, fmt.Errorf("recipient: keys of age plugins (age1%s1…) are not supported; give an age1… or SSH public key", shorten(name))
	}
	return Recipient{}, fmt.Errorf("recipient: not a whole age1… key (%w)", cut(err))
}

func ageRecipient(r age.Recipient, text string, postQuantum bool) Recipient {
	sum := sha256.Sum256([]byte(text))
	return Recipient{age: r, text: text, fingerprint: "age:" + hex.EncodeToString(sum[:8]), postQuantum: postQuantum}
}

func parseSSH(s string) (Recipient, error) {
	kind, _, _ := strings.Cut(s, " ")
	if strings.HasPrefix(kind, "sk-") {
		return Recipient{}, errors.New("recipient: SSH keys on a security token cannot decrypt; give an age1…, ssh-ed25519 or ssh-rsa key")
	}
	if strings.HasPrefix(kind, "ecdsa-") || kind == "ssh-dss" {
		return Recipient{}, fmt.Errorf("recipient: %s keys are not supported; give an age1…, ssh-ed25519 or ssh-rsa key", kind)
	}
	if kind != ssh.KeyAlgoED25519 && kind != ssh.KeyAlgoRSA {
		return Recipient{}, errors.New("recipient: neither an age public key (age1…) nor an SSH one (ssh-ed25519 …, ssh-rsa …)")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil {
		return Recipient{}, fmt.Errorf("recipient: not a whole %s key (%w)", kind, err)
	}
	if err := checkRSA(key); err != nil {
		return Recipient{}, err
	}
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	r, err := agessh.ParseRecipient(text)
	if err != nil {
		return Recipient{}, fmt.Errorf("recipient: not a usable %s key (%w)", kind, cut(err))
	}
	return Recipient{age: r, text: text, fingerprint: ssh.FingerprintSHA256(key)}, nil
}

func checkRSA(key ssh.PublicKey) error {
	k, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil
	}
	if pub, ok := k.CryptoPublicKey().(*rsa.PublicKey); ok && pub.N.BitLen() < minRSA {
		return fmt.Errorf("recipient: an RSA key of %d bits is too short, at least %d are needed", pub.N.BitLen(), minRSA)
	}
	return nil
}

// looksSecret is generous: better to call a public key secret in a message than
// to print a secret one.
func looksSecret(s string) bool {
	upper := strings.ToUpper(s)
	return strings.Contains(upper, "AGE-SECRET-KEY-") || strings.Contains(upper, "AGE-PLUGIN-") || strings.Contains(upper, "PRIVATE KEY")
}

// cut keeps the end of a library's message, which repeats the key before it.
func cut(err error) error {
	message := err.Error()
	if i := strings.LastIndex(message, `": `); i >= 0 {
		message = message[i+len(`": `):]
	}
	return errors.New(message)
}

func shorten(s string) string {
	if len(s) > 16 {
		return s[:16] + "…"
	}
	return s
}

// String is the public key in its canonical form: without comment, lower case
// where case does not matter.
func (r Recipient) String() string { return r.text }

// Fingerprint names the key in manifests and logs: "age:" and the first 16 hex
// digits of the SHA-256 of String for age keys, and OpenSSH's own "SHA256:…"
// for SSH keys.
func (r Recipient) Fingerprint() string { return r.fingerprint }

// PostQuantum tells whether what is sealed to r alone also withstands a large
// quantum computer. Such keys cannot be mixed with others in one file.
func (r Recipient) PostQuantum() bool { return r.postQuantum }

// MarshalText writes String.
func (r Recipient) MarshalText() ([]byte, error) { return []byte(r.text), nil }

// UnmarshalText is ParseRecipient.
func (r *Recipient) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRecipient(string(text))
	return err
}
