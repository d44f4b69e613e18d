package sample

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
)

// dice is a source of chance that follows from its seeds alone.
type dice struct{ *rand.Rand }

// roll makes dice for a subject: a seed and any numbers that name it.
func roll(seed uint64, subject ...uint64) dice {
	h := seed ^ 0x9e3779b97f4a7c15
	for _, s := range subject {
		h = mix(h ^ mix(s+0x632be59bd9b4e019))
	}
	return dice{rand.New(rand.NewPCG(h, mix(h+1)))}
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (d dice) chance(p float64) bool { return d.Float64() < p }

// between is a whole number from lo to hi, both included.
func (d dice) between(lo, hi int64) int64 { return lo + d.Int64N(hi-lo+1) }

// about is n give or take a share of it.
func (d dice) about(n int64, share float64) int64 {
	return int64(float64(n) * (1 - share + 2*share*d.Float64()))
}

// typical is a positive number that is exponentially distributed.
func (d dice) typical(mean float64) float64 { return d.ExpFloat64() * mean }

// choose picks an index by weight.
func (d dice) choose(weights []float64) int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	x := d.Float64() * total
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

// favour picks an index of n, the lower ones far more often (Zipf's law).
func (d dice) favour(n int) int {
	// The inverse of the distribution whose density falls as 1/(x+3).
	x := 3*math.Pow(float64(n+3)/3, d.Float64()) - 3
	return min(int(x), n-1)
}

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

func base58(b []byte) string {
	n, digit, radix := new(big.Int).SetBytes(b), new(big.Int), big.NewInt(58)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, radix, digit)
		out = append(out, base58Alphabet[digit.Int64()])
	}
	for _, c := range b {
		if c != 0 {
			break
		}
		out = append(out, base58Alphabet[0])
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

// bytesOf are 32 bytes that follow from a name and numbers.
func bytesOf(name string, numbers ...uint64) []byte {
	b := []byte(name)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// objectID and versionHash make ids of SPEC 1: a version's hash holds its
// object's id.
func objectID(b []byte) string { return "iq__" + base58(b[:20]) }

func versionHash(object, digest []byte) string {
	b := append([]byte(nil), digest[:32]...)
	b = binary.AppendUvarint(b, uint64(1000+int(digest[3])*77))
	return "hq__" + base58(append(b, object[:20]...))
}
