package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func sessionFile(t testing.TB, n int) ([]byte, []Session) {
	t.Helper()
	var file bytes.Buffer
	w := NewSessionFileWriter(&file)
	var all []Session
	for i := range n {
		s := Session{SessionID: fmt.Appendf(nil, "s%d", i), Object: fmt.Appendf(nil, "iq__%d", i%3), Start: int64(1e18) + int64(i), End: int64(1e18) + 2*int64(i),
			Begun: i%2 == 0, HasVideo: i%3 == 0, Reported: i%5 == 0, Requests: int64(i), Errors: 1, Bytes: SumOf(int64(i) * 1000), Video: SumOf(int64(i)), Audio: SumOf(7),
			Duration: None, Percent: None}
		for j := range i % 4 {
			s.Renditions = append(s.Renditions, Rendition{Audio: j == 1, DRM: j == 2, Width: int32(i), Height: int32(j), Micros: int64(i * j)})
		}
		if err := w.Write(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), all
}

func TestFinishedSessionsAreReadBack(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 2500} {
		data, want := sessionFile(t, n)
		i := 0
		err := ReadSessionFile(bytes.NewReader(data), int64(len(data)), func(s *Session) error {
			if g, w := fmt.Sprintf("%+v", *s), fmt.Sprintf("%+v", want[i]); g != w {
				t.Errorf("session %d of %d is\n%s, want\n%s", i, n, g, w)
			}
			i++
			return nil
		})
		if err != nil || i != n {
			t.Errorf("read %d of %d: %v", i, n, err)
		}
	}
}

func TestADamagedFileOfSessionsIsAnError(t *testing.T) {
	data, _ := sessionFile(t, 100)
	for _, cut := range []int{0, 10, len(data) / 2, len(data) - 1} {
		if err := ReadSessionFile(bytes.NewReader(data[:cut]), int64(cut), func(*Session) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d of %d: %v", cut, len(data), err)
		}
	}
	stop := errors.New("stop")
	if err := ReadSessionFile(bytes.NewReader(data), int64(len(data)), func(*Session) error { return stop }); err != stop {
		t.Errorf("the visitor's error came back as %v", err)
	}
}
