package crypto

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var signTime = time.Date(2026, 10, 14, 9, 17, 0, 0, time.UTC)

func newSigned(t testing.TB, message string) (*Signer, AllowedSigners, []byte) {
	t.Helper()
	s, err := NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign([]byte(message), ManifestNamespace)
	if err != nil {
		t.Fatal(err)
	}
	return s, allowedOf(t, s.AllowedLine("a comment")), sig
}

func allowedOf(t testing.TB, lines ...string) AllowedSigners {
	t.Helper()
	list, err := ParseAllowedSigners([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestASignatureIsOfOneMessageNamespaceAndKey(t *testing.T) {
	s, allowed, sig := newSigned(t, "a manifest")
	other, _, foreign := newSigned(t, "a manifest")
	elsewhere, err := s.Sign([]byte("a manifest"), "file")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, message string
		sig           []byte
		want          string // of the error; empty: good
	}{
		{"what was signed", "a manifest", sig, ""},
		{"another message", "b manifest", sig, "not the signature of these bytes"},
		{"an empty message", "", sig, "not the signature of these bytes"},
		{"another namespace", "a manifest", elsewhere, `made for "file"`},
		{"another key", "a manifest", foreign, other.Fingerprint()},
		{"no signature", "a manifest", nil, "no SSH signature"},
		{"cut short", "a manifest", sig[:len(sig)-1], "no SSH signature"},
		{"something behind it", "a manifest", append(bytes.Clone(sig), '\n'), "no SSH signature"},
		{"other line ends", "a manifest", bytes.ReplaceAll(sig, []byte("\n"), []byte("\r\n")), "no SSH signature"},
		{"much too long", "a manifest", bytes.Repeat(sig, 1000), "larger than any"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			by, err := allowed.Verify([]byte(tt.message), tt.sig, SignerPrincipal, ManifestNamespace, signTime)
			switch {
			case tt.want == "" && (err != nil || by != s.Fingerprint()):
				t.Errorf("got %s, %v; want %s", by, err, s.Fingerprint())
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNoByteOfASignatureCanBeChanged(t *testing.T) {
	_, allowed, sig := newSigned(t, "a manifest")
	for i := range sig {
		for _, flip := range []byte{1, 0x20, 0x80} {
			changed := bytes.Clone(sig)
			changed[i] ^= flip
			if by, err := allowed.Verify([]byte("a manifest"), changed, SignerPrincipal, ManifestNamespace, signTime); err == nil {
				t.Errorf("byte %d ^ %#x: believed, of %s", i, flip, by)
			}
		}
	}
}

func TestWhoIsAllowed(t *testing.T) {
	s, _, sig := newSigned(t, "a manifest")
	_, rsa := rsaPair(t)
	if _, err := ParseSigner(Secret(rsa)); err == nil || !strings.Contains(err.Error(), "ed25519") {
		t.Errorf("an RSA key as signer: %v", err)
	}
	key := s.Public()
	tests := []struct {
		name, line string
		want       bool
	}{
		{"the line that we write", s.AllowedLine("made on a day"), true},
		{"without options", "playmeter " + key, true},
		{"with tabs and blanks around", "\tplaymeter \t " + key + "   a comment  \r\n", true},
		{"one of several principals", "a@b,playmeter " + key, true},
		{"principals in quotes", `"playmeter" ` + key, true},
		{"a pattern", "play*er " + key, true},
		{"a pattern of single letters", "play????? " + key, true},
		{"a pattern that is too short", "play???? " + key, false},
		{"another principal", "somebody " + key, false},
		{"a principal that is excluded", "*,!playmeter " + key, false},
		{"other letters", "Playmeter " + key, false},
		{"another namespace", `playmeter namespaces="file" ` + key, false},
		{"one of several namespaces", `playmeter namespaces="file,playmeter-*" ` + key, true},
		{"options in capitals", `playmeter NAMESPACES="playmeter-manifest" ` + key, true},
		{"an authority", "playmeter cert-authority " + key, false},
		{"valid since the day before", `playmeter valid-after="20261013Z" ` + key, true},
		{"valid from that very second", `playmeter valid-after="20261014091700Z" ` + key, true},
		{"valid from a second later", `playmeter valid-after="20261014091701Z" ` + key, false},
		{"valid to that very second", `playmeter valid-before="20261014091700Z" ` + key, true},
		{"valid to a second earlier", `playmeter valid-before="20261014091659Z" ` + key, false},
		{"valid in between", `playmeter namespaces="playmeter-manifest",valid-after="202610140916Z",valid-before="202610140918Z" ` + key, true},
		{"a comment", "# playmeter " + key, false},
		{"nothing", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := allowedOf(t, tt.line).Verify([]byte("a manifest"), sig, SignerPrincipal, ManifestNamespace, signTime)
			if (err == nil) != tt.want {
				t.Errorf("%s: %v", tt.line, err)
			}
			theirs, ok := sshVerify(t, tt.line+"\n", "a manifest", sig, "20261014091700Z")
			if ok && theirs != tt.want {
				t.Errorf("ssh-keygen believes it: %v", theirs)
			}
		})
	}
}

func TestLinesThatCannotBeReadAreNamed(t *testing.T) {
	s, _, sig := newSigned(t, "a manifest")
	key := s.Public()
	for _, line := range []string{
		"playmeter", "playmeter ssh-ed25519", "playmeter ssh-ed25519 AAAA", "playmeter ssh-rsa " + strings.Fields(key)[1],
		`playmeter namespaces=file ` + key, `playmeter namespaces="file ` + key, `playmeter colour="red" ` + key,
		`playmeter namespaces="a",namespaces="a" ` + key, `playmeter namespaces="a", ` + key, `playmeter namespaces="a"x ` + key,
		`playmeter valid-after="yesterday" ` + key, `playmeter valid-after="20261301" ` + key, `playmeter valid-after="2026Z" ` + key,
		`playmeter valid-after="20261014Z",valid-before="20261014Z" ` + key, `"playmeter ` + key,
	} {
		_, err := ParseAllowedSigners([]byte("# first\n\n" + line + "\n"))
		if err == nil || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", line, err)
		}
		if theirs, ok := sshVerify(t, line+"\n", "a manifest", sig, "20261014091700Z"); ok && theirs {
			t.Errorf("%s: ssh-keygen believes it", line)
		}
	}
}

func TestJoiningListsKeepsWhatIsThere(t *testing.T) {
	s, ours, _ := newSigned(t, "")
	other, _, _ := newSigned(t, "")
	line, theirs := s.AllowedLine("a comment"), other.AllowedLine("of another machine")
	tests := []struct{ name, list, want string }{
		{"an empty list", "", line + "\n"},
		{"a list with ours", "# a word\n" + theirs + "\n" + line + "\n", ""},
		{"ours come first", "# a word\n" + theirs, line + "\n# a word\n" + theirs},
		{"what stands behind a line that cannot be read is not seen", "rubbish\n" + line + "\n", line + "\nrubbish\n" + line + "\n"},
		{"our line as it is now", `playmeter valid-before="20270101Z" ` + s.Public() + "\n" + theirs + "\n", line + "\n" + theirs + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, changed := ours.Join([]byte(tt.list))
			if changed != (tt.want != "") || changed && string(got) != tt.want {
				t.Errorf("got %v\n%s\nwant\n%s", changed, got, tt.want)
			}
			if again, changed := ours.Join(got); changed {
				t.Errorf("joined twice it becomes\n%s", again)
			}
		})
	}
}

func TestASignerNeverPrintsItself(t *testing.T) {
	s, _, _ := newSigned(t, "")
	file, err := s.File("a comment")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "signer", s, "by value", *s, "file", file)
	text := log.String()
	for _, verb := range []string{"%v", "%+v", "%s", "%q", "%#v", "%x", "%d"} {
		text += fmt.Sprintf(verb+verb+verb, s, *s, file)
	}
	for _, secret := range []string{fmt.Sprintf("%x", s.private[:8]), fmt.Sprint(s.private[:8])[1:20], "OPENSSH"} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			t.Errorf("%q shows in\n%s", secret, text)
		}
	}
	if again, err := ParseSigner(file); err != nil || again.Public() != s.Public() {
		t.Errorf("read back: %v, %v", again, err)
	}
}

// sshVerify asks the real ssh-keygen; ok is false where there is none.
func sshVerify(t testing.TB, allowed, message string, sig []byte, at string) (believed, ok bool) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		return false, false
	}
	dir := t.TempDir()
	list, file := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
	if err := os.WriteFile(list, []byte(allowed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, sig, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("ssh-keygen", "-Y", "verify", "-f", list, "-I", SignerPrincipal, "-n", ManifestNamespace, "-s", file, "-O", "verify-time="+at)
	c.Stdin = strings.NewReader(message)
	return c.Run() == nil, true
}

func TestSSHKeygenAndWeBelieveEachOther(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed (make tools)")
	}
	dir := t.TempDir()
	run := func(in string, args ...string) string {
		t.Helper()
		c := exec.Command("ssh-keygen", args...)
		c.Stdin = strings.NewReader(in)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("ssh-keygen %q: %v", args, err)
		}
		return string(out)
	}
	k, err := OpenKeyring(filepath.Join(dir, "keys"), signTime)
	if err != nil {
		t.Fatal(err)
	}
	ours := filepath.Join(dir, "keys", "signing")
	if got := run("", "-y", "-f", ours); !strings.HasPrefix(got, k.Signer.Public()) {
		t.Errorf("ssh-keygen reads our key as %s, it is %s", got, k.Signer.Public())
	}
	for _, n := range []int{0, 1, 63, 64, 1000, 100_000} {
		message := strings.Repeat("x", n)
		sig, err := k.Signer.Sign([]byte(message), ManifestNamespace)
		if err != nil {
			t.Fatal(err)
		}
		if good, _ := sshVerify(t, k.Signer.AllowedLine(""), message, sig, "20261014Z"); !good {
			t.Errorf("ssh-keygen does not believe our signature of %d bytes:\n%s", n, sig)
		}
		if theirs := run(message, "-Y", "sign", "-f", ours, "-n", ManifestNamespace); theirs != string(sig) {
			t.Errorf("of %d bytes ssh-keygen makes\n%s\nwe make\n%s", n, theirs, sig)
		}
	}
	theirs := filepath.Join(dir, "theirs")
	run("", "-q", "-t", "ed25519", "-N", "", "-f", theirs)
	public, err := os.ReadFile(theirs + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	allowed := allowedOf(t, "playmeter "+string(public))
	for _, hash := range []string{"sha512", "sha256"} {
		sig := run("a manifest", "-Y", "sign", "-f", theirs, "-n", ManifestNamespace, "-O", "hashalg="+hash)
		if _, err := allowed.Verify([]byte("a manifest"), []byte(sig), SignerPrincipal, ManifestNamespace, signTime); err != nil {
			t.Errorf("%s: %v", hash, err)
		}
	}
}

func FuzzSignature(f *testing.F) {
	_, allowed, sig := newSigned(f, "a manifest")
	f.Add(sig)
	f.Add([]byte(armorBegin + armorEnd))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := allowed.Verify([]byte("a manifest"), data, SignerPrincipal, ManifestNamespace, signTime)
		if err == nil && !bytes.Equal(data, sig) {
			t.Errorf("believed:\n%s", data)
		}
		if s, err := parseSignature(data); err == nil && !bytes.Equal(s.armor(), data) {
			t.Errorf("it has two forms:\n%s\n%s", data, s.armor())
		}
	})
}

func FuzzAllowedSigners(f *testing.F) {
	s, _, sig := newSigned(f, "a manifest")
	f.Add([]byte(s.AllowedLine("a comment")))
	f.Add([]byte(`"a,b",*?*?* cert-authority,namespaces="a\"b",valid-after="20260101Z" ` + s.Public() + "\n# word\n"))
	f.Add([]byte("playmeter " + strings.Repeat("*a", 1000) + " " + s.Public()))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseAllowedSigners(data)
		if err == nil {
			_, _ = list.Verify([]byte("a manifest"), sig, SignerPrincipal, ManifestNamespace, signTime)
			if joined, changed := list.Join(data); changed && len(joined) > 2*len(data)+2 {
				t.Errorf("%d bytes become %d", len(data), len(joined))
			}
		}
		ours := allowedOf(t, s.AllowedLine("a comment"))
		joined, _ := ours.Join(data)
		again, _ := ParseAllowedSigners(joined)
		if _, err := again.Verify([]byte("a manifest"), sig, SignerPrincipal, ManifestNamespace, signTime); err != nil && len(joined) <= MaxAllowedSigners {
			t.Errorf("our key is not believed after joining: %v\n%s", err, joined)
		}
	})
}
