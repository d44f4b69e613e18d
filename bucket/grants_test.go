package bucket

import (
	"encoding/json"
	"strings"
	"testing"
)

var billing = []Allowance{
	{Readers: []string{"billing"}, Get: []string{"acme/*/usage.*", "acme/*/manifest.json*"}, List: []string{"acme/"}},
	{Readers: []string{"billing", "other"}, Get: []string{"allowed_signers"}},
}

const billingPolicy = `{"Version":"2012-10-17","Statement":[` +
	`{"Sid":"PlaymeterGet1","Effect":"Allow","Principal":{"AWS":["billing"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::reporting/acme/*/usage.*","arn:aws:s3:::reporting/acme/*/manifest.json*"]},` +
	`{"Sid":"PlaymeterList1","Effect":"Allow","Principal":{"AWS":["billing"]},"Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::reporting"],"Condition":{"StringLike":{"s3:prefix":["acme/*"]}}},` +
	`{"Sid":"PlaymeterGet2","Effect":"Allow","Principal":{"AWS":["billing","other"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::reporting/allowed_signers"]}]}`

func planned(t *testing.T, d Dialect, there string, rules []Allowance, replace bool) PolicyPlan {
	t.Helper()
	plan, err := d.PlanPolicy("reporting", there, rules, replace)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestAPolicySaysWhatIsAllowed(t *testing.T) {
	plan := planned(t, DialectVersity, "", billing, false)
	if plan.Policy != billingPolicy || !plan.Changed || len(plan.Foreign) != 0 {
		t.Errorf("got  %+v\nwant %s", plan, billingPolicy)
	}
	if again := planned(t, DialectVersity, plan.Policy, billing, false); again.Changed || again.Policy != plan.Policy {
		t.Errorf("planned again: %+v", again)
	}
}

func TestAPolicyKeepsWhatIsNotOurs(t *testing.T) {
	const deny = `{"Sid":"TLS","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	const allow = `{"Sid":"Old","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::reporting/*"}`
	doc := func(statements ...string) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	}
	own := strings.TrimSuffix(strings.TrimPrefix(billingPolicy, `{"Version":"2012-10-17","Statement":[`), `]}`)
	tests := []struct {
		name, there string
		rules       []Allowance
		replace     bool
		want        string
		changed     bool
		foreign     int
	}{
		{"nothing there, nothing granted", "", nil, false, "", false, 0},
		{"the last grant is taken away", billingPolicy, nil, false, "", true, 0},
		{"a grant is changed", billingPolicy, billing[1:], false, doc(`{"Sid":"PlaymeterGet1","Effect":"Allow","Principal":{"AWS":["billing","other"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::reporting/allowed_signers"]}`), true, 0},
		{"what denies stays", doc(deny), billing, false, doc(own, deny), true, 0},
		{"what denies stays also where nothing is granted", doc(deny), nil, true, doc(deny), false, 0},
		{"what allows stays and is told", doc(allow), nil, false, doc(allow), false, 1},
		{"what allows goes when it must", doc(allow, deny), billing, true, doc(own, deny), true, 1},
		{"what allows goes and leaves nothing", doc(allow), nil, true, "", true, 1},
		{"a single statement without a list", `{"Statement":` + allow + `}`, nil, true, "", true, 1},
		{"an allowance that calls itself ours is replaced", doc(strings.Replace(allow, "Old", "PlaymeterGet9", 1)), nil, false, "", true, 0},
		{"an effect that is none is told as well", doc(strings.Replace(allow, "Allow", "allow", 1)), nil, false, doc(strings.Replace(allow, "Allow", "allow", 1)), false, 1},
		{"lists of one as texts, and in another order", doc(
			`{"Action":"s3:GetObject","Effect":"Allow","Sid":"PlaymeterGet1","Principal":{"AWS":"billing"},"Resource":["arn:aws:s3:::reporting/acme/*/manifest.json*","arn:aws:s3:::reporting/acme/*/usage.*"]}`,
			`{"Sid":"PlaymeterList1","Effect":"Allow","Principal":{"AWS":"billing"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::reporting","Condition":{"StringLike":{"s3:prefix":"acme/*"}}}`), billing[:1], false,
			string(must(DialectVersity.PlanPolicy("reporting", "", billing[:1], false)).Policy), false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := planned(t, DialectAWS, tt.there, tt.rules, tt.replace)
			if plan.Policy != tt.want || plan.Changed != tt.changed || len(plan.Foreign) != tt.foreign {
				t.Errorf("got  %+v\nwant %s, changed %v, %d foreign", plan, tt.want, tt.changed, tt.foreign)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAPolicyThatCannotBeReadStays(t *testing.T) {
	for _, there := range []string{"no JSON", `{"Statement": 7}`, `{"Statement": ["a"]}`, `[]`} {
		if plan, err := DialectAWS.PlanPolicy("reporting", there, billing, true); err == nil {
			t.Errorf("%s: %+v", there, plan)
		}
	}
}

func TestAPolicyHasABound(t *testing.T) {
	rules := []Allowance{{Readers: []string{"billing"}}}
	for planned(t, DialectVersity, "", rules, false).Policy[:0] == "" && len(planned(t, DialectVersity, "", rules, false).Policy) <= 20<<10 {
		rules[0].Get = append(rules[0].Get, strings.Repeat("x", 100))
	}
	for _, d := range []Dialect{DialectAWS} {
		if _, err := d.PlanPolicy("reporting", "", rules, false); err == nil || !strings.Contains(err.Error(), "this store takes 20480") {
			t.Errorf("%s, a byte too many: %v", d, err)
		}
		if _, err := d.PlanPolicy("reporting", "", []Allowance{{Readers: rules[0].Readers, Get: rules[0].Get[:len(rules[0].Get)-1]}}, false); err != nil {
			t.Errorf("%s, just below: %v", d, err)
		}
	}
}

func TestPrincipals(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:user/billing"
	for _, tt := range []struct {
		dialect    Dialect
		name, want string
	}{
		{DialectVersity, "billing", "billing"}, {DialectMinIO, "billing", "billing"},
		{DialectCeph, "billing", "arn:aws:iam:::user/billing"}, {DialectCeph, arn, arn}, {DialectAWS, arn, arn},
	} {
		if got, err := tt.dialect.Principal(tt.name); got != tt.want || err != nil {
			t.Errorf("%s %s: %s, %v", tt.dialect, tt.name, got, err)
		}
	}
	if _, err := DialectAWS.Principal("billing"); err == nil || !strings.Contains(err.Error(), "principal") {
		t.Errorf("a name where an ARN is needed: %v", err)
	}
}

func TestMinIOUsersHaveTheirOwnPolicies(t *testing.T) {
	if plan := planned(t, DialectMinIO, "", billing, false); plan.Policy != "" || plan.Changed {
		t.Errorf("the bucket's: %+v", plan)
	}
	all := UserPolicies("reporting", billing)
	if len(all) != 2 || strings.Count(all["billing"], "Effect") != 2 || strings.Contains(all["billing"], "ListBucket") || strings.Count(all["other"], "Effect") != 1 {
		t.Errorf("%v", all)
	}
	for user, text := range all {
		if !json.Valid([]byte(text)) || strings.Contains(text, "Principal") {
			t.Errorf("%s: %s", user, text)
		}
	}
}

func FuzzPlanPolicy(f *testing.F) {
	f.Add(billingPolicy)
	f.Add(`{"Statement":{"Effect":"Deny"}}`)
	f.Fuzz(func(t *testing.T, there string) {
		plan, err := DialectVersity.PlanPolicy("reporting", there, billing, false)
		if err != nil {
			return
		}
		again, err := DialectVersity.PlanPolicy("reporting", plan.Policy, billing, false)
		if err != nil || again.Changed || again.Policy != plan.Policy {
			t.Errorf("%q: planned again %+v, %v; before %+v", there, again, err, plan)
		}
	})
}
