package crypto

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
)

func newSpool(t testing.TB) (*Spool, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := NewSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func TestSpoolGivesBackWhatItGot(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, spoolBuffer - 1, spoolBuffer, spoolBuffer + 1, 3*spoolBuffer + 5} {
		for _, step := range []int{7, 16, 4096, spoolBuffer + 1} {
			t.Run(fmt.Sprintf("%d bytes in writes of %d", n, step), func(t *testing.T) {
				s, _ := newSpool(t)
				want := noise(n)
				for p := want; len(p) > 0; {
					k := min(step, len(p))
					if m, err := s.Write(p[:k]); m != k || err != nil {
						t.Fatal(m, err)
					}
					p = p[k:]
				}
				if s.Size() != int64(n) {
					t.Errorf("Size() = %d, want %d", s.Size(), n)
				}
				got, err := io.ReadAll(s.Reader())
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
			})
		}
	}
}

func TestSpoolReadsAtAnyPlace(t *testing.T) {
	s, _ := newSpool(t)
	want := noise(2*spoolBuffer + 33)
	s.Write(want)
	edges := []int{0, 1, 15, 16, 17, 31, 32, spoolBuffer - 1, spoolBuffer, spoolBuffer + 1, len(want) - 17, len(want) - 1, len(want), len(want) + 1}
	for _, off := range edges {
		for _, n := range []int{0, 1, 15, 16, 17, 100, spoolBuffer} {
			p := make([]byte, n)
			got, err := s.ReadAt(p, int64(off))
			// What a plain file would say, save that reading nothing past the end is also an end.
			ref, refErr := bytes.NewReader(want).ReadAt(make([]byte, n), int64(off))
			if got != ref || (err != nil) != (refErr != nil) || !bytes.Equal(p[:got], want[min(off, len(want)):min(off, len(want))+got]) {
				t.Errorf("ReadAt(%d bytes, %d) = %d, %v, want %d, %v", n, off, got, err, ref, refErr)
			}
		}
	}
	if _, err := s.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
		t.Errorf("negative offset: %v", err)
	}
}

func TestSpoolIsSafeForConcurrentReaders(t *testing.T) {
	s, _ := newSpool(t)
	want := noise(4 * spoolBuffer)
	s.Write(want[:spoolBuffer])
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for range 500 {
				off := r.IntN(spoolBuffer - 100)
				p := make([]byte, 100)
				if _, err := s.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, want[off:off+100]) {
					t.Errorf("at %d: %v", off, err)
					return
				}
			}
		})
	}
	s.Write(want[spoolBuffer:])
	wg.Wait()
	if got, err := io.ReadAll(s.Reader()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestSpoolLeavesNothingReadableOnTheDisk(t *testing.T) {
	s, dir := newSpool(t)
	secret := []byte(strings.Repeat("viewer 203.0.113.7 watched this; ", 10_000))
	s.Write(secret)
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("the folder holds %v, %v", names, err)
	}
	if st, err := s.f.Stat(); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	disk, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", s.f.Fd()))
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	defer disk.Close()
	raw, err := io.ReadAll(disk)
	if err != nil || len(raw) != len(secret) {
		t.Fatalf("%d bytes on the disk, %v", len(raw), err)
	}
	if bytes.Contains(raw, []byte("viewer")) || bytes.Contains(raw, make([]byte, 32)) {
		t.Error("the disk shows the plaintext")
	}
	// The same text over and over must not look the same.
	if bytes.Equal(raw[:33*16], raw[33*16:2*33*16]) {
		t.Error("the disk shows the pattern")
	}
}

func TestClosedSpoolReadsNothing(t *testing.T) {
	s, _ := newSpool(t)
	s.Write([]byte("x"))
	s.Close()
	if _, err := s.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("read after Close")
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("written after Close")
	}
}

func TestSpoolNeedsAFolder(t *testing.T) {
	if _, err := NewSpool("/nonexistent/folder"); err == nil {
		t.Error("no error")
	}
}

func BenchmarkSpool(b *testing.B) {
	for _, n := range []int{4 << 10, 1 << 20, 64 << 20} {
		plain := noise(n)
		b.Run(fmt.Sprintf("write/bytes=%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				b.StopTimer()
				s, _ := newSpool(b)
				b.StartTimer()
				s.Write(plain)
				b.StopTimer()
				s.Close()
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprintf("read/bytes=%d", n), func(b *testing.B) {
			s, _ := newSpool(b)
			s.Write(plain)
			b.SetBytes(int64(n))
			for b.Loop() {
				io.Copy(io.Discard, s.Reader())
			}
		})
	}
}
