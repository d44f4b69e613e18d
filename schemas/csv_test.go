package schemas

import (
	"bytes"
	"encoding/csv"
	"math/rand/v2"
	"testing"
)

func TestCellsAreQuotedWhenTheyMustBe(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a,b": `"a,b"`, `say "hi"`: `"say ""hi"""`, "two\nlines": "\"two\nlines\"", "cr\r": "\"cr\r\"",
		" spaces ": " spaces ", "eight by": "eight by", "eight byt,": `"eight byt,"`, `"`: `""""`, "long enough; no quotes!": "long enough; no quotes!",
	} {
		if got := string(AppendCell(nil, []byte(text))); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 9))
	for range 20_000 {
		text := make([]byte, r.IntN(40))
		quoted := false
		for i := range text {
			text[i] = "abcdefgh,\"\n\x2b\x2d\x21\x23\x0c\x0e\x8d\xac\xa2"[r.IntN(20)]
			quoted = quoted || bytes.IndexByte([]byte(",\"\r\n"), text[i]) >= 0
		}
		got := AppendCell(nil, text)
		if quoted != bytes.HasPrefix(got, []byte(`"`)) {
			t.Fatalf("%q became %q", text, got)
		}
		row, err := csv.NewReader(bytes.NewReader(append(append([]byte("x,"), got...), ",y\n"...))).Read()
		if err != nil || row[1] != string(text) {
			t.Fatalf("%q was read back as %q, %v", text, row, err)
		}
	}
}

func TestFormulasAreGuarded(t *testing.T) {
	for _, tt := range []struct{ text, free, id string }{
		{"=1", "'=1", "'=1"}, {"+1", "'+1", "+1"}, {"-1", "'-1", "-1"}, {"@x", "'@x", "'@x"}, {"\tx", "'\tx", "'\tx"}, {"\rx", "\"'\rx\"", "\"'\rx\""},
		{"=a,b", "\"'=a,b\"", "\"'=a,b\""}, {"x=1", "x=1", "x=1"}, {"", "", ""},
	} {
		if got := string(AppendFreeText(nil, []byte(tt.text), true)); got != tt.free {
			t.Errorf("text %q became %q, want %q", tt.text, got, tt.free)
		}
		if got := string(AppendID(nil, []byte(tt.text), true)); got != tt.id {
			t.Errorf("id %q became %q, want %q", tt.text, got, tt.id)
		}
		if got, want := string(AppendID(nil, []byte(tt.text), false)), string(AppendCell(nil, []byte(tt.text))); got != want {
			t.Errorf("unguarded, %q became %q, want %q", tt.text, got, want)
		}
	}
}
