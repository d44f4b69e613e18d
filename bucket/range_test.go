package bucket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// rangeStreams is a row of conform.
func rangeStreams(t *testing.T, s *Store) {
	b := newBucket(t, s)
	data := noise(7, 300_000)
	info := mustPut(t, b, "object", data)
	for _, r := range [][2]int64{{0, 1}, {0, 300_000}, {1, 299_999}, {299_999, 1}, {1000, 65_536}} {
		body, err := b.RangeReader(t.Context(), "object", info.ETag, r[0], r[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil || !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
			t.Errorf("%d bytes from %d: %d bytes, %v", r[1], r[0], len(got), err)
		}
		body.Close()
	}
	if _, err := b.RangeReader(t.Context(), "object", info.ETag, 299_999, 2); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("past the end: %v", err)
	}
	if _, err := b.RangeReader(t.Context(), "object", info.ETag, 300_000, 1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("behind the end: %v", err)
	}
	if _, err := b.RangeReader(t.Context(), "nothing", info.ETag, 0, 1); !errors.Is(err, ErrNotExist) {
		t.Errorf("no object: %v", err)
	}
	mustPut(t, b, "object", data[1:])
	if _, err := b.RangeReader(t.Context(), "object", info.ETag, 0, 1); !errors.Is(err, ErrChanged) {
		t.Errorf("another version: %v", err)
	}
}

func TestRangesAreCheckedBeforeTheStoreIsAsked(t *testing.T) {
	s, err := newStore(Config{Endpoint: "http://127.0.0.1:1"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		etag   string
		off, n int64
	}{{"", 0, 1}, {"e", -1, 1}, {"e", 0, 0}, {"e", 0, -5}} {
		if _, err := s.Bucket("b").RangeReader(t.Context(), "k", r.etag, r.off, r.n); err == nil || !strings.Contains(err.Error(), "bad range") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// brokenRange is a row of conform: the connection breaks in the middle of a range.
func brokenRange(t *testing.T, s *Store) {
	b := newBucket(t, s)
	data := noise(8, 200_000)
	info := mustPut(t, b, "object", data)
	var breaks atomic.Int64
	seen := through(t, s, meddler{response: func(r *http.Response) error {
		if r.Request.Method == http.MethodGet && r.ContentLength > 50_000 && breaks.Add(-1) >= 0 {
			r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 40_000), failing{}))
		}
		return nil
	}})
	for _, tt := range []struct {
		name   string
		breaks int64
		whole  bool
	}{{"once", 1, true}, {"twice", 2, true}, {"again and again", 100, false}} {
		breaks.Store(tt.breaks)
		body, err := seen.Bucket(b.Name()).RangeReader(t.Context(), "object", info.ETag, 10, 190_000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if tt.whole && (err != nil || !bytes.Equal(got, data[10:190_010])) {
			t.Errorf("%s: %d bytes, %v", tt.name, len(got), err)
		}
		if !tt.whole && (!errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(data[10:], got)) {
			t.Errorf("%s: %d bytes, %v", tt.name, len(got), err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }

// links is a row of conform.
func links(t *testing.T, s *Store) {
	b := newBucket(t, s)
	data := noise(9, 70_000)
	mustPut(t, b, "tenant/2026-10/usage.csv.gz.age", data)
	mustPut(t, b, "other", data)
	before := time.Now().Add(-time.Second)
	link, until, err := b.Link(t.Context(), "tenant/2026-10/usage.csv.gz.age", 90*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if until.Before(before.Add(90*time.Minute)) || until.After(time.Now().Add(90*time.Minute)) {
		t.Errorf("it ends at %s", until)
	}
	if status, got := fetch(t, link); status != http.StatusOK || !bytes.Equal(got, data) {
		t.Errorf("%d, %d bytes", status, len(got))
	}
	for name, bad := range map[string]string{
		"of another object":    strings.Replace(link, "/tenant/2026-10/usage.csv.gz.age", "/other", 1),
		"for longer":           strings.Replace(link, "X-Amz-Expires=5400", "X-Amz-Expires=5401", 1),
		"without a signature":  link[:strings.Index(link, "?")],
		"with half of its own": link[:len(link)-8],
	} {
		if bad == link {
			t.Fatalf("%s: nothing to change in %s", name, link[:strings.Index(link, "?")])
		}
		if status, _ := fetch(t, bad); status < 400 {
			t.Errorf("a link %s is answered %d", name, status)
		}
	}
	if s.OnlyHere() != strings.Contains(s.Config().Endpoint, "127.0.0.1") {
		t.Errorf("%s: only here: %v", s.Config().Endpoint, s.OnlyHere())
	}
}

func fetch(t *testing.T, link string) (int, []byte) {
	t.Helper()
	resp, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func TestLinksHoldForAWeekAtMost(t *testing.T) {
	s, err := newStore(Config{Endpoint: "https://s3.example.com", AccessKey: "a", SecretKey: "b"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for expires, ok := range map[time.Duration]bool{time.Second: true, MaxLink: true, 0: false, -time.Hour: false, time.Second - 1: false, MaxLink + time.Second: false} {
		if _, _, err := s.Bucket("bucket").Link(context.Background(), "k", expires); (err == nil) != ok {
			t.Errorf("%s: %v", expires, err)
		}
	}
	unsigned, err := newStore(Config{Endpoint: "https://s3.example.com"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if link, _, err := unsigned.Bucket("bucket").Link(context.Background(), "k", time.Hour); err == nil {
		t.Errorf("without keys: %s", link)
	}
	if s.OnlyHere() {
		t.Error("s3.example.com is taken for this machine")
	}
}
