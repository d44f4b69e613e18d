package crypto

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// AllowedSigners says whose signatures are believed, in the format of OpenSSH's
// allowed signers files (ssh-keygen(1), ALLOWED SIGNERS).
//
//   - A line is: principals, options, key type, key, comment. Empty lines and
//     lines that begin with # are skipped.
//   - Options: namespaces, valid-after and valid-before, each with its value in
//     double quotes. Lines with cert-authority are read and never believed.
//   - Keys of other kinds than Ed25519 are read and never believed.
type AllowedSigners struct{ entries []allowedSigner }

type allowedSigner struct {
	line       string
	principals string
	namespaces string    // empty: all
	after      time.Time // zero: always
	before     time.Time
	authority  bool
	key        ssh.PublicKey
}

// MaxAllowedSigners is beyond every real list, in bytes.
const MaxAllowedSigners = 1 << 20

// ErrUnknownSigner tells that a signature is whole, and made by a key that is not allowed.
var ErrUnknownSigner = errors.New("the signer is not in the list of allowed signers")

// ParseAllowedSigners reads a list. Errors name the line; what stands before it is
// returned with them, as ssh-keygen reads no further either.
func ParseAllowedSigners(data []byte) (AllowedSigners, error) {
	var list AllowedSigners
	if len(data) > MaxAllowedSigners {
		return list, fmt.Errorf("allowed signers: larger than %d bytes", MaxAllowedSigners)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		entry, err := parseAllowed(line)
		if err != nil {
			return list, fmt.Errorf("allowed signers, line %d: %w", n, err)
		}
		list.entries = append(list.entries, entry)
	}
	return list, nil
}

func parseAllowed(line string) (allowedSigner, error) {
	entry := allowedSigner{line: line}
	rest := ""
	var err error
	if entry.principals, rest, err = cutPrincipals(line); err != nil {
		return entry, err
	}
	if !beginsKey(rest) {
		var options string
		if options, rest, err = cutOptions(rest); err != nil {
			return entry, err
		}
		if err := entry.setOptions(options); err != nil {
			return entry, err
		}
	}
	kind, rest := cutWord(rest)
	text, _ := cutWord(rest)
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil || text == "" {
		return entry, errors.New("no public key where one should be")
	}
	if entry.key, err = ssh.ParsePublicKey(blob); err != nil || entry.key.Type() != kind {
		return entry, fmt.Errorf("not a whole %s key", shorten(kind))
	}
	return entry, nil
}

// cutPrincipals takes the first field, which may stand in double quotes.
func cutPrincipals(line string) (principals, rest string, err error) {
	quoted, ok := strings.CutPrefix(line, `"`)
	if !ok {
		principals, rest = cutWord(line)
		return principals, rest, nil
	}
	if principals, rest, ok = strings.Cut(quoted, `"`); !ok {
		return "", "", errors.New("the principals lack a closing quote")
	}
	return principals, strings.TrimLeft(rest, " \t"), nil
}

func cutWord(s string) (word, rest string) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimLeft(s[i:], " \t")
	}
	return s, ""
}

func beginsKey(s string) bool {
	return strings.HasPrefix(s, "ssh-") || strings.HasPrefix(s, "ecdsa-") || strings.HasPrefix(s, "sk-")
}

// cutOptions takes the options: up to the first blank outside of double quotes.
func cutOptions(s string) (options, rest string, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ' ' || s[i] == '\t'):
			return s[:i], strings.TrimLeft(s[i:], " \t"), nil
		}
	}
	return "", "", errors.New("no public key where one should be")
}

func (e *allowedSigner) setOptions(options string) error {
	seen := make(map[string]bool)
	for options != "" {
		name, value, rest, err := cutOption(options)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%s is given twice", name)
		}
		seen[name] = true
		if err := e.setOption(name, value); err != nil {
			return err
		}
		options = rest
	}
	if !e.after.IsZero() && !e.before.IsZero() && !e.before.After(e.after) {
		return errors.New("valid-before is not after valid-after")
	}
	return nil
}

// cutOption takes the first of the options that commas separate.
func cutOption(s string) (name, value, rest string, err error) {
	n := strings.IndexAny(s, "=,")
	if n < 0 {
		return strings.ToLower(s), "", "", nil
	}
	name = strings.ToLower(s[:n])
	if s[n] == '=' {
		if value, s, err = unquote(s[n+1:]); err != nil {
			return "", "", "", fmt.Errorf("%s: %w", shorten(name), err)
		}
	} else {
		s = s[n:]
	}
	if s == "" {
		return name, value, "", nil
	}
	if rest, ok := strings.CutPrefix(s, ","); ok && rest != "" {
		return name, value, rest, nil
	}
	return "", "", "", fmt.Errorf("%s: a comma and another option must follow, or nothing", shorten(name))
}

// unquote reads a text in double quotes, in which \" stands for one.
func unquote(s string) (text, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", errors.New("the value must stand in double quotes")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
			b.WriteByte('"')
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errors.New("the value lacks a closing quote")
}

func (e *allowedSigner) setOption(name, value string) (err error) {
	switch name {
	case "cert-authority":
		e.authority = true
	case "namespaces":
		if e.namespaces = value; value == "" {
			err = errors.New("namespaces: none is named")
		}
	case "valid-after":
		e.after, err = parseValid(name, value)
	case "valid-before":
		e.before, err = parseValid(name, value)
	default:
		err = fmt.Errorf("%q is no option of allowed signers", shorten(name))
	}
	return err
}

// parseValid reads YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z]; without the Z it is local time.
func parseValid(name, s string) (time.Time, error) {
	digits, utc := strings.CutSuffix(s, "Z")
	layout, ok := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}[len(digits)]
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	at, err := time.ParseInLocation(layout, digits, zone)
	if !ok || err != nil || at.Unix() <= 0 {
		return time.Time{}, fmt.Errorf("%s: %q is no time; write YYYYMMDD or YYYYMMDDHHMM, with a Z for UTC", name, shorten(s))
	}
	return at, nil
}

// Len is how many keys are listed.
func (a AllowedSigners) Len() int { return len(a.entries) }

// Fingerprints are those of the listed keys that may sign manifests at some time, in the list's order.
func (a AllowedSigners) Fingerprints() []string {
	var out []string
	for i := range a.entries {
		if e := &a.entries[i]; e.signs(SignerPrincipal, ManifestNamespace) {
			if f := ssh.FingerprintSHA256(e.key); !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// signs tells whether the key signs for the principal in the namespace, at some time.
func (e *allowedSigner) signs(principal, namespace string) bool {
	return !e.authority && e.key.Type() == ssh.KeyAlgoED25519 && matchList(principal, e.principals) &&
		(e.namespaces == "" || matchList(namespace, e.namespaces))
}

// Verify checks that an armored signature of the message was made in the namespace by a key that
// the list allows the principal at the given time, and returns the key's fingerprint.
//
//   - Errors: ErrUnknownSigner, with the fingerprint; anything else means that
//     the signature is none of this message.
//   - Source: PROTOCOL.sshsig and sshsig.c of OpenSSH.
func (a AllowedSigners) Verify(message, armored []byte, principal, namespace string, at time.Time) (string, error) {
	s, err := parseSignature(armored)
	if err != nil {
		return "", err
	}
	if s.Namespace != namespace {
		return "", fmt.Errorf("it was made for %q, not for %q", shorten(s.Namespace), namespace)
	}
	key, err := s.key(message)
	if err != nil {
		return "", err
	}
	name, blob := ssh.FingerprintSHA256(key), key.Marshal()
	late := ""
	for i := range a.entries {
		e := &a.entries[i]
		if !bytes.Equal(e.key.Marshal(), blob) || !e.signs(principal, namespace) {
			continue
		}
		switch {
		case !e.after.IsZero() && at.Before(e.after):
			late = " from " + e.after.UTC().Format(time.RFC3339) + " on"
		case !e.before.IsZero() && at.After(e.before):
			late = " until " + e.before.UTC().Format(time.RFC3339)
		default:
			return name, nil
		}
	}
	if late != "" {
		return name, fmt.Errorf("%w for that time: %s signs only%s", ErrUnknownSigner, name, late)
	}
	return name, fmt.Errorf("%w: %s", ErrUnknownSigner, name)
}

// Join puts our lines into a published list. Lines of other keys stay as they are, lines of our
// keys become ours. New ones come first: where a list cannot be read, ssh-keygen stops.
func (a AllowedSigners) Join(list []byte) (joined []byte, changed bool) {
	var kept []byte
	held := make(map[string]bool)
	readable := true
	for line := range bytes.Lines(list) {
		there, err := ParseAllowedSigners(line)
		readable = readable && err == nil
		if readable && there.Len() == 1 && a.lists(there.entries[0].key) {
			if !a.has(there.entries[0].line) {
				changed = true
				continue
			}
			held[there.entries[0].line] = true
		}
		kept = append(kept, line...)
	}
	for _, e := range a.entries {
		if !held[e.line] {
			joined = append(append(joined, e.line...), '\n')
			changed = true
		}
	}
	return append(joined, kept...), changed
}

func (a AllowedSigners) lists(key ssh.PublicKey) bool {
	return slices.ContainsFunc(a.entries, func(e allowedSigner) bool { return bytes.Equal(e.key.Marshal(), key.Marshal()) })
}

func (a AllowedSigners) has(line string) bool {
	return slices.ContainsFunc(a.entries, func(e allowedSigner) bool { return e.line == line })
}

// matchList tells whether s matches one of the patterns that commas separate, and none of
// those behind a "!".
func matchList(s, patterns string) bool {
	found := false
	for pattern := range strings.SplitSeq(patterns, ",") {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if matchPattern(s, pattern) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// matchPattern knows * and ?. It takes time in proportion to the product of the lengths at most.
func matchPattern(s, pattern string) bool {
	i, p, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			i++
			p++
		case star >= 0: // let the last star take one more
			from++
			i, p = from, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
