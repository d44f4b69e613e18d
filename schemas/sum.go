package schemas

import (
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
)

// Sum is an exact total of non-negative amounts: 128 bits, so that no month of
// rows, each at most 2^50, can wrap it.
type Sum struct{ Hi, Lo uint64 }

// SumOf is the Sum of one amount.
func SumOf(n int64) Sum { return Sum{Lo: uint64(n)} }

// Add adds n, which must not be negative.
func (s *Sum) Add(n int64) {
	var carry uint64
	s.Lo, carry = bits.Add64(s.Lo, uint64(n), 0)
	s.Hi += carry
}

// AddSum adds another total.
func (s *Sum) AddSum(t Sum) {
	var carry uint64
	s.Lo, carry = bits.Add64(s.Lo, t.Lo, 0)
	s.Hi, _ = bits.Add64(s.Hi, t.Hi, carry)
}

// Minus is s-t, or zero where t is larger.
func (s Sum) Minus(t Sum) Sum {
	if s.Cmp(t) <= 0 {
		return Sum{}
	}
	lo, borrow := bits.Sub64(s.Lo, t.Lo, 0)
	hi, _ := bits.Sub64(s.Hi, t.Hi, borrow)
	return Sum{hi, lo}
}

// Cmp orders two totals: -1, 0 or 1.
func (s Sum) Cmp(t Sum) int {
	switch {
	case s.Hi != t.Hi && s.Hi < t.Hi, s.Hi == t.Hi && s.Lo < t.Lo:
		return -1
	case s == t:
		return 0
	}
	return 1
}

// IsZero tells whether nothing was added.
func (s Sum) IsZero() bool { return s == Sum{} }

// Big is the total as a big integer.
func (s Sum) Big() *big.Int {
	b := new(big.Int).SetUint64(s.Hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(s.Lo))
}

// String writes the total in decimal.
func (s Sum) String() string { return string(s.Append(nil)) }

// Append appends the total in decimal.
func (s Sum) Append(b []byte) []byte {
	if s.Hi == 0 {
		return strconv.AppendUint(b, s.Lo, 10)
	}
	return s.Big().Append(b, 10)
}

// MarshalJSON writes the total as a JSON number.
func (s Sum) MarshalJSON() ([]byte, error) { return s.Append(nil), nil }

// UnmarshalJSON reads a JSON number that is a non-negative whole number.
func (s *Sum) UnmarshalJSON(b []byte) error {
	n, ok := new(big.Int).SetString(string(b), 10)
	if !ok || n.Sign() < 0 || n.BitLen() > 128 {
		return fmt.Errorf("%q is not a whole number below 2^128", b)
	}
	s.Lo = new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0))).Uint64()
	s.Hi = new(big.Int).Rsh(n, 64).Uint64()
	return nil
}

// AppendMicros appends micros, a total of microseconds, as seconds: an exact
// decimal with at most six fractional digits and no trailing zeros (SPEC 2.4).
func (s Sum) AppendMicros(b []byte) []byte {
	if s.Hi == 0 {
		return appendMillionths(b, s.Lo/1_000_000, s.Lo%1_000_000)
	}
	whole, part := new(big.Int).QuoRem(s.Big(), big.NewInt(1_000_000), new(big.Int))
	return appendFraction(whole.Append(b, 10), part.Uint64())
}

// AppendQuotient appends s/divisor rounded half away from zero to six
// fractional digits, trailing zeros dropped (hours of SPEC 2.4 and 3). The
// divisor must be above zero.
func (s Sum) AppendQuotient(b []byte, divisor int64) []byte {
	hi, lo := bits.Mul64(s.Lo, 1_000_000)
	if s.Hi == 0 && hi < uint64(divisor) {
		q, r := bits.Div64(hi, lo, uint64(divisor))
		if r >= uint64(divisor)-r {
			q++
		}
		return appendMillionths(b, q/1_000_000, q%1_000_000)
	}
	d := big.NewInt(divisor)
	n := new(big.Int).Mul(s.Big(), big.NewInt(1_000_000))
	q, r := n.QuoRem(n, d, new(big.Int))
	if r.Lsh(r, 1).Cmp(d) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	whole, part := q.QuoRem(q, big.NewInt(1_000_000), new(big.Int))
	return appendFraction(whole.Append(b, 10), part.Uint64())
}

func appendMillionths(b []byte, whole, part uint64) []byte {
	return appendFraction(strconv.AppendUint(b, whole, 10), part)
}

// appendFraction appends a fraction of millionths without trailing zeros.
func appendFraction(b []byte, part uint64) []byte {
	if part == 0 {
		return b
	}
	var digits [7]byte
	digits[0] = '.'
	for i := 6; i > 0; i-- {
		digits[i] = byte('0' + part%10)
		part /= 10
	}
	n := 7
	for digits[n-1] == '0' {
		n--
	}
	return append(b, digits[:n]...)
}
