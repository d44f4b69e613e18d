package crypto

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestATokenSpeaksForItsNodes(t *testing.T) {
	for _, tt := range []struct {
		name, nodes, node string
		want              bool
	}{
		{"without nodes for all", "", "edge", true},
		{"for the one it names", "edge", "edge", true},
		{"for no other", "edge", "edge-1", false},
		{"for none without a name", "edge", "", false},
		{"by the letter", "edge", "Edge", false},
		{"for all of a pattern", "edge-acme-*", "edge-acme-7", true},
		{"for the shortest of a pattern", "edge-acme-*", "edge-acme-", true},
		{"for none besides", "edge-acme-*", "edge-globex-7", false},
		{"for none that only ends alike", "edge-acme-*", "x-edge-acme-7", false},
		{"for one of several", "a b-? c", "b-1", true},
		{"for one of these characters", "edge-[13]", "edge-3", true},
		{"for none of the others", "edge-[13]", "edge-2", false},
		{"a star ends at a slash", "urn/*", "urn/a/b", false},
		{"a star that is meant", `edge\*`, "edge*", true},
		{"and is no pattern then", `edge\*`, "edge7", false},
		{"a broken pattern is for none", "[", "[", false},
		{"and spoils no other", "[ edge", "edge", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := Token{Nodes: strings.Fields(tt.nodes)}
			if got := token.SpeaksFor(tt.node); got != tt.want {
				t.Errorf("%q speaks for %q: %t", tt.nodes, tt.node, got)
			}
		})
	}
}

func TestCheckNodes(t *testing.T) {
	long := strings.Repeat("n", maxTokenNodeBytes)
	many := strings.Fields(strings.Repeat("n ", maxTokenNodes+1))
	for i := range many {
		many[i] += strings.Repeat("x", i)
	}
	for _, tt := range []struct {
		name  string
		nodes []string
		want  string // in the error; empty: there is none
	}{
		{"none", nil, ""},
		{"one", []string{"edge"}, ""},
		{"patterns", []string{"edge-*", "o?", "[a-z]"}, ""},
		{"an empty one", []string{"edge", ""}, `"" is empty`},
		{"one twice", []string{"edge", "edge"}, `"edge" is empty or named twice`},
		{"no pattern", []string{"x["}, `"x[" is no pattern`},
		{"no pattern behind a star", []string{"x*["}, `"x*[" is no pattern`},
		{"a line end", []string{"a\nb"}, "is no pattern"},
		{"no text", []string{"a\xffb"}, "is no pattern"},
		{"all that is wrong", []string{"", "["}, `"[" is no pattern`},
		{"as many as can be", many[:maxTokenNodes], ""},
		{"one more", many, "at most 32 patterns"},
		{"as long as can be", []string{long}, ""},
		{"longer", []string{long, "n"}, "1024 bytes in all"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckNodes(tt.nodes)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			s, _ := tokensIn(t)
			if _, _, added := s.Add(Token{Name: "n", Role: RoleNode, Nodes: tt.nodes}, signTime); (added == nil) != (err == nil) {
				t.Errorf("added: %v", added)
			}
		})
	}
	s, _ := tokensIn(t)
	for _, role := range []Role{RoleAdmin, RoleTenant} {
		token := role.named("n")
		token.Nodes = []string{"edge"}
		if _, _, err := s.Add(token, signTime); err == nil || !strings.Contains(err.Error(), "only a node's token") {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// TestATokenFromBeforeNodesIsForAll: a file that was written before there were nodes is read as it was meant.
func TestATokenFromBeforeNodesIsForAll(t *testing.T) {
	s, dir := tokensIn(t)
	text, _ := addToken(t, s, RoleNode.named("edge"))
	data, err := os.ReadFile(filepath.Join(dir, tokensFile))
	if err != nil || strings.Contains(string(data), "nodes") {
		t.Fatalf("%s %v", data, err)
	}
	if got := wantCheck(t, newTokens(t, dir), text, signTime, nil); len(got.Nodes) > 0 || !got.SpeaksFor("any") {
		t.Errorf("%+v", got)
	}
}

// TestTheFileOfTokensStaysReadable: one that is too large to be read would end all of them.
func TestTheFileOfTokensStaysReadable(t *testing.T) {
	s, dir := tokensIn(t)
	large := Token{Name: "n", Role: RoleNode, Nodes: []string{strings.Repeat("<", maxTokenNodeBytes)}} // six bytes each, in JSON
	addToken(t, s, large)
	list, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	one, err := json.MarshalIndent(list.Tokens[0], "  ", " ")
	if err != nil {
		t.Fatal(err)
	}
	n := maxTokensFile/(len(one)+5) - 1
	full := &tokenList{Schema: tokensSchema}
	for range n {
		next := list.Tokens[0]
		next.ID, _ = newTokenText()
		full.Tokens = append(full.Tokens, next)
	}
	data, err := json.MarshalIndent(full, "", " ")
	if err != nil || len(data) >= maxTokensFile {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	if err := os.WriteFile(filepath.Join(dir, tokensFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 4 { // there is room for one or two
		if _, _, err = s.Add(large, signTime); err != nil {
			break
		}
		n++
	}
	if err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("%v", err)
	}
	if all, err := newTokens(t, dir).List(); err != nil || len(all) != n {
		t.Errorf("%d tokens, want %d: %v", len(all), n, err)
	}
}
