package intake

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestWhatCannotBeReadStandsAlone: the events before and behind it are in files that a run can read.
func TestWhatCannotBeReadStandsAlone(t *testing.T) {
	l, s := openLog(t, t.TempDir(), Config{}), new(shelf)
	want := appendEvents(t, l, "n1", 0, 10)
	if err := l.Append(t.Context(), []Chunk{{Frame: []byte("no zstd"), Events: 1, Size: 1}}); err != nil {
		t.Fatal(err)
	}
	want = append(want, appendEvents(t, l, "n1", 10, 10)...)
	flush(t, l, s)
	var got []string
	raw := 0
	for _, key := range s.keys() {
		if strings.HasSuffix(key, ".ndjson.zst") {
			raw++
			continue
		}
		got = append(got, rowsOf(t, key, s.objects[key])...)
	}
	if raw != 1 {
		t.Errorf("%d files are as they are: %v", raw, s.keys())
	}
	slices.Sort(got)
	slices.Sort(want)
	wantRows(t, got, want)
	wantEmpty(t, l)
	closeLog(t, l)
}

// TestMessagesThatUnpackLargeAreReadAllTheSame: hundreds of posts at once, each small on its way and large unpacked.
func TestMessagesThatUnpackLargeAreReadAllTheSame(t *testing.T) {
	l, s := openLog(t, t.TempDir(), Config{}), new(shelf)
	in := New(l)
	agent := strings.Repeat("a", maxEventBytes-1000)
	var all sync.WaitGroup
	const posts = 300
	for i := range posts {
		all.Go(func() {
			var b strings.Builder
			for j := range 3 {
				fmt.Fprintf(&b, `{"node_id":"n","seq":%d,"user_agent":%q,%s}`+"\n", 3*i+j, agent, rest)
			}
			for {
				_, err := in.Events(t.Context(), &Post{Header: http.Header{}, Body: strings.NewReader(b.String()), Trusted: true})
				if !errors.Is(err, ErrBusy) {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	all.Wait()
	flush(t, l, s)
	rows := 0
	for _, key := range s.keys() {
		if !strings.HasSuffix(key, ".parquet") {
			t.Errorf("%s is as it is", key)
			continue
		}
		rows += len(readUsage(t, key, s.objects[key]))
	}
	if rows != 3*posts {
		t.Errorf("%d rows, want %d", rows, 3*posts)
	}
	wantEmpty(t, l)
	closeLog(t, l)
}

// TestAFileThatCannotBePutIsDraftedOnce, however often it is tried.
func TestAFileThatCannotBePutIsDraftedOnce(t *testing.T) {
	l, s := openLog(t, t.TempDir(), Config{}), new(shelf)
	want := appendEvents(t, l, "n1", 0, 10)
	s.fail = func(string) (before, after error) { return errFault, nil }
	var first *draft
	for range 3 {
		if err := l.Flush(t.Context(), s, nil); !errors.Is(err, errFault) {
			t.Fatal(err)
		}
		if first == nil {
			first = l.drafted
		}
		if l.drafted == nil || l.drafted != first {
			t.Fatal("it was drafted again")
		}
	}
	s.fail = nil
	want = append(want, appendEvents(t, l, "n1", 10, 10)...)
	flush(t, l, s)
	wantRows(t, s.rows(t), want)
	if l.drafted != nil {
		t.Error("the draft is held for ever")
	}
	closeLog(t, l)
}
