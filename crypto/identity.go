package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// Identities are private keys, any of which may open a file. They print as
// their number alone.
type Identities struct{ ids []age.Identity }

// Len is how many keys there are.
func (i Identities) Len() int { return len(i.ids) }

// String shows no key.
func (i Identities) String() string { return fmt.Sprintf("%d identities", len(i.ids)) }

// GoString shows no key either.
func (i Identities) GoString() string { return i.String() }

// Format answers every verb with String.
func (i Identities) Format(f fmt.State, _ rune) { io.WriteString(f, i.String()) }

// maxIdentityFile is beyond every real one, in bytes.
const maxIdentityFile = 1 << 20

// ReadIdentityFile reads the private keys of a file; "-" is standard input.
//
//   - An age identity file: one AGE-SECRET-KEY-… a line; empty lines and lines
//     that begin with # are skipped.
//   - An SSH private key, ed25519 or rsa, without a passphrase.
//
// Errors name the file and the line, never what is in it.
func ReadIdentityFile(path string) (Identities, error) {
	in := io.Reader(os.Stdin)
	if path == "-" {
		path = "standard input"
	} else {
		f, err := os.Open(path)
		if err != nil {
			return Identities{}, fmt.Errorf("read identity: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxIdentityFile+1))
	if err == nil && len(data) > maxIdentityFile {
		err = errors.New("larger than any identity file")
	}
	if err != nil {
		return Identities{}, fmt.Errorf("read identity %s: %w", path, err)
	}
	ids, err := parseIdentities(data)
	if err != nil {
		return Identities{}, fmt.Errorf("read identity %s: %w", path, err)
	}
	return ids, nil
}

// ParseIdentities is ReadIdentityFile of a secret that is at hand already.
func ParseIdentities(s Secret) (Identities, error) { return parseIdentities([]byte(s)) }

func parseIdentities(data []byte) (Identities, error) {
	switch {
	case bytes.Contains(data, []byte("-----BEGIN")) && bytes.Contains(data, []byte("PRIVATE KEY-----")):
		return parseSSHIdentity(data)
	case bytes.HasPrefix(data, []byte("age-encryption.org/")), bytes.Contains(data, []byte("-----BEGIN AGE ENCRYPTED FILE-----")):
		return Identities{}, errors.New(`it is encrypted; decrypt it with "age -d" first, or pipe that into "-"`)
	}
	var ids Identities
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := parseAgeIdentity(line)
		if err != nil {
			return Identities{}, fmt.Errorf("line %d: %w", n, err)
		}
		ids.ids = append(ids.ids, id)
	}
	if len(ids.ids) == 0 {
		return Identities{}, errors.New("there is no key in it; an age identity begins with AGE-SECRET-KEY-")
	}
	return ids, nil
}

func parseAgeIdentity(line string) (age.Identity, error) {
	switch {
	case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
		id, err := age.ParseHybridIdentity(line)
		if err != nil {
			return nil, errors.New("not a whole AGE-SECRET-KEY-PQ-1… key")
		}
		return id, nil
	case strings.HasPrefix(line, "AGE-SECRET-KEY-1"):
		id, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, errors.New("not a whole AGE-SECRET-KEY-1… key")
		}
		return id, nil
	case strings.HasPrefix(line, "AGE-PLUGIN-"):
		return nil, errors.New("keys of age plugins are not supported")
	case strings.HasPrefix(line, "age1"), strings.HasPrefix(line, "ssh-"):
		return nil, errors.New("that is a public key; opening takes the identity (AGE-SECRET-KEY-…, or an SSH private key)")
	}
	return nil, errors.New("neither a key nor a comment")
}

func parseSSHIdentity(data []byte) (Identities, error) {
	id, err := agessh.ParseIdentity(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return Identities{}, errors.New(`the SSH key is protected by a passphrase; make a copy without one ("cp KEY COPY; ssh-keygen -p -N '' -f COPY") or use an age identity`)
	case err != nil:
		return Identities{}, fmt.Errorf("not a usable SSH private key (ed25519 or rsa): %w", err)
	}
	return Identities{[]age.Identity{id}}, nil
}

// NewIdentity makes an X25519 key pair.
func NewIdentity() (Secret, Recipient, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", Recipient{}, fmt.Errorf("make an identity: %w", err)
	}
	return Secret(id.String()), ageRecipient(id.Recipient(), id.Recipient().String(), false), nil
}

// NewPostQuantumIdentity makes a key pair of age's hybrid kind, which the age
// program reads from v1.3 on.
func NewPostQuantumIdentity() (Secret, Recipient, error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return "", Recipient{}, fmt.Errorf("make an identity: %w", err)
	}
	return Secret(id.String()), ageRecipient(id.Recipient(), id.Recipient().String(), true), nil
}

// WriteIdentityFile writes what age-keygen would: when, the public key, the
// secret one. The file is its owner's alone (0600), durable, and never replaces
// another: the error then wraps fs.ErrExist.
func WriteIdentityFile(path string, identity Secret, recipient Recipient, created time.Time) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	_, err = fmt.Fprintf(f, "# created: %s\n# public key: %s\n%s\n", created.Format(time.RFC3339), recipient, identity.Reveal())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("write identity %s: %w", path, err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

// syncFolder makes a new name durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
