package bucket

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3api/utils"
)

// notation writes a policy: a statement a word, such as +anna,berta or -*, with the number of
// the statement as its resource.
func notation(words string) string {
	var statements []string
	for i, word := range strings.Fields(words) {
		effect := map[byte]string{'+': "Allow", '-': "Deny"}[word[0]]
		who := `"` + strings.ReplaceAll(word[1:], ",", `","`) + `"`
		statements = append(statements, fmt.Sprintf(`{"Effect":%q,"Principal":{"AWS":[%s]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/%d"}`, effect, who, i))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// numbers are the statements that a policy has, by their notation's numbers.
func numbers(t *testing.T, policy []byte) string {
	t.Helper()
	doc, err := auth.ParsePolicyDocument(policy)
	if err != nil {
		t.Fatalf("%s: %v", policy, err)
	}
	var all []string
	for _, s := range doc.Statement {
		for resource := range s.Resources {
			all = append(all, strings.TrimPrefix(resource, "b/"))
		}
	}
	return strings.Join(all, " ")
}

// A request of an account, as the gateway hands it to its backend.
type request struct {
	context.Context
	account auth.Account
}

func (r request) Value(key any) any {
	if key == string(utils.ContextKeyAccount) {
		return r.account
	}
	return r.Context.Value(key)
}

func TestAnAccountGetsTheStatementsThatConcernIt(t *testing.T) {
	tests := []struct{ name, policy, who, want string }{
		{"nobody's", "+berta", "anna", ""},
		{"its own", "+anna", "anna", "0"},
		{"its own among others, in order", "+berta +anna -berta -anna +carl,anna", "anna", "1 3 4"},
		{"everybody's", "+berta -* +anna", "anna", "1 2"},
		{"everybody's for one without a name", "+berta -* +anna", "", "1"},
		{"a name that begins like it", "+annabel +ann", "anna", ""},
		{"a name that is a star", "+berta +*", "*", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newSplitPolicy([]byte(notation(tt.policy)))
			if p.named == nil {
				t.Fatal("it was not taken apart")
			}
			if got := numbers(t, p.of(tt.who)); got != tt.want {
				t.Errorf("%s for %s: %q, want %q", tt.policy, tt.who, got, tt.want)
			}
			whole := strings.Join(strings.Fields(fmt.Sprint(upTo(len(strings.Fields(tt.policy))))), " ")
			root := request{t.Context(), auth.Account{Access: "root", Role: auth.RoleAdmin}}
			for name, ctx := range map[string]context.Context{"root": root, "one that is not known": t.Context()} {
				if got := "[" + numbers(t, p.forCaller(ctx)) + "]"; got != whole {
					t.Errorf("%s gets %s, want %s", name, got, whole)
				}
			}
			caller := request{t.Context(), auth.Account{Access: tt.who, Role: auth.RoleUser}}
			if got := numbers(t, p.forCaller(caller)); got != tt.want {
				t.Errorf("a request of %s gets %q, want %q", tt.who, got, tt.want)
			}
		})
	}
}

func TestPoliciesThatCannotBeTakenApartStayWhole(t *testing.T) {
	for name, policy := range map[string]string{
		"no JSON":                 `{"Version"`,
		"no statements":           `{"Version":"2012-10-17"}`,
		"a statement by itself":   `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/0"}}`,
		"a principal of no kind":  strings.Replace(notation("+anna"), `{"AWS":["anna"]}`, `7`, 1),
		"bytes behind the policy": notation("+anna") + "x",
	} {
		if got := string(newSplitPolicy([]byte(policy)).of("anna")); got != policy {
			t.Errorf("%s: %s became %s", name, policy, got)
		}
	}
}

func FuzzSplitPolicy(f *testing.F) {
	f.Add([]byte(notation("+anna -* +berta,anna")), "anna")
	f.Add([]byte(largePolicy("b", 2)), "reader-1")
	f.Add([]byte(`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/0"}],"statement":[{"Effect":"Allow","Principal":"anna","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/1"},{}]}`), "anna")
	f.Add([]byte(`{"Statement":[],"Version":"2008-10-17","statement":[{}]}`), "")
	f.Fuzz(func(t *testing.T, policy []byte, who string) {
		part := newSplitPolicy(policy).of(who)
		whole, err := auth.ParsePolicyDocument(policy)
		if err != nil {
			if string(part) != string(policy) {
				t.Errorf("%q became %q", policy, part)
			}
			return
		}
		got, err := auth.ParsePolicyDocument(part)
		if err != nil {
			t.Fatalf("%q became %q: %v", policy, part, err)
		}
		concern := func(p *auth.BucketPolicy) []string {
			all := []string{string(p.Version)}
			for _, s := range p.Statement {
				_, everybody := s.Principals["*"]
				if _, named := s.Principals[who]; named || everybody {
					all = append(all, fmt.Sprint(s))
				}
			}
			return all
		}
		if !slices.Equal(concern(whole), concern(got)) {
			t.Errorf("%q is to %q %q, its part %q", policy, who, concern(whole), concern(got))
		}
	})
}

// What the gateway decides by the parts is what it would by the whole.
func TestADenialForAllHoldsForOne(t *testing.T) {
	_, e, root, store := withAnna(t)
	b := newBucket(t, root)
	mustPut(t, b, "hers/a", []byte("x"))
	mustPut(t, b, "open/a", []byte("x"))
	statement := func(effect, who, key string) string {
		return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/%s"}`, effect, who, b.Name(), key)
	}
	hers, all := `{"AWS":["anna-reads"]}`, `"*"`
	tests := []struct {
		name       string
		statements []string
		granted    string // of hers/a and open/a to anna, then to nobody
	}{
		{"allowed her", []string{statement("Allow", hers, "hers/*")}, "yes no no no"},
		{"allowed another", []string{statement("Allow", `"berta"`, "hers/*")}, "no no no no"},
		{"denied all, and allowed her", []string{statement("Allow", hers, "hers/*"), statement("Deny", all, "hers/*")}, "no no no no"},
		{"allowed all, and denied her", []string{statement("Allow", all, "*"), statement("Deny", hers, "hers/*")}, "no yes yes yes"},
		{"allowed all, and denied another", []string{statement("Allow", all, "open/*"), statement("Deny", `"berta"`, "*")}, "no yes no yes"},
	}
	for _, tt := range tests {
		setPolicy(t, b, `{"Version":"2012-10-17","Statement":[`+strings.Join(tt.statements, ",")+`]}`)
		var got []string
		for _, key := range []string{"hers/a", "open/a"} {
			_, _, err := store.Bucket(b.Name()).Get(t.Context(), key, "", 10)
			got = append(got, map[bool]string{true: "yes", false: "no"}[err == nil])
		}
		for _, key := range []string{"hers/a", "open/a"} {
			resp, err := http.Get(e.Config().Endpoint + "/" + b.Name() + "/" + key)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			got = append(got, map[bool]string{true: "yes", false: "no"}[resp.StatusCode == http.StatusOK])
		}
		if g := strings.Join(got, " "); g != tt.granted {
			t.Errorf("%s: %s, want %s", tt.name, g, tt.granted)
		}
	}
}
