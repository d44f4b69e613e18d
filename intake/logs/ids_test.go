package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

func idsOf(t *testing.T, log string) string {
	t.Helper()
	events, _ := readAll(t, nginx(t, withLadder), tenantA, log)
	var ids []string
	for _, e := range events {
		ids = append(ids, e.EventID)
	}
	return strings.Join(ids, " ")
}

func TestTheSameLineHasTheSameID(t *testing.T) {
	a, b := nginxLine("uri=/f/1/seg1.ts"), nginxLine("uri=/f/1/seg2.ts")
	whole := idsOf(t, a+"\n"+b+"\n"+a+"\n")
	ids := strings.Fields(whole)
	if len(ids) != 3 || ids[0] == ids[1] || ids[2] != ids[0]+"-1" {
		t.Fatalf("ids %v", ids)
	}
	for name, log := range map[string]string{
		"again": a + "\n" + b + "\n" + a, "with other line ends": a + "\r\n" + b + "\r\n\r\n" + a, "grown": a + "\n" + b + "\n" + a + "\n" + b,
	} {
		if got := idsOf(t, log); !strings.HasPrefix(got, whole) {
			t.Errorf("%s: %s, want %s", name, got, whole)
		}
	}
	if got := idsOf(t, b); got != ids[1] {
		t.Errorf("in another log: %s, want %s", got, ids[1])
	}
}

func TestOrdinalsForgetWhatIsFarBehind(t *testing.T) {
	var o ordinals
	key := func(i int) (k [16]byte) { copy(k[:], fmt.Sprint(i)); return k }
	for i := range 2*ordinalMost + 2 {
		if n := o.next(key(i)); n != 0 {
			t.Fatalf("key %d: %d before it", i, n)
		}
	}
	if len(o.now)+len(o.before) > 2*ordinalMost {
		t.Errorf("%d keys kept", len(o.now)+len(o.before))
	}
	if n := o.next(key(2*ordinalMost + 1)); n != 1 {
		t.Errorf("the last key: %d before it, want 1", n)
	}
	if n := o.next(key(0)); n != 0 {
		t.Errorf("the first key: %d before it, want 0: it is forgotten", n)
	}
}

func TestFirstsForgetWhatIsFarBehind(t *testing.T) {
	var w firstWindow
	for i := range 3 * firstMost {
		var k [16]byte
		copy(k[:], fmt.Sprint(i))
		w.first(k, 0)
	}
	if n := len(w.now) + len(w.before); n > 2*firstMost {
		t.Errorf("%d keys kept", n)
	}
}

func TestKeys(t *testing.T) {
	const digest = "0123456789abcdef0123456789abcdef"
	for _, tt := range []struct{ source, name, want string }{
		{"nginx", "/var/log/access.log", "logs/nginx/01/access.log-0123456789abcdef.parquet"},
		{"nginx", "access.log.2.gz", "logs/nginx/01/access.log.2.gz-0123456789abcdef.parquet"},
		{"my cdn", `C:\logs\a b.log`, "logs/my-cdn/01/a-b.log-0123456789abcdef.parquet"},
		{"nginx", "._hidden", "logs/nginx/01/hidden-0123456789abcdef.parquet"},
		{"", "..", "logs/log/01/log-0123456789abcdef.parquet"},
		{"nginx", strings.Repeat("é", 300), "logs/nginx/01/log-0123456789abcdef.parquet"},
		{"nginx", strings.Repeat("x", 300), "logs/nginx/01/" + strings.Repeat("x", 128) + "-0123456789abcdef.parquet"},
	} {
		got := Key(tt.source, tt.name, digest)
		if got != tt.want || !schemas.IsUsageKey(got) {
			t.Errorf("Key(%q, %q) = %q, want %q", tt.source, tt.name, got, tt.want)
		}
	}
}

func TestConvertedLogsAreUsageFiles(t *testing.T) {
	log := strings.Repeat(nginxLine(said)+"\n", 3000) + "broken\n"
	convert := func() ([]byte, Summary) {
		r, err := Open(nginx(t, withLadder), tenantA, "x", strings.NewReader(log), int64(len(log)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var b bytes.Buffer
		sum, err := Convert(context.Background(), r, &b)
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes(), sum
	}
	one, sum := convert()
	if two, _ := convert(); !bytes.Equal(one, two) {
		t.Error("the same log gave other bytes")
	}
	if sum.Events != 3000 || sum.Micros["video"] != 3000*4004000 || sum.BadLines() != 1 {
		t.Errorf("%+v", sum)
	}
	u, err := schemas.OpenUsage("x.parquet", bytes.NewReader(one), int64(len(one)))
	if err != nil || u.Rows() != 3000 {
		t.Fatalf("%v", err)
	}
	r := u.Part(0)
	defer r.Close()
	var micros int64
	for {
		b, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for i := range b.Len {
			micros += b.Ints[schemas.IntDuration][i]
		}
	}
	if micros != sum.Micros["video"] {
		t.Errorf("%d microseconds in the file, %d in the summary", micros, sum.Micros["video"])
	}
}

func TestConvertEndsWithItsContext(t *testing.T) {
	log := strings.Repeat(nginxLine(said)+"\n", 3*batch)
	r, err := Open(nginx(t, withLadder), tenantA, "x", strings.NewReader(log), int64(len(log)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Convert(ctx, r, io.Discard); err != context.Canceled {
		t.Error(err)
	}
}

func TestALogWithoutEventsIsNoFile(t *testing.T) {
	r, err := Open(nginx(t, nil), tenantA, "x", strings.NewReader(""), 0)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if sum, err := Convert(context.Background(), r, &b); err != nil || b.Len() != 0 || sum.Lines != 0 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

func TestDigestOfALogThatWasCut(t *testing.T) {
	if d, err := Digest(strings.NewReader("abc"), 3); err != nil || d != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error(d, err)
	}
	if _, err := Digest(strings.NewReader("abc"), 4); err == nil {
		t.Error("a log of three bytes has four")
	}
}
