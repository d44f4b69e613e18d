package crypto

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
)

// The text of a token: pm_<id>_<secret><checksum>, of the letters a-z and the digits 2-7.
//
//   - id: 10 characters, public.
//   - secret: 52 characters, 256 random bits.
//   - checksum: 7 characters, the CRC-32 (IEEE) of all that stands before it. It tells a
//     token that was mistyped or cut from one that is not known, and proves nothing.
//
// Programs that look for secrets in files find it with TokenPattern.

// TokenPattern is a regular expression that finds tokens in a text.
const TokenPattern = `pm_[a-z2-7]{10}_[a-z2-7]{59}`

const (
	tokenPrefix    = "pm_"
	tokenIDLen     = 10
	tokenSecretLen = 52
	tokenSumLen    = 7
)

// ErrTokenMalformed tells that a text cannot be a token at all. It is ErrTokenUnknown, too.
var ErrTokenMalformed = fmt.Errorf("that is not a whole token: it was mistyped or cut (%w)", ErrTokenUnknown)

var tokenText = regexp.MustCompile(`^` + TokenPattern + `$`)

var tokenLetters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newTokenText makes the two halves of a token.
func newTokenText() (id, secret string) {
	id = strings.ToLower(rand.Text())[:tokenIDLen]
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return id, tokenLetters.EncodeToString(b)
}

func joinToken(id, secret string) Secret {
	text := tokenPrefix + id + "_" + secret
	return Secret(text + tokenSum(text))
}

func tokenSum(text string) string {
	return tokenLetters.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

// splitToken takes a token apart. Errors: ErrTokenMalformed, without the text.
func splitToken(text string) (id, secret string, err error) {
	const all = len(tokenPrefix) + tokenIDLen + 1 + tokenSecretLen + tokenSumLen
	if len(text) != all || !tokenText.MatchString(text) {
		return "", "", ErrTokenMalformed
	}
	body := text[:all-tokenSumLen]
	if tokenSum(body) != text[all-tokenSumLen:] {
		return "", "", ErrTokenMalformed
	}
	return body[len(tokenPrefix):][:tokenIDLen], body[len(body)-tokenSecretLen:], nil
}
