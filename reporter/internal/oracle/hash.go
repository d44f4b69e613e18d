package oracle

import (
	"encoding/binary"
	"math/big"
)

const base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58 writes b with the Bitcoin alphabet; each leading zero byte is a "1".
func base58(b []byte) string {
	n := new(big.Int).SetBytes(b)
	base, digit := big.NewInt(58), new(big.Int)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, base, digit)
		out = append(out, base58Digits[digit.Int64()])
	}
	for _, c := range b {
		if c != 0 {
			break
		}
		out = append(out, base58Digits[0])
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

// versionHash is the hash of a version of the object whose id has these bytes:
// 32 bytes of digest, the size as a varint, the bytes of the id.
func versionHash(digest [32]byte, size uint64, id []byte) string {
	b := binary.AppendUvarint(digest[:], size)
	return "hq__" + base58(append(b, id...))
}
