package flussonic

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"

	"github.com/playmeter/playmeter/crypto"
)

// SignatureHeader is the header in which a server with a sign_key signs a body.
const SignatureHeader = "X-Signature"

// Signed finds the key with which a body was signed, and which it is; -1 where it was signed with none
// of them.
//
//   - header: the lower-case hex SHA-1 of the body followed by the key. Upper-case digits or another length are
//     no signature.
//   - body: as it was posted, before anything is unpacked.
//   - An empty key signs nothing: anybody could.
//   - The time it takes does not tell how much of a signature was right, nor which key it was.
//   - Source: SPEC 12.1. SHA-1 is the server's choice. It proves who posted as far as SHA-1 does.
func Signed(body []byte, header string, keys []crypto.Secret) (key int, ok bool) {
	key = -1
	given := []byte(header)
	var sum [sha1.Size]byte
	var want [2 * sha1.Size]byte
	h := sha1.New()
	for i := len(keys) - 1; i >= 0; i-- {
		h.Reset()
		h.Write(body)
		h.Write([]byte(keys[i].Reveal()))
		hex.Encode(want[:], h.Sum(sum[:0]))
		right := subtle.ConstantTimeCompare(want[:], given)
		if keys[i] == "" {
			right = 0
		}
		key = subtle.ConstantTimeSelect(right, i, key)
	}
	return key, key >= 0
}
