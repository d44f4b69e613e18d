package accounting

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"

	"github.com/playmeter/playmeter/schemas"
)

// Mask is what is done to a field of viewers' data before a session is finished.
type Mask string

// The masks.
const (
	MaskKeep     Mask = "keep"     // as it came
	MaskDrop     Mask = "drop"     // empty
	MaskTruncate Mask = "truncate" // client_ip only: /24 of IPv4, /48 of IPv6
	MaskHMAC     Mask = "hmac"     // a pseudonym: the same for the same text, of one installation and tenant
)

// Masks lists them.
var Masks = []Mask{MaskKeep, MaskDrop, MaskTruncate, MaskHMAC}

// Privacy is what is masked of a tenant's sessions; an empty mask keeps.
type Privacy struct {
	ClientIP     Mask `json:"client_ip,omitempty" yaml:"client_ip"`
	AuthIdentity Mask `json:"auth_identity,omitempty" yaml:"auth_identity"`
	AuthAddr     Mask `json:"auth_addr,omitempty" yaml:"auth_addr"`
	AuthEmail    Mask `json:"auth_email,omitempty" yaml:"auth_email"`
	UserID       Mask `json:"user_id,omitempty" yaml:"user_id"`
	Token        Mask `json:"token,omitempty" yaml:"token"`
	// Key names the key of the pseudonyms, where there are any.
	Key string `json:"key,omitempty"`
}

// With is p with the masks of other in the place of its own where other has any; what is kept is left
// out, so that equal rules have equal digests.
func (p Privacy) With(other Privacy) Privacy {
	for _, f := range []struct{ to, from *Mask }{
		{&p.ClientIP, &other.ClientIP}, {&p.AuthIdentity, &other.AuthIdentity}, {&p.AuthAddr, &other.AuthAddr},
		{&p.AuthEmail, &other.AuthEmail}, {&p.UserID, &other.UserID}, {&p.Token, &other.Token},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
		if *f.to == MaskKeep {
			*f.to = ""
		}
	}
	return p
}

// Any tells whether anything is masked.
func (p Privacy) Any() bool {
	p.Key = ""
	return p != Privacy{}
}

// hides tells whether something is masked that sessions without an id are told apart by.
func (p Privacy) hides() bool { return p.ClientIP != "" || p.AuthAddr != "" || p.Token != "" }

// Masker masks the sessions of one tenant. A nil one masks nothing.
type Masker struct {
	privacy Privacy
	key     []byte
}

// NewMasker makes a masker; nil where nothing is to be masked. The key is the tenant's own, at
// least 16 secret bytes: who has it can tell whether a pseudonym is that of a text he guesses.
func NewMasker(p Privacy, key []byte) *Masker {
	if !p.Any() {
		return nil
	}
	if len(key) < 16 {
		panic("accounting: a masker without a key") // cannot happen: who calls has checked
	}
	return &Masker{p, key}
}

// pseudonym stands for a text of a field: 32 hex digits, the same for the same text, and not to be led
// back to it without the key.
func (m *Masker) pseudonym(field string, text []byte) []byte {
	return hex.AppendEncode(nil, m.sum(field, text)[:16])
}

func (m *Masker) sum(field string, text []byte) []byte {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(field))
	h.Write([]byte{0})
	h.Write(text)
	return h.Sum(nil)
}

// sessionKey is what a session's key becomes: it is a digest of who the viewer is, which whoever knows
// the rest could guess the masked part from.
func (m *Masker) sessionKey(key schemas.SessionKey) schemas.SessionKey {
	if m == nil || !m.privacy.hides() {
		return key
	}
	var out schemas.SessionKey
	copy(out[:], m.sum("session", key[:]))
	return out
}

// session masks the fields of a session that is finished but for that.
func (m *Masker) session(s *schemas.Session) {
	if m == nil {
		return
	}
	for _, f := range []struct {
		field schemas.Field
		name  string
		mask  Mask
	}{
		{schemas.FieldClientIP, "client_ip", m.privacy.ClientIP},
		{schemas.FieldAuthIdentity, "auth_identity", m.privacy.AuthIdentity},
		{schemas.FieldAuthAddr, "auth_addr", m.privacy.AuthAddr},
		{schemas.FieldAuthEmail, "auth_email", m.privacy.AuthEmail},
		{schemas.FieldUser, "user_id", m.privacy.UserID},
		{schemas.FieldToken, "token", m.privacy.Token},
	} {
		text := &s.Fields[f.field]
		switch {
		case len(*text) == 0:
		case f.mask == MaskDrop:
			*text = nil
		case f.mask == MaskTruncate:
			*text = truncateAddress(*text)
		case f.mask == MaskHMAC:
			*text = m.pseudonym(f.name, *text)
		}
	}
}

// truncateAddress keeps the network of an address; what is no address is dropped.
func truncateAddress(text []byte) []byte {
	a, err := netip.ParseAddr(string(text))
	if err != nil {
		return nil
	}
	a = a.Unmap().WithZone("")
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return nil // cannot happen: the address has as many bits
	}
	return []byte(p.Addr().String())
}
