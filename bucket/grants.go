package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Dialect is how an object store wants to be told who may read what.
type Dialect string

// The dialects.
const (
	// DialectAWS names principals by ARN: a reader is its whole ARN, arn:aws:iam::ACCOUNT:user/NAME.
	DialectAWS Dialect = "aws"
	// DialectCeph (RGW) names users by ARN, too, without an account.
	DialectCeph Dialect = "ceph"
	// DialectMinIO takes no named principals in bucket policies: each user has a policy of his own,
	// which only MinIO's admin tool can set.
	DialectMinIO Dialect = "minio"
	// DialectVersity (versitygw, and the embedded store) names accounts by their access key.
	DialectVersity Dialect = "versitygw"
)

// Dialects lists them.
var Dialects = []Dialect{DialectAWS, DialectCeph, DialectMinIO, DialectVersity}

// An Allowance lets readers get objects and list prefixes of one bucket, and do nothing else.
type Allowance struct {
	// Readers are principals as the dialect names them; see [Dialect.Principal].
	Readers []string
	// Get are keys that may be got; * is any text.
	Get []string
	// List are prefixes below which keys may be listed; each ends in /.
	List []string
}

// statement is one of an S3 policy.
type statement struct {
	Sid       string         `json:"Sid,omitempty"`
	Effect    string         `json:"Effect"`
	Principal map[string]any `json:"Principal,omitempty"`
	Action    []string       `json:"Action"`
	Resource  []string       `json:"Resource"`
	Condition map[string]any `json:"Condition,omitempty"`
}

type policyDocument struct {
	Version   string            `json:"Version"`
	Statement []json.RawMessage `json:"Statement"`
}

const (
	policyVersion = "2012-10-17"
	// ownSid begins the names of the statements that are ours.
	ownSid = "Playmeter"
)

// Principal is how the dialect's policies name a reader. A name that is an ARN stays one.
func (d Dialect) Principal(name string) (string, error) {
	switch {
	case strings.HasPrefix(name, "arn:"), d == DialectVersity, d == DialectMinIO:
		return name, nil
	case d == DialectCeph:
		return "arn:aws:iam:::user/" + name, nil
	}
	return "", fmt.Errorf("reader %s: policies of this store name users by ARN: give its principal, such as arn:aws:iam::123456789012:user/%s, under readers", name, name)
}

// MaxPolicy is how many bytes a bucket's policy may have; 0: no bound that is worth a word, or (versitygw) one
// that hangs on how the store keeps it.
func (d Dialect) MaxPolicy() int {
	switch d {
	case DialectVersity:
		return 0
	case DialectCeph:
		return 900 << 10
	}
	return 20 << 10
}

// ListsByPrefix tells whether listing can be allowed for one prefix alone. With MinIO it cannot: a reader gets
// round the condition by giving the prefix twice, or as a header.
func (d Dialect) ListsByPrefix() bool { return d != DialectMinIO }

// NestsStars tells whether * in a pattern takes whatever makes the rest match. With Ceph it does not:
// it ends at the first character that the pattern goes on with.
func (d Dialect) NestsStars() bool { return d != DialectCeph }

// statements writes allowances as two statements each.
func statements(bucket string, rules []Allowance, principals bool) []json.RawMessage {
	var out []json.RawMessage
	add := func(s statement, readers []string) {
		if principals {
			s.Principal = map[string]any{"AWS": readers}
		}
		raw, err := marshalPlain(s)
		if err != nil {
			panic(err) // cannot happen: texts
		}
		out = append(out, raw)
	}
	const arn = "arn:aws:s3:::"
	for i, r := range rules {
		get := make([]string, len(r.Get))
		for j, key := range r.Get {
			get[j] = arn + bucket + "/" + key
		}
		list := make([]string, len(r.List))
		for j, prefix := range r.List {
			list[j] = prefix + "*"
		}
		if len(get) > 0 {
			add(statement{Sid: fmt.Sprintf("%sGet%d", ownSid, i+1), Effect: "Allow", Action: []string{"s3:GetObject"}, Resource: get}, r.Readers)
		}
		if len(list) > 0 {
			add(statement{Sid: fmt.Sprintf("%sList%d", ownSid, i+1), Effect: "Allow", Action: []string{"s3:ListBucket"}, Resource: []string{arn + bucket},
				Condition: map[string]any{"StringLike": map[string]any{"s3:prefix": list}}}, r.Readers)
		}
	}
	return out
}

// marshalPlain writes JSON with <, > and & as they are.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// UserPolicies are the policies that MinIO's users need, by user: what the allowances let each get. They
// list nothing, see [Dialect.ListsByPrefix].
func UserPolicies(bucket string, rules []Allowance) map[string]string {
	byUser := make(map[string][]Allowance)
	for _, r := range rules {
		r.List = nil // see ListsByPrefix
		for _, user := range r.Readers {
			byUser[user] = append(byUser[user], r)
		}
	}
	out := make(map[string]string, len(byUser))
	for user, rules := range byUser {
		text, err := json.MarshalIndent(policyDocument{policyVersion, statements(bucket, rules, false)}, "", "  ")
		if err != nil {
			panic(err) // cannot happen: texts
		}
		out[user] = string(text)
	}
	return out
}

// A PolicyPlan is what a bucket's policy is to become.
type PolicyPlan struct {
	// Policy is the whole document; empty: no policy.
	Policy string
	// Changed tells that it is another than the one that is there.
	Changed bool
	// Foreign are statements of others that allow something. They are in Policy unless they were to go.
	Foreign []string
}

// PlanPolicy works out the policy of a bucket from the one that is there (empty: none) and the
// allowances.
//
//   - Statements of ours (their Sid begins with Playmeter) are replaced. Those of others that deny
//     stay: they only make the bucket tighter. Those that allow stay, too, and are listed, unless
//     replace is true: then they go.
//   - Errors: a policy that is there and cannot be read; one that would be too large for the dialect.
func (d Dialect) PlanPolicy(bucket, there string, rules []Allowance, replace bool) (PolicyPlan, error) {
	var plan PolicyPlan
	var doc policyDocument
	if there != "" {
		var err error
		if doc, err = parsePolicy(there); err != nil {
			return plan, err
		}
	}
	var own []json.RawMessage
	if d != DialectMinIO {
		own = statements(bucket, rules, true)
	}
	var stay, was []json.RawMessage
	for _, raw := range doc.Statement {
		var s struct{ Sid, Effect string }
		if err := json.Unmarshal(raw, &s); err != nil {
			return plan, fmt.Errorf("read the policy of bucket %s: %w", bucket, err)
		}
		switch {
		case strings.HasPrefix(s.Sid, ownSid):
			was = append(was, raw)
		case s.Effect == "Deny":
			stay = append(stay, raw)
		default:
			plan.Foreign = append(plan.Foreign, compact(raw))
			if !replace {
				stay = append(stay, raw)
			}
		}
	}
	plan.Changed = !sameStatements(was, own) || len(was)+len(stay) != len(doc.Statement)
	if len(own)+len(stay) == 0 {
		plan.Changed = there != ""
		return plan, nil
	}
	text, err := marshalPlain(policyDocument{policyVersion, append(own, stay...)})
	if err != nil {
		return plan, err
	}
	if limit := d.MaxPolicy(); limit > 0 && len(text) > limit {
		return plan, fmt.Errorf("the policy of bucket %s would have %d bytes, and this store takes %d: grant the same readers to more tenants, so that they share statements, or give tenants their reports by token instead", bucket, len(text), limit)
	}
	plan.Policy = string(text)
	return plan, nil
}

// parsePolicy reads a policy; a single statement need not stand in a list.
func parsePolicy(text string) (policyDocument, error) {
	var raw struct {
		Version   string
		Statement json.RawMessage
	}
	var doc policyDocument
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return doc, fmt.Errorf("read the policy that is there: %w", err)
	}
	if s := bytes.TrimSpace(raw.Statement); len(s) > 0 && s[0] == '{' {
		raw.Statement = slices.Concat([]byte("["), s, []byte("]"))
	}
	if len(raw.Statement) > 0 {
		if err := json.Unmarshal(raw.Statement, &doc.Statement); err != nil {
			return doc, fmt.Errorf("read the policy that is there: %w", err)
		}
	}
	return doc, nil
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return string(raw)
	}
	return b.String()
}

// sameStatements compares by content: stores write policies back in their own way.
func sameStatements(a, b []json.RawMessage) bool {
	return slices.EqualFunc(a, b, func(x, y json.RawMessage) bool { return canonical(x) == canonical(y) })
}

// canonical is a statement with its lists sorted, and a list of one as the text alone.
func canonical(raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return string(raw)
	}
	text, err := json.Marshal(ordered(v))
	if err != nil {
		return string(raw)
	}
	return string(text)
}

func ordered(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for key := range t {
			t[key] = ordered(t[key])
		}
	case []any:
		for i := range t {
			t[i] = ordered(t[i])
		}
		if len(t) == 1 {
			return t[0]
		}
		slices.SortFunc(t, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return v
}

// cephRequest is how Ceph, which does not name itself, numbers requests: transaction, time and gateway, zone.
var cephRequest = regexp.MustCompile(`^tx[0-9a-f]{21}-[0-9a-f]{10}-[0-9a-f]+-.`)

// Dialect is what the store says it is, by the headers of its answers.
//
//   - Errors: one that asks for object_store.dialect where the store does not tell.
func (s *Store) Dialect(ctx context.Context) (Dialect, error) {
	header, err := s.ask(ctx)
	if err != nil {
		return "", s.wrap("ask what store is at", s.cfg.Endpoint, err)
	}
	server := strings.ToLower(header.Get("Server"))
	switch {
	case strings.Contains(server, "versity"):
		return DialectVersity, nil
	case strings.Contains(server, "minio"):
		return DialectMinIO, nil
	case strings.Contains(server, "amazons3"):
		return DialectAWS, nil
	case strings.Contains(server, "ceph"), cephRequest.MatchString(header.Get("X-Amz-Request-Id")):
		return DialectCeph, nil
	}
	return "", errors.New("the object store does not say what it is: set object_store.dialect to aws, ceph, minio or versitygw")
}
