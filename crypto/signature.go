package crypto

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// The text around a signature, and how wide ssh-keygen writes it.
const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----\n"
	armorEnd   = "-----END SSH SIGNATURE-----\n"
	armorWidth = 70
)

// MaxSignature is beyond every real signature, in bytes.
const MaxSignature = 16 << 10

const (
	signatureMagic   = "SSHSIG"
	signatureVersion = 1
)

// signature is what is inside of the armor, behind the magic (OpenSSH's PROTOCOL.sshsig).
type signature struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// signed is what is signed in the place of the message, behind the magic.
type signed struct {
	Namespace string
	Reserved  string
	Hash      string
	Digest    []byte
}

// inner is the signature proper.
type inner struct {
	Format string
	Blob   []byte
}

// digest is the text that is signed for a message.
func (s *signature) digest(message []byte) ([]byte, error) {
	var sum []byte
	switch s.Hash {
	case "sha512":
		d := sha512.Sum512(message)
		sum = d[:]
	case "sha256":
		d := sha256.Sum256(message)
		sum = d[:]
	default:
		return nil, fmt.Errorf("its hash %q is neither sha512 nor sha256", shorten(s.Hash))
	}
	return append([]byte(signatureMagic), ssh.Marshal(signed{s.Namespace, s.Reserved, s.Hash, sum})...), nil
}

func (s *signature) armor() []byte {
	raw := append([]byte(signatureMagic), ssh.Marshal(s)...)
	text := base64.StdEncoding.AppendEncode(nil, raw)
	out := []byte(armorBegin)
	for len(text) > 0 {
		n := min(armorWidth, len(text))
		out = append(append(out, text[:n]...), '\n')
		text = text[n:]
	}
	return append(out, armorEnd...)
}

// parseSignature reads a signature in the one form in which ssh-keygen writes it: so a
// signature cannot be changed and stay one.
func parseSignature(data []byte) (*signature, error) {
	if len(data) > MaxSignature {
		return nil, errors.New("it is larger than any SSH signature")
	}
	body, ok := bytes.CutPrefix(data, []byte(armorBegin))
	if body, ok = cutSuffix(body, ok); !ok {
		return nil, errors.New("it is no SSH signature: it must begin and end with ssh-keygen's lines")
	}
	raw, err := base64.StdEncoding.DecodeString(string(body))
	if err != nil {
		return nil, fmt.Errorf("it is no whole SSH signature: %w", err)
	}
	raw, ok = bytes.CutPrefix(raw, []byte(signatureMagic))
	var s signature
	if !ok || ssh.Unmarshal(raw, &s) != nil {
		return nil, errors.New("it is no whole SSH signature")
	}
	if s.Version != signatureVersion {
		return nil, fmt.Errorf("it is of version %d of SSH signatures, this software knows %d", s.Version, signatureVersion)
	}
	if !bytes.Equal(s.armor(), data) {
		return nil, errors.New("it is not written as ssh-keygen writes it")
	}
	return &s, nil
}

func cutSuffix(body []byte, ok bool) ([]byte, bool) {
	if !ok {
		return nil, false
	}
	return bytes.CutSuffix(body, []byte(armorEnd))
}

// key reads the signature's public key and checks that it made the signature of the message.
func (s *signature) key(message []byte) (ssh.PublicKey, error) {
	key, err := ssh.ParsePublicKey(s.PublicKey)
	if err != nil {
		return nil, errors.New("its public key cannot be read")
	}
	if key.Type() != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("it was made with a %s key, and only %s ones sign here", shorten(key.Type()), ssh.KeyAlgoED25519)
	}
	var in inner
	if ssh.Unmarshal(s.Signature, &in) != nil || in.Format != ssh.KeyAlgoED25519 {
		return nil, errors.New("it is no whole SSH signature")
	}
	text, err := s.digest(message)
	if err != nil {
		return nil, err
	}
	if key.Verify(text, &ssh.Signature{Format: in.Format, Blob: in.Blob}) != nil {
		return nil, errors.New("it is not the signature of these bytes")
	}
	return key, nil
}
