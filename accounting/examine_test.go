package accounting

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

// TestTheExaminerSaysWhatATallyDoes with rows that are wrong in every way.
func TestTheExaminerSaysWhatATallyDoes(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	pick := func(texts ...string) string { return texts[dice.IntN(len(texts))] }
	long := strings.Repeat("x", schemas.MaxID+1)
	var text strings.Builder
	for range 20_000 {
		fmt.Fprintf(&text, `{"node_id":%q,"time":%s,"tenant_id":%q,"kind":%q,"object_id":%q,"version_hash":%q,"session_id":%q,"track":%q,"bytes":%s,"duration_us":%s,"width":%s,"seq":%s}`,
			pick("n", "n", "n", "", long), pick("1790000000000", "1790000000000", "1", `"x"`, "null"), pick("t", "t", "t", "", "a b", "o"),
			pick("playout", "session", "ingest", "dance"), pick("o", "o", "t", "", long), pick("", "hq__x"), pick("s", "", long), pick("", "video", "dance"),
			pick("1", "1", "-1", "1125899906842625", `"many"`), pick("0", "0", "-5", "99999999999999"), pick("1", "1", "-1"), pick("1", "null", "-1"))
		text.WriteString(pick("\n", "\n", "\n", "x\n"))
	}
	src, err := schemas.OpenUsage("f.ndjson", strings.NewReader(text.String()), int64(text.Len()))
	if err != nil {
		t.Fatal(err)
	}
	x, counted := new(Examiner), make(map[string]int64)
	r := src.Part(0)
	for {
		b, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, reason := range x.Examine(b, nil) {
			counted[reason.String()]++
		}
	}
	member, pack, err := tallyLines(t, text.String())
	if err != nil {
		t.Fatal(err)
	}
	tallied := make(map[string]int64)
	for reason, n := range member.Placeless {
		tallied[reason] += n
	}
	pack.rows(t, schemas.BlockSums, func(encoded []byte) {
		var row schemas.SumRow
		if err := schemas.DecodeSumRow(encoded, &row); err != nil {
			t.Fatal(err)
		}
		if row.Measure == schemas.MeasureRejected {
			tallied[string(row.Codec)] += row.Count
		}
	})
	for i := schemas.ReasonBadLine; i < schemas.NumReasons; i++ {
		reason := i.String()
		if counted[reason] != tallied[reason] {
			t.Errorf("%s: examined %d, tallied %d", reason, counted[reason], tallied[reason])
		}
		if counted[reason] == 0 {
			t.Errorf("%s: no row has it", reason)
		}
	}
}

func TestATokenIsHashedOnce(t *testing.T) {
	hash := hashOfToken("sesame")
	for _, tt := range []struct{ name, token, want string }{
		{"a token", "sesame", hash},
		{"its hash", "sha256:" + hash, hash},
		{"digits that are too few", "sha256:" + hash[1:], hashOfToken("sha256:" + hash[1:])},
		{"capital digits", "sha256:" + strings.ToUpper(hash), hashOfToken("sha256:" + strings.ToUpper(hash))},
		{"a hash without its name", hash, hashOfToken(hash)},
	} {
		if got := hashOfToken(tt.token); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	e := schemas.Event{Token: "sesame", Referrer: "https://a.example/?token=x"}
	Discreet(&e)
	Discreet(&e)
	if e.Token != "sha256:"+hash || e.Referrer != "https://a.example/" {
		t.Errorf("%+v", e)
	}
}
