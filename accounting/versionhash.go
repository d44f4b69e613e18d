package accounting

import (
	"encoding/binary"
	"math/big"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// ObjectOfVersion returns the object id that an `hq__` version hash holds:
// base58 of 32 digest bytes, an unsigned varint size, and the id's bytes.
// Another kind of hash gives "".
//
//   - Source: SPEC 1.
func ObjectOfVersion(hash string) string {
	text, ok := strings.CutPrefix(hash, "hq__")
	if !ok || len(text) > 4*schemas.MaxID {
		return ""
	}
	raw, ok := decodeBase58(text)
	if !ok || len(raw) <= 32 {
		return ""
	}
	_, n := binary.Uvarint(raw[32:])
	if n <= 0 || len(raw) <= 32+n {
		return ""
	}
	return "iq__" + encodeBase58(raw[32+n:])
}

func decodeBase58(s string) ([]byte, bool) {
	n, base, digit := new(big.Int), big.NewInt(58), new(big.Int)
	zeros := 0
	for i := range len(s) {
		d := strings.IndexByte(base58Alphabet, s[i])
		if d < 0 {
			return nil, false
		}
		if d == 0 && zeros == i {
			zeros++
		}
		n.Add(n.Mul(n, base), digit.SetInt64(int64(d)))
	}
	return append(make([]byte, zeros), n.Bytes()...), true
}

func encodeBase58(b []byte) string {
	var out []byte
	n, base, rest := new(big.Int).SetBytes(b), big.NewInt(58), new(big.Int)
	for n.Sign() > 0 {
		n.QuoRem(n, base, rest)
		out = append(out, base58Alphabet[rest.Int64()])
	}
	for i := 0; i < len(b) && b[i] == 0; i++ {
		out = append(out, base58Alphabet[0])
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}
