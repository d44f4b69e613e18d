package accounting

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

var maskKey = []byte("a key of the tests, not a short one")

func masked(p Privacy, key []byte, field schemas.Field, text string) string {
	var s schemas.Session
	s.Fields[field] = []byte(text)
	NewMasker(p, key).session(&s)
	return string(s.Fields[field])
}

func TestMasks(t *testing.T) {
	tests := []struct {
		name    string
		privacy Privacy
		field   schemas.Field
		text    string
		want    string
	}{
		{"what nobody masks stays", Privacy{AuthEmail: MaskDrop}, schemas.FieldClientIP, "203.0.113.77", "203.0.113.77"},
		{"a /24 stays of IPv4", Privacy{ClientIP: MaskTruncate}, schemas.FieldClientIP, "203.0.113.77", "203.0.113.0"},
		{"of the last address of a network, too", Privacy{ClientIP: MaskTruncate}, schemas.FieldClientIP, "203.0.113.255", "203.0.113.0"},
		{"a /48 stays of IPv6", Privacy{ClientIP: MaskTruncate}, schemas.FieldClientIP, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"},
		{"IPv4 in IPv6 is IPv4", Privacy{ClientIP: MaskTruncate}, schemas.FieldClientIP, "::ffff:203.0.113.77", "203.0.113.0"},
		{"a zone goes", Privacy{ClientIP: MaskTruncate}, schemas.FieldClientIP, "fe80::1%eth0", "fe80::"},
		{"what is no address is dropped", Privacy{ClientIP: MaskTruncate}, schemas.FieldClientIP, "203.0.113.77, 10.0.0.1", ""},
		{"nothing stays nothing", Privacy{ClientIP: MaskHMAC}, schemas.FieldClientIP, "", ""},
		{"an address can be dropped", Privacy{ClientIP: MaskDrop}, schemas.FieldClientIP, "203.0.113.77", ""},
		{"an e-mail is dropped", Privacy{AuthEmail: MaskDrop}, schemas.FieldAuthEmail, "a@example.com", ""},
		{"an identity", Privacy{AuthIdentity: MaskDrop}, schemas.FieldAuthIdentity, "x", ""},
		{"an authentication address", Privacy{AuthAddr: MaskDrop}, schemas.FieldAuthAddr, "0x1", ""},
		{"a user", Privacy{UserID: MaskDrop}, schemas.FieldUser, "u1", ""},
		{"a token", Privacy{Token: MaskDrop}, schemas.FieldToken, "ab", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := masked(tt.privacy, maskKey, tt.field, tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPseudonyms(t *testing.T) {
	all := Privacy{ClientIP: MaskHMAC, AuthIdentity: MaskHMAC, AuthAddr: MaskHMAC, AuthEmail: MaskHMAC, UserID: MaskHMAC, Token: MaskHMAC}
	fields := []schemas.Field{schemas.FieldClientIP, schemas.FieldAuthIdentity, schemas.FieldAuthAddr, schemas.FieldAuthEmail, schemas.FieldUser, schemas.FieldToken}
	seen := make(map[string]bool)
	for _, field := range fields {
		one := masked(all, maskKey, field, "someone")
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(one) {
			t.Errorf("field %d: %q", field, one)
		}
		if one != masked(all, maskKey, field, "someone") {
			t.Errorf("field %d: the same text has two pseudonyms", field)
		}
		for _, other := range []string{one, masked(all, maskKey, field, "someone else"), masked(all, []byte("another key, as long as it must be"), field, "someone")} {
			if seen[other] {
				t.Errorf("field %d: %s stands for two", field, other)
			}
			seen[other] = true
		}
	}
}

func TestMasksOfATenantGoBeforeThoseOfAll(t *testing.T) {
	all := Privacy{ClientIP: MaskTruncate, AuthEmail: MaskDrop, UserID: MaskHMAC}
	got := all.With(Privacy{ClientIP: MaskDrop, UserID: MaskKeep})
	if want := (Privacy{ClientIP: MaskDrop, AuthEmail: MaskDrop}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if (Privacy{Key: "hmac:1"}).Any() || !got.Any() || NewMasker(Privacy{}, nil) != nil {
		t.Error("what masks nothing is taken for something, or the reverse")
	}
}

func TestRulesWithoutMasksAreWhatTheyWere(t *testing.T) {
	raw, err := json.Marshal(DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "privacy") {
		t.Errorf("%s", raw)
	}
	with := DefaultRules()
	with.Privacy = Privacy{ClientIP: MaskDrop, Key: "hmac:1"}
	if with.Digest() == DefaultRules().Digest() {
		t.Error("masks do not show in the digest")
	}
}

// A session without an id is named by a digest of who the viewer is. Who knows all but the address could find
// that by trying all of them, were the digest not made anew with a key.
func TestTheIdOfASessionTellsNothingOfWhatIsMasked(t *testing.T) {
	key := schemas.SessionKey{1, 2, 3}
	for _, tt := range []struct {
		name    string
		privacy Privacy
		changes bool
	}{
		{"nothing masked", Privacy{}, false}, {"an e-mail, which is not in it", Privacy{AuthEmail: MaskDrop}, false},
		{"an address", Privacy{ClientIP: MaskTruncate}, true}, {"a token", Privacy{Token: MaskDrop}, true}, {"an authentication address", Privacy{AuthAddr: MaskHMAC}, true},
	} {
		m := NewMasker(tt.privacy, maskKey)
		got := m.sessionKey(key)
		if (got != key) != tt.changes {
			t.Errorf("%s: %x", tt.name, got)
		}
		if got != m.sessionKey(key) {
			t.Errorf("%s: two keys", tt.name)
		}
		if id := madeUpID(got, 1e9); tt.changes && bytes.HasPrefix(id, []byte("010203")) {
			t.Errorf("%s: id %s", tt.name, id)
		}
	}
}
