package accounting

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// hashedToken begins a token that is given as its hash already, in 64 lower-case hex digits.
const hashedToken = "sha256:"

// Discreet takes out of an event what need not be stored to count it: the token becomes its hash, and the referrer loses
// the parameters that carry secrets. A tally of the event says the same of its session before and after.
func Discreet(e *schemas.Event) {
	if e.Token != "" {
		e.Token = hashedToken + hashOfToken(e.Token)
	}
	e.Referrer = cleanReferrer(e.Referrer)
}

// hashOfToken is what is stored of a token: its SHA-256 in hex, or the hash that it is already.
func hashOfToken(token string) string {
	if digits, ok := strings.CutPrefix(token, hashedToken); ok && isHash(digits) {
		return digits
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func isHash(s string) bool {
	other := func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }
	return len(s) == 2*sha256.Size && !strings.ContainsFunc(s, other)
}
