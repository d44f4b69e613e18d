package flussonic

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/crypto"
)

func sign(body, key string) string {
	sum := sha1.Sum([]byte(body + key))
	return hex.EncodeToString(sum[:])
}

func TestSigned(t *testing.T) {
	keys := []crypto.Secret{"first", "", "second", "second", "third"}
	// printf '[]first' | sha1sum
	const known = "355cd172ff0e87b33c6772c25fc5201511bda9a8"
	tests := []struct {
		name, body, header string
		keys               []crypto.Secret
		want               int
	}{
		{"the first key", "[]", sign("[]", "first"), keys, 0},
		{"the last key", "[]", sign("[]", "third"), keys, 4},
		{"of two equal keys the first", "[]", sign("[]", "second"), keys, 2},
		{"an empty body", "", sign("", "first"), keys, 0},
		{"a key that is not known", "[]", sign("[]", "fourth"), keys, -1},
		{"an empty key signs nothing", "[]", sign("[]", ""), keys, -1},
		{"no keys", "[]", sign("[]", "first"), nil, -1},
		{"another body", "[1]", sign("[]", "first"), keys, -1},
		{"the key before the body", "[]", sign("first", "[]"), keys, -1},
		{"upper-case digits", "[]", strings.ToUpper(sign("[]", "first")), keys, -1},
		{"no header", "[]", "", keys, -1},
		{"one digit less", "[]", sign("[]", "first")[:39], keys, -1},
		{"one digit more", "[]", sign("[]", "first") + "0", keys, -1},
		{"white space around it", "[]", " " + sign("[]", "first"), keys, -1},
		{"one digit another", "[]", "g" + sign("[]", "first")[1:], keys, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Signed([]byte(tt.body), tt.header, tt.keys)
			if got != tt.want || ok != (tt.want >= 0) {
				t.Errorf("signed by %d, %t; want %d", got, ok, tt.want)
			}
		})
	}
	if got, ok := Signed([]byte("[]"), known, keys); got != 0 || !ok {
		t.Errorf("what another program signed is signed by %d, want 0: %s", got, sign("[]", "first"))
	}
}
