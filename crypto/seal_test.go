package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// noise is n bytes, always the same.
func noise(n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(data)
	return data
}

func seal(t testing.TB, plain []byte, to ...Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Seal(&out, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(sealed []byte, ids Identities) ([]byte, error) {
	r, err := Open(bytes.NewReader(sealed), ids)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// reader is a key pair of one kind.
type reader struct {
	kind      string
	recipient Recipient
	ids       Identities
	private   string
}

func readers(t testing.TB) []reader {
	t.Helper()
	pair := func(kind, public, private string) reader {
		ids, err := ParseIdentities(Secret(private))
		if err != nil {
			t.Fatal(err)
		}
		return reader{kind, parse(t, public), ids, private}
	}
	x, xr, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	q, qr, err := NewPostQuantumIdentity()
	if err != nil {
		t.Fatal(err)
	}
	ed, edKey := ed25519Pair(t)
	rs, rsKey := rsaPair(t)
	return []reader{
		pair("X25519", xr.String(), x.Reveal()),
		pair("ssh-ed25519", ed, edKey),
		pair("ssh-rsa", rs, rsKey),
		pair("post-quantum", qr.String(), q.Reveal()),
	}
}

func TestSealedFilesOpen(t *testing.T) {
	const chunk = 64 << 10
	for _, r := range readers(t) {
		for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1} {
			t.Run(fmt.Sprintf("%s/%d", r.kind, n), func(t *testing.T) {
				plain := noise(n)
				sealed := seal(t, plain, r.recipient)
				if n > 16 && bytes.Contains(sealed, plain[:16]) {
					t.Error("the plaintext is in it")
				}
				got, err := open(sealed, r.ids)
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
}

func TestEachRecipientOpensAlone(t *testing.T) {
	all := readers(t)[:3]
	sealed := seal(t, []byte("hello"), all[0].recipient, all[1].recipient, all[2].recipient, all[0].recipient)
	for _, r := range all {
		if got, err := open(sealed, r.ids); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", r.kind, got, err)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	all := readers(t)
	if _, err := Seal(io.Discard); err == nil || !strings.Contains(err.Error(), "no recipients") {
		t.Errorf("no recipients: %v", err)
	}
	if _, err := Seal(io.Discard, Recipient{}); err == nil {
		t.Error("the zero recipient is taken")
	}
	for _, to := range [][]Recipient{{all[0].recipient, all[3].recipient}, {all[3].recipient, all[1].recipient}} {
		_, err := Seal(io.Discard, to...)
		if err == nil || !strings.Contains(err.Error(), all[3].recipient.Fingerprint()+" is post-quantum") {
			t.Errorf("mixed: %v", err)
		}
	}
}

func TestOpenExplainsWhoCanOpen(t *testing.T) {
	all := readers(t)
	sealed := seal(t, []byte("hello"), all[0].recipient, all[1].recipient)
	_, err := open(sealed, all[2].ids)
	if !errors.Is(err, ErrNoIdentity) || !strings.Contains(err.Error(), "sealed to 1 age, 1 ssh-ed25519 key(s), and 1 given") {
		t.Errorf("another's file: %v", err)
	}
	if _, err := open(sealed, Identities{}); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("no identity: %v", err)
	}
	if _, err := open([]byte("object_id,bytes\n"), all[0].ids); err == nil || errors.Is(err, ErrNoIdentity) {
		t.Errorf("a CSV: %v", err)
	}
}

func TestDamagedFilesAreErrors(t *testing.T) {
	r := readers(t)[0]
	plain := noise(64<<10 + 100)
	sealed := seal(t, plain, r.recipient)
	header := len(sealed) - len(plain)
	// Every cut near the edges, and some between.
	for n := range len(sealed) {
		if n > header+200 && n < len(sealed)-200 && n%4099 != 0 {
			continue
		}
		if _, err := open(sealed[:n], r.ids); err == nil {
			t.Fatalf("cut to %d of %d bytes: no error", n, len(sealed))
		}
	}
	for n := 0; n < len(sealed); n += 1 + n/97 {
		bad := bytes.Clone(sealed)
		bad[n] ^= 1
		if _, err := open(bad, r.ids); err == nil {
			t.Fatalf("byte %d flipped: no error", n)
		}
	}
	if _, err := open(append(bytes.Clone(sealed), 0), r.ids); err == nil {
		t.Error("a byte more: no error")
	}
}

// What we seal, the stock program opens: tenants need nothing of ours.
func TestStockAgeOpensWhatWeSeal(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("the age program is not installed (Debian: apt-get install age)")
	}
	dir := t.TempDir()
	plain := noise(100_000)
	for _, r := range readers(t)[:3] { // age before 1.3 knows no post-quantum keys
		t.Run(r.kind, func(t *testing.T) {
			key := filepath.Join(dir, r.kind)
			if err := os.WriteFile(key, []byte(r.private), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program, "-d", "-i", key)
			cmd.Stdin = bytes.NewReader(seal(t, plain, r.recipient))
			var problem bytes.Buffer
			cmd.Stderr = &problem
			got, err := cmd.Output()
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, %v: %s", len(got), err, problem.String())
			}
		})
	}
}

func TestWeOpenWhatStockAgeSeals(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("the age program is not installed (Debian: apt-get install age)")
	}
	plain := noise(100_000)
	for _, r := range readers(t)[:3] {
		cmd := exec.Command(program, "-r", r.recipient.String())
		cmd.Stdin = bytes.NewReader(plain)
		sealed, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(sealed, r.ids); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes, %v", r.kind, len(got), err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	r := readers(b)[0]
	for _, n := range []int{4 << 10, 1 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			plain := noise(n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				w, err := Seal(io.Discard, r.recipient)
				if err != nil {
					b.Fatal(err)
				}
				w.Write(plain)
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
