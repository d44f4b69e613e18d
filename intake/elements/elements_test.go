package elements

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// gather writes what a text holds, each element in angle brackets.
func gather(text string) (out string) {
	visit := func(b []byte) error {
		out += "<" + string(b) + ">"
		return nil
	}
	if !strings.HasPrefix(text, "[") {
		if err := Stream([]byte(text), visit); err != nil {
			out += " error: " + err.Error()
		}
		return out
	}
	rest, err := List([]byte(text), visit)
	if err != nil {
		out += " error: " + err.Error()
	}
	if len(rest) > 0 {
		out += " rest: " + string(rest)
	}
	return out
}

func TestElements(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an empty list", "[ ]", ""},
		{"one", "[1]", "<1>"},
		{"some, with white space", "[ 1 ,\n{\"a\": [2]} , \"x,]\" ]", `<1><{"a": [2]}><"x,]">`},
		{"a broken one between good ones", `[{"a":1},{"b":},{"c":3}]`, `<{"a":1}><{"b":}><{"c":3}>`},
		{"brackets of other kinds", `[{"a":]},2]`, `<{"a":]}><2>`},
		{"two without a comma", `[{} {},3]`, `<{} {}><3>`},
		{"a comma too many at the end", "[1,]", "<1><>"},
		{"a comma too many within", "[1,,2]", "<1><><2>"},
		{"only a comma", "[,]", "<><>"},
		{"quotes and escapes", `["\"]", "\\"]`, `<"\"]"><"\\">`},
		{"a bracket too many", "[1]]", "<1> rest: ]"},
		{"many brackets too many", "[1]]]", "<1> rest: ]]"},
		{"something behind", "[1] x", "<1> rest:  x"},
		{"no end", "[1,2", "<1> error: the body ends inside of element 1"},
		{"no end behind a comma", "[1,", "<1> error: the body ends inside of its list"},
		{"no end at once", "[", " error: the body ends inside of its list"},
		{"no end of a text", `[1,"2]`, "<1> error: the body ends inside of element 1"},
		{"no end of an object", `[1,{"a":[2]`, "<1> error: the body ends inside of element 1"},

		{"nothing", "", ""},
		{"lines", "{}\n\n {\"a\":1}\r\n2\n", `<{}><{"a":1}><2>`},
		{"lines that end with commas", "{\"a\":1},\n{\"a\":2} , \n{\"a\":3}", `<{"a":1}><{"a":2}><{"a":3}>`},
		{"a broken line", "{\"a\":1}\n{\"a\n{\"a\":3}", `<{"a":1}><{"a><{"a":3}>`},
		{"a broken first line", "{\"a\n{\"a\":3}", `<{"a><{"a":3}>`},
		{"objects over several lines", "{\n\"a\":1\n}\n{\n\"a\":2}", "<{\n\"a\":1\n}><{\n\"a\":2}>"},
		{"a broken one over several lines", "{\n\"a\":\n}\n{\n\"a\":2}", "<{\n\"a\":\n}><{\n\"a\":2}>"},
		{"objects on one line", `{"a":1}{"a":2}, {"a":3},`, `<{"a":1}><{"a":2}><{"a":3}>`},
		{"one that does not end", `{"a":1`, `<{"a":1>`},
		{"a line with a bracket too many", "{\"a\":1}}\n{}", `<{"a":1}}><{}>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := gather(tt.text); got != tt.want {
				t.Errorf("%q: got %s, want %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestAVisitThatFailsIsTheLast(t *testing.T) {
	enough := errors.New("enough")
	for _, text := range []string{"[1,2,3]", "1\n2\n3", "{}{}{}"} {
		visits := 0
		visit := func([]byte) error { visits++; return enough }
		err := Stream([]byte(text), visit)
		if text[0] == '[' {
			visits = 0
			_, err = List([]byte(text), visit)
		}
		if !errors.Is(err, enough) || visits != 1 {
			t.Errorf("%s: %d visits, %v", text, visits, err)
		}
	}
}

func TestMembers(t *testing.T) {
	var got []string
	visit := func(name, value []byte) { got = append(got, string(name)+"="+string(value)) }
	if !Members([]byte(`{ "a" : 1, "\u0062\"":[2,{"c":3}] ,"d":"}" }`), visit) || strings.Join(got, " ") != `a=1 b"=[2,{"c":3}] d="}"` {
		t.Errorf("got %q", got)
	}
	for _, text := range []string{`{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":}`, `{1:2}`} {
		if Members([]byte(text), func(_, _ []byte) {}) {
			t.Errorf("%s is an object", text)
		}
	}
}

// TestHostileTextsEnd would go on for days, were the time to grow with the square of the length.
func TestHostileTextsEnd(t *testing.T) {
	for _, seed := range []string{"[", `{"a":`, "}", "]", `"`, `["`, "[}", "{}", "{},\n", ",", "\n", "{\n", "\\", "1 "} {
		text := []byte(strings.Repeat(seed, (4<<20)/len(seed)))
		visit := func([]byte) error { return nil }
		_, _ = List(append([]byte("["), text...), visit)
		_, _ = List(append([]byte(`[{"a":`), text...), visit)
		_ = Stream(text, visit)
		AreLines(text)
		Members(append([]byte(`{"a":`), text...), func(_, _ []byte) {})
	}
}

// FuzzElements finds the very elements of lists and objects that are valid, and in others nothing that is not there.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{"[1,2]", `[{"a":},{"b":2},]`, "{}\n{},\n", "{\n}{}", "[[[", `["]",`, "}{", "\"\\"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var found [][]byte
		total := 0
		visit := func(b []byte) error {
			found, total = append(found, b), total+len(b)
			return nil
		}
		_ = Stream(text, visit)
		if total > len(text) || AreLines(text) && len(found) > strings.Count(string(text), "\n")+1 {
			t.Errorf("%q has %q", text, found)
		}
		found, total = nil, 0
		i := SkipSpace(text, 0)
		if i == len(text) || text[i] != '[' {
			return
		}
		_, err := List(text[i:], visit)
		if total > len(text) {
			t.Errorf("%q has %q", text, found)
		}
		var want []json.RawMessage
		if json.Unmarshal(text, &want) != nil {
			return
		}
		if err != nil || len(found) != len(want) {
			t.Fatalf("%q has %q, want %q: %v", text, found, want, err)
		}
		for i := range want {
			if string(found[i]) != string(want[i]) {
				t.Errorf("%q: element %d is %q, want %q", text, i, found[i], want[i])
			}
		}
	})
}
