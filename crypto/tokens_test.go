package crypto

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// newTokens is a store whose hashes cost little.
func newTokens(t testing.TB, dir string) *TokenStore {
	t.Helper()
	s := OpenTokens(dir)
	s.setCost(argonCost{memory: 8, passes: 1, threads: 1})
	return s
}

func tokensIn(t testing.TB) (*TokenStore, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	return newTokens(t, dir), dir
}

func addToken(t testing.TB, s *TokenStore, want Token) (Secret, Token) {
	t.Helper()
	text, added, err := s.Add(want, signTime)
	if err != nil {
		t.Fatal(err)
	}
	return text, added
}

func (r Role) named(name string) Token {
	t := Token{Name: name, Role: r}
	if r == RoleTenant {
		t.Tenant, t.Reports = "films", []string{"usage"}
	}
	return t
}

// wantCheck checks what a text is taken for; nil: for a good token.
func wantCheck(t testing.TB, s *TokenStore, text Secret, now time.Time, want error) Token {
	t.Helper()
	got, err := s.Check(t.Context(), text.Reveal(), now)
	ended := errors.Is(err, ErrTokenRevoked) || errors.Is(err, ErrTokenExpired)
	if !errors.Is(err, want) || (err == nil || ended) != (got.ID != "") {
		t.Errorf("checked: %v, %v; want %v", got, err, want)
	}
	return got
}

func TestATokenIsWhatItWasMadeFor(t *testing.T) {
	s, dir := tokensIn(t)
	for _, want := range []Token{
		RoleAdmin.named("anna"),
		{Name: "films' billing", Role: RoleTenant, Tenant: "films", Reports: []string{"usage", "sessions"}, Expires: signTime.Add(time.Hour)},
		RoleNode.named("node 7"),
		{Name: "node 8", Role: RoleNode, Tenant: "films"},
		{Name: "node 9", Role: RoleNode, Tenant: "films", Nodes: []string{"edge-9-*", "origin-[12]"}},
	} {
		text, added := addToken(t, s, want)
		want.ID, want.Created = added.ID, signTime
		if len(added.ID) != 10 || fmt.Sprint(added) != fmt.Sprint(want) {
			t.Errorf("added %v, want %v", added, want)
		}
		for _, store := range []*TokenStore{s, s, newTokens(t, dir)} {
			if got := wantCheck(t, store, text, signTime, nil); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("checked %v, want %v", got, want)
			}
		}
		data, err := os.ReadFile(filepath.Join(dir, "tokens"))
		if _, secret, _ := splitToken(text.Reveal()); err != nil || strings.Contains(string(data), secret) {
			t.Errorf("the file holds the secret, or: %v", err)
		}
	}
	for _, name := range []string{"tokens", "tokens.used"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	wantFiles(t, dir, "tokens tokens.used")
}

func TestTheTextOfATokenIsFoundByItsPattern(t *testing.T) {
	s, _ := tokensIn(t)
	text, added := addToken(t, s, RoleAdmin.named("anna"))
	found := regexp.MustCompile(TokenPattern).FindString("TOKEN=" + text.Reveal() + "\n")
	if found != text.Reveal() || !strings.HasPrefix(found, "pm_"+added.ID+"_") || len(found) != 73 {
		t.Errorf("found %d characters", len(found))
	}
	if fmt.Sprint(text) != redacted {
		t.Error("the text prints itself")
	}
}

// Each character that is mistyped is seen before a hash is computed.
func TestAMistypedTokenIsToldFromAWrongOne(t *testing.T) {
	s, _ := tokensIn(t)
	text, _ := addToken(t, s, RoleAdmin.named("anna"))
	good := text.Reveal()
	for range tokenSlots {
		s.slots <- struct{}{} // no hash can be computed
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	bad := []string{"", "pm_", good[1:], good[:len(good)-1], good + "a", " " + good, good + "\n", strings.ToUpper(good), "Bearer " + good, strings.Repeat("pm_", 1000)}
	for i := range good {
		for _, c := range []byte("a2_~") {
			if good[i] != c {
				bad = append(bad, good[:i]+string(c)+good[i+1:])
			}
		}
	}
	for i := 3; i < len(good)-1; i++ {
		if good[i] != good[i+1] {
			bad = append(bad, good[:i]+string(good[i+1])+string(good[i])+good[i+2:])
		}
	}
	for _, b := range bad {
		if _, err := s.Check(ended, b, signTime); !errors.Is(err, ErrTokenMalformed) || !errors.Is(err, ErrTokenUnknown) {
			t.Errorf("%d characters: %v", len(b), err)
		} else if len(b) > 20 && strings.Contains(err.Error(), b[14:20]) {
			t.Errorf("the error repeats the text: %v", err)
		}
	}
}

func TestWrongTokens(t *testing.T) {
	s, _ := tokensIn(t)
	text, added := addToken(t, s, RoleAdmin.named("anna"))
	_, another := newTokenText()
	id, _ := newTokenText()
	_, secret, err := splitToken(text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	wrong := map[string]Secret{"another secret": joinToken(added.ID, another), "an id that is not known": joinToken(id, another), "the secret of another id": joinToken(id, secret)}
	for range 2 { // before and after the right one was remembered
		for name, w := range wrong {
			if _, err := s.Check(t.Context(), w.Reveal(), signTime); !errors.Is(err, ErrTokenUnknown) || errors.Is(err, ErrTokenMalformed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		wantCheck(t, s, text, signTime, nil)
	}
}

func TestATokenExpires(t *testing.T) {
	s, _ := tokensIn(t)
	want := RoleNode.named("n")
	want.Expires = signTime.Add(time.Hour)
	text, _ := addToken(t, s, want)
	wantCheck(t, s, text, signTime.Add(time.Hour-1), nil)
	wantCheck(t, s, text, signTime.Add(time.Hour), ErrTokenExpired)
	wantCheck(t, s, text, signTime.Add(1000*time.Hour), ErrTokenExpired)
	never, _ := addToken(t, s, RoleNode.named("n"))
	wantCheck(t, s, never, signTime.AddDate(100, 0, 0), nil)
	_, other := newTokenText()
	id, _, _ := splitToken(text.Reveal())
	wantCheck(t, s, joinToken(id, other), signTime.Add(time.Hour), ErrTokenUnknown) // that it has expired is not everybody's to know
}

func TestAnotherProcessRevokesATokenAtOnce(t *testing.T) {
	daemon, dir := tokensIn(t)
	command := newTokens(t, dir)
	if any, err := daemon.Any(); any || err != nil {
		t.Errorf("before the first: %v, %v", any, err)
	}
	text, added := addToken(t, command, RoleAdmin.named("anna"))
	other, _ := addToken(t, command, RoleAdmin.named("berta"))
	wantCheck(t, daemon, text, signTime, nil)
	wantCheck(t, daemon, text, signTime, nil)
	if err := command.Revoke(added.ID, signTime.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	wantCheck(t, daemon, text, signTime, ErrTokenRevoked)
	wantCheck(t, daemon, other, signTime, nil)
	if err := command.Revoke(added.ID, signTime.Add(time.Hour)); err != nil { // it stays as it is
		t.Error(err)
	}
	all, err := daemon.List()
	if err != nil || len(all) != 2 || !all[0].Revoked.Equal(signTime.Add(time.Minute)) || !all[1].Revoked.IsZero() {
		t.Errorf("there are %v, %v", all, err)
	}
	for _, id := range []string{"", "none", "aaaaaaaaaa"} {
		if err := command.Revoke(id, signTime); !errors.Is(err, ErrTokenUnknown) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := command.Revoke(all[1].ID, signTime); err != nil {
		t.Fatal(err)
	}
	if any, err := daemon.Any(); !any || err != nil {
		t.Errorf("after the last was revoked: %v, %v", any, err)
	}
}

func TestAFileThatIsRemovedOpensNothing(t *testing.T) {
	for name, see := range map[string]func(s *TokenStore, text Secret) error{
		"it was asked whether there is a token": func(s *TokenStore, _ Secret) error { _, err := s.Any(); return err },
		"it has checked one": func(s *TokenStore, text Secret) error {
			_, err := s.Check(t.Context(), text.Reveal(), signTime)
			return err
		},
		"it has listed them": func(s *TokenStore, _ Secret) error { _, err := s.List(); return err },
	} {
		t.Run(name, func(t *testing.T) {
			command, dir := tokensIn(t)
			daemon := newTokens(t, dir)
			if any, err := daemon.Any(); any || err != nil {
				t.Errorf("before the first: %v, %v", any, err)
			}
			text, _ := addToken(t, command, RoleAdmin.named("anna"))
			if err := see(daemon, text); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, "tokens")); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if any, err := daemon.Any(); !any || err != nil {
					t.Errorf("after the file was removed: %v, %v", any, err)
				}
				wantCheck(t, daemon, text, signTime, ErrTokenUnknown)
			}
			if any, err := newTokens(t, dir).Any(); any || err != nil {
				t.Errorf("the next process: %v, %v", any, err)
			}
			again, _ := addToken(t, command, RoleAdmin.named("anna"))
			wantCheck(t, daemon, again, signTime, nil)
		})
	}
}

// At most two hashes are computed at a time, for ids that are known and others alike; what is
// remembered needs none, and nobody waits longer than he likes.
func TestHashesWaitForEachOther(t *testing.T) {
	s, _ := tokensIn(t)
	seen, _ := addToken(t, s, RoleAdmin.named("anna"))
	fresh, _ := addToken(t, s, RoleAdmin.named("berta"))
	wantCheck(t, s, seen, signTime, nil)
	for range tokenSlots {
		select {
		case s.slots <- struct{}{}:
		default:
			t.Fatal("there are fewer slots")
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Check(ended, seen.Reveal(), signTime); err != nil {
		t.Errorf("one that was seen waits: %v", err)
	}
	unknown := joinToken(newTokenText())
	for name, text := range map[string]Secret{"one that was not seen yet": fresh, "an unknown one": unknown} {
		if _, err := s.Check(ended, text.Reveal(), signTime); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	<-s.slots
	wantCheck(t, s, fresh, signTime, nil)
	wantCheck(t, s, unknown, signTime, ErrTokenUnknown)
	if len(s.slots) != tokenSlots-1 {
		t.Errorf("%d slots are taken", len(s.slots))
	}
	if OpenTokens("").none.cost != defaultCost {
		t.Error("an unknown id costs another hash than a known one")
	}
}

func TestChecksOfManyAtTheSameTime(t *testing.T) {
	s, dir := tokensIn(t)
	var texts []Secret
	for i := range 5 {
		text, _ := addToken(t, s, RoleAdmin.named(fmt.Sprint("n", i)))
		texts = append(texts, text)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i, text := range texts {
				if got, err := s.Check(t.Context(), text.Reveal(), signTime.Add(time.Duration(i)*time.Minute)); err != nil || got.Name != fmt.Sprint("n", i) {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
		wg.Go(func() {
			if _, _, err := newTokens(t, dir).Add(RoleNode.named("n"), signTime); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := s.List(); err != nil || len(all) != 5+8 {
		t.Errorf("there are %d, %v", len(all), err)
	}
}

func TestTokensThatCannotBeMade(t *testing.T) {
	s, dir := tokensIn(t)
	tests := []struct {
		name  string
		token Token
		want  string // empty: it can
	}{
		{"a name as long as can be", RoleAdmin.named(strings.Repeat("n", 200)), ""},
		{"one longer", RoleAdmin.named(strings.Repeat("n", 201)), "name: at most 200 bytes"},
		{"no name", RoleAdmin.named(" "), "name: say whose"},
		{"a name of two lines", RoleAdmin.named("a\nb"), "name: at most"},
		{"a name that is no text", RoleAdmin.named("\xff"), "name: at most"},
		{"no role", Token{Name: "n"}, `role: must be one of [admin tenant node], got ""`},
		{"a role that is none", Token{Name: "n", Role: "root"}, "role: must be"},
		{"an admin of a tenant", Token{Name: "n", Role: RoleAdmin, Tenant: "films"}, "tenant: an admin's"},
		{"an admin with reports", Token{Name: "n", Role: RoleAdmin, Reports: []string{"usage"}}, "reports: only a tenant's"},
		{"a node with reports", Token{Name: "n", Role: RoleNode, Reports: []string{"usage"}}, "reports: only a tenant's"},
		{"a tenant's without a tenant", Token{Name: "n", Role: RoleTenant, Reports: []string{"usage"}}, "tenant: a token of a tenant needs one"},
		{"a tenant's without reports", Token{Name: "n", Role: RoleTenant, Tenant: "films"}, "reports: name at least one"},
		{"a report twice", Token{Name: "n", Role: RoleTenant, Tenant: "films", Reports: []string{"usage", "usage"}}, `"usage" is empty or named twice`},
		{"a report without a name", Token{Name: "n", Role: RoleTenant, Tenant: "films", Reports: []string{""}}, `"" is empty or named twice`},
		{"expired in a second", Token{Name: "n", Role: RoleNode, Expires: signTime.Add(time.Second)}, ""},
		{"expired now", Token{Name: "n", Role: RoleNode, Expires: signTime}, "expires: must be in the future, got 2026-10-14T09:17:00Z"},
		{"expired before the second is over", Token{Name: "n", Role: RoleNode, Expires: signTime.Add(time.Second - 1)}, "expires: must be"},
		{"all wrong at once", Token{Role: RoleTenant, Expires: signTime}, "name: say whose the token is, or what for\ntenant: a token of a tenant needs one\nreports: name at least one that the token may read\nexpires:"},
	}
	good := 0
	for _, tt := range tests {
		_, _, err := s.Add(tt.token, signTime)
		if tt.want == "" {
			good++
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if all, err := newTokens(t, dir).List(); err != nil || len(all) != good {
		t.Errorf("there are %d, %v; want %d", len(all), err, good)
	}
}

func TestWhenATokenWasUsed(t *testing.T) {
	s, dir := tokensIn(t)
	a, idA := addToken(t, s, RoleAdmin.named("a"))
	b, idB := addToken(t, s, RoleAdmin.named("b"))
	used := func() string {
		t.Helper()
		all, err := OpenTokens(dir).List()
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, token := range all {
			text := "never"
			if !token.LastUsed.IsZero() {
				text = token.LastUsed.Format("15:04:05")
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, " ")
	}
	at := func(text Secret, minutes, seconds int) { // after 09:17
		t.Helper()
		wantCheck(t, s, text, signTime.Add(time.Duration(minutes)*time.Minute+time.Duration(seconds)*time.Second), nil)
	}
	wants := func(want string) {
		t.Helper()
		if got := used(); got != want {
			t.Errorf("they were used %s, want %s", got, want)
		}
	}
	wants("never never")
	at(a, 0, 10)
	wants("09:17:00 never")
	at(b, 0, 10) // within the same second: it waits
	wants("09:17:00 never")
	at(a, 0, 59)
	wants("09:17:00 09:17:00")
	at(a, 1, 0)
	wants("09:18:00 09:17:00")
	before, err := os.Stat(filepath.Join(dir, "tokens.used"))
	if err != nil {
		t.Fatal(err)
	}
	at(a, 1, 30) // nothing new, and nothing is written
	if after, err := os.Stat(filepath.Join(dir, "tokens.used")); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was written again: %v", err)
	}
	at(a, 0, 0) // by another clock
	wants("09:18:00 09:17:00")

	// While another process holds the lock, nobody waits, and nothing is lost.
	unlock, err := lockKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	at(b, 5, 0)
	wants("09:18:00 09:17:00")
	unlock()
	at(b, 5, 2)
	wants("09:18:00 09:22:00")

	// What happens to the file harms no token, and it begins anew.
	for i, text := range []string{"", "{", "null", `{"` + idA.ID + `":"yesterday"}`, "[]"} {
		if err := os.WriteFile(filepath.Join(dir, "tokens.used"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		wants("never never")
		at(a, 10+i, 0)
		wants(fmt.Sprintf("09:%d:00 never", 27+i))
	}
	_ = idB
}

func TestFilesOfTokensThatAreDamaged(t *testing.T) {
	const row = `{"schema":"playmeter.tokens/1","tokens":[{"id":"aaaaaaaaaa","name":"n","role":"admin","created":"2026-10-14T09:17:00Z"`
	const hash = `"$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`
	for name, text := range map[string]string{
		"empty":               "",
		"cut":                 "{",
		"a later version":     `{"schema":"playmeter.tokens/2"}`,
		"no hash":             row + `}]}`,
		"an id of another":    row + `,"hash":` + hash + `},` + strings.TrimPrefix(row, `{"schema":"playmeter.tokens/1","tokens":[`) + `,"hash":` + hash + `}]}`,
		"an id that is none":  strings.Replace(row, "aaaaaaaaaa", "a", 1) + `,"hash":` + hash + `}]}`,
		"a hash of another":   row + `,"hash":"$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA"}]}`,
		"more memory than we": row + `,"hash":` + strings.Replace(hash, "m=8", "m=999999999", 1) + `}]}`,
		"no passes":           row + `,"hash":` + strings.Replace(hash, "t=1", "t=0", 1) + `}]}`,
	} {
		s, dir := tokensIn(t)
		token, added := addToken(t, s, RoleAdmin.named("anna"))
		wantCheck(t, s, token, signTime, nil)
		if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		any, errAny := s.Any()
		_, errCheck := s.Check(t.Context(), token.Reveal(), signTime)
		_, errList := s.List()
		_, _, errAdd := s.Add(RoleAdmin.named("anna"), signTime)
		for what, err := range map[string]error{"any": errAny, "check": errCheck, "list": errList, "add": errAdd, "revoke": s.Revoke(added.ID, signTime)} {
			if err == nil || any || errors.Is(err, ErrTokenUnknown) || !strings.Contains(err.Error(), "tokens") {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
	s, dir := tokensIn(t)
	good := row + `,"hash":` + hash + `}]}`
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if any, err := s.Any(); err != nil || !any {
		t.Errorf("the row by which the others were made: %v, %v", any, err)
	}
}

func TestThereCanOnlyBeSoManyTokens(t *testing.T) {
	s, dir := tokensIn(t)
	_, first := addToken(t, s, RoleAdmin.named("first"))
	fill := func(ended func(i int, row *storedToken)) {
		t.Helper()
		err := s.change(func(list *tokenList) error {
			row := *list.find(first.ID)
			list.Tokens = nil
			for i := range MaxTokens {
				row.ID = fmt.Sprintf("%010d", i)
				row.Name = strings.Repeat("n", maxTokenName)
				row.Revoked, row.Expires = time.Time{}, signTime.Add(time.Hour)
				if i == 0 {
					row.ID = first.ID
				}
				ended(i, &row)
				list.Tokens = append(list.Tokens, row)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(func(int, *storedToken) {})
	if _, _, err := s.Add(RoleNode.named("n"), signTime); err == nil || !strings.Contains(err.Error(), "no more can be; revoke some") {
		t.Errorf("one more: %v", err)
	}
	fill(func(i int, row *storedToken) {
		switch i {
		case 7:
			row.Revoked = signTime.Add(-2 * time.Hour)
		case 8:
			row.Revoked, row.Expires = signTime.Add(-time.Hour), signTime.Add(-3*time.Hour)
		case 9:
			row.Expires = signTime.Add(-time.Hour)
		}
	})
	addToken(t, s, RoleNode.named("n"))
	all, err := newTokens(t, dir).List()
	if err != nil || len(all) != MaxTokens {
		t.Fatalf("there are %d, %v", len(all), err)
	}
	for _, token := range all {
		if token.ID == "0000000008" {
			t.Error("the one that ended first is still there")
		}
	}
}

func FuzzTokenCheck(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "keys")
	s := newTokens(f, dir)
	good, _ := addToken(f, s, RoleAdmin.named("anna"))
	id, _, _ := splitToken(good.Reveal())
	_, other := newTokenText()
	for _, text := range []string{good.Reveal(), joinToken(id, other).Reveal(), joinToken(newTokenText()).Reveal(), "", "pm_", "pm_a_b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := s.Check(t.Context(), text, signTime)
		if (err == nil) != (text == good.Reveal()) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
		if err != nil && !errors.Is(err, ErrTokenUnknown) {
			t.Errorf("%q: %v", text, err)
		}
		if id, secret, err := splitToken(text); err == nil && joinToken(id, secret).Reveal() != text {
			t.Errorf("%q has two forms", text)
		}
	})
}

func FuzzTokensFile(f *testing.F) {
	s := newTokens(f, filepath.Join(f.TempDir(), "keys"))
	addToken(f, s, RoleTenant.named("n"))
	data, err := os.ReadFile(s.file.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseTokens(data)
		if err != nil {
			return
		}
		for i := range list.Tokens {
			if c := list.Tokens[i].Hash.cost; c.memory > maxCost.memory || c.passes < 1 || c.threads < 1 {
				t.Errorf("a hash of %+v is taken", c)
			}
		}
	})
}

// BenchmarkTokenCheck is what a request pays that brings a token.
func BenchmarkTokenCheck(b *testing.B) {
	s := OpenTokens(filepath.Join(b.TempDir(), "keys"))
	text, _ := addToken(b, s, RoleAdmin.named("anna"))
	wrong := joinToken(newTokenText())
	for _, bb := range []struct {
		name string
		text Secret
	}{{"seen", text}, {"unknown", wrong}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Check(b.Context(), bb.text.Reveal(), signTime)
			}
		})
	}
}
