package crypto

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// ErrNoIdentity: none of the keys opens the file.
var ErrNoIdentity = errors.New("none of the identities opens it")

// Seal encrypts what is written to it for the recipients, each of whom can open
// it alone, onto w. The file is whole only after Close, which does not close w.
//
// Errors: no recipients; post-quantum keys mixed with others, because the file
// would be no safer than the weakest; whatever w says.
func Seal(w io.Writer, to ...Recipient) (io.WriteCloser, error) {
	if len(to) == 0 {
		return nil, errors.New(`seal: no recipients; grant the report to at least one public key ("playmeter keygen" makes one)`)
	}
	if err := CheckRecipients(to); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	var keys []age.Recipient
	seen := make(map[string]bool)
	for _, r := range to {
		if r.age == nil {
			return nil, errors.New("seal: a recipient without a key")
		}
		if !seen[r.text] {
			seen[r.text] = true
			keys = append(keys, r.age)
		}
	}
	sealed, err := age.Encrypt(w, keys...)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// CheckRecipients tells whether one file can be sealed to all of them: post-quantum keys and
// others do not mix.
func CheckRecipients(to []Recipient) error {
	for _, r := range to {
		if r.postQuantum != to[0].postQuantum {
			return fmt.Errorf("%s is post-quantum and %s is not; one file takes either the one kind or the other",
				pick(to, true).fingerprint, pick(to, false).fingerprint)
		}
	}
	return nil
}

// pick is the first recipient of that kind.
func pick(to []Recipient, postQuantum bool) Recipient {
	for _, r := range to {
		if r.postQuantum == postQuantum {
			return r
		}
	}
	return Recipient{}
}

// Open decrypts a sealed file. Reading it to io.EOF proves that it is whole and
// unaltered; every other end is an error. What was read before an error is
// genuine, but not all.
//
// Errors: ErrNoIdentity; a file that is not age's, cut short or altered.
func Open(r io.Reader, ids Identities) (io.Reader, error) {
	if len(ids.ids) == 0 {
		return nil, fmt.Errorf("open: no identity given: %w", ErrNoIdentity)
	}
	plain, err := age.Decrypt(r, ids.ids...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, fmt.Errorf("open: %w: it is sealed to %s, and %d given; ask for a grant to your public key, or give the identity that belongs to it",
			ErrNoIdentity, stanzas(none.StanzaTypes), len(ids.ids))
	case err != nil:
		return nil, fmt.Errorf("open: not a whole age file: %w", err)
	}
	return &opened{plain}, nil
}

// stanzas says to whom a file is sealed, as far as its header tells.
func stanzas(types []string) string {
	count := make(map[string]int)
	for _, t := range types {
		count[t]++
	}
	text := ""
	for _, kind := range []struct{ stanza, name string }{
		{"X25519", "age"}, {"mlkem768x25519", "post-quantum age"}, {"ssh-ed25519", "ssh-ed25519"}, {"ssh-rsa", "ssh-rsa"}, {"scrypt", "passphrase"},
	} {
		if n := count[kind.stanza]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, kind.name)
		}
	}
	if text == "" {
		return "keys of another kind"
	}
	return text[2:] + " key(s)"
}

// opened names what was being done when a chunk turns out wrong.
type opened struct{ plain io.Reader }

func (o *opened) Read(p []byte) (int, error) {
	n, err := o.plain.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("open: the file is damaged or cut short: %w", err)
	}
	return n, err
}
