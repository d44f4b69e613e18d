package crypto

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// A Secret prints, logs and marshals as "[redacted]". Only Reveal gives the
// text. Go has three holes that a type cannot close:
//
//   - fmt reads unexported fields without asking them. So a struct keeps its
//     secrets in exported fields, or has a Format of its own.
//   - %w with something that is no error prints it raw; go vet finds that.
//   - encoding/json writes the keys of a map raw. A secret is no key.
type Secret string

// Reveal is the text itself.
func (s Secret) Reveal() string { return string(s) }

// String is always the same word.
func (s Secret) String() string { return redacted }

// GoString is for %#v.
func (s Secret) GoString() string { return redacted }

// Format answers every other verb, %x and %d included.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue is for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is for every encoder that asks for text: XML, YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON is for encoding/json.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
