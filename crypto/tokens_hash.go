package crypto

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// argonCost is what one look at a token costs. It is stored beside each hash, so that it can be
// raised for new tokens.
type argonCost struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// defaultCost is the first of the equal choices in OWASP's Password Storage Cheat Sheet: 19 MiB, two
// passes, one thread. That is about 20 ms of one core.
var defaultCost = argonCost{memory: 19 << 10, passes: 2, threads: 1}

// maxCost is beyond what we would choose: a file that asks for more was not written by us.
var maxCost = argonCost{memory: 256 << 10, passes: 16, threads: 16}

const (
	argonSaltLen = 16
	argonHashLen = 32
)

// A tokenHash is what is kept of a token's secret: $argon2id$v=19$m=…,t=…,p=…$salt$hash, the form that
// the reference implementation of Argon2 writes.
type tokenHash struct {
	cost       argonCost
	salt, hash []byte
}

func (c argonCost) newHash(secret string) tokenHash {
	h := tokenHash{cost: c, salt: make([]byte, argonSaltLen)}
	rand.Read(h.salt) // never fails
	h.hash = h.of(secret)
	return h
}

func (h tokenHash) of(secret string) []byte {
	return argon2.IDKey([]byte(secret), h.salt, h.cost.passes, h.cost.memory, h.cost.threads, argonHashLen)
}

func (h tokenHash) matches(secret string) bool {
	return subtle.ConstantTimeCompare(h.of(secret), h.hash) == 1
}

// MarshalText writes the hash.
func (h tokenHash) MarshalText() ([]byte, error) {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.memory, h.cost.passes, h.cost.threads, b64(h.salt), b64(h.hash)), nil
}

var errTokenHash = errors.New("a token's hash is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash, or asks for too much")

// UnmarshalText reads a hash, and refuses one that would cost more than we would ever choose.
func (h *tokenHash) UnmarshalText(text []byte) error {
	var version int
	var rest string
	n, err := fmt.Sscanf(string(text), "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &h.cost.memory, &h.cost.passes, &h.cost.threads, &rest)
	if err != nil || n != 5 || version != argon2.Version {
		return errTokenHash
	}
	c := h.cost
	if c.memory < 8*uint32(c.threads) || c.memory > maxCost.memory || c.passes < 1 || c.passes > maxCost.passes || c.threads < 1 || c.threads > maxCost.threads {
		return errTokenHash
	}
	salt, hash, _ := strings.Cut(rest, "$")
	var badSalt, badHash error
	h.salt, badSalt = base64.RawStdEncoding.Strict().DecodeString(salt)
	h.hash, badHash = base64.RawStdEncoding.Strict().DecodeString(hash)
	if badSalt != nil || badHash != nil || len(h.salt) != argonSaltLen || len(h.hash) != argonHashLen {
		return errTokenHash
	}
	if again, _ := h.MarshalText(); string(again) != string(text) { // with something behind it, say
		return errTokenHash
	}
	return nil
}
