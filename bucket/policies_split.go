package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3api/utils"
)

// A splitPolicy gives the gateway of a policy only what concerns the account that asks. The
// gateway reads a policy anew for each request, which takes 7 ms for one of 200 KB; the
// statements of one account take some microseconds.
//
// A statement that names neither the account nor everybody has no say in what the account may
// do: the decision is the same without it.
type splitPolicy struct {
	whole      []byte
	version    json.RawMessage
	statements []json.RawMessage
	named      map[string][]int // by principal, which may be "*". Nil: only the whole will do
}

// newSplitPolicy never fails: of a policy that it does not understand it gives the whole.
func newSplitPolicy(whole []byte) *splitPolicy {
	p := &splitPolicy{whole: whole}
	var raw struct {
		Version   json.RawMessage
		Statement []json.RawMessage
	}
	if err := json.Unmarshal(whole, &raw); err != nil {
		return p
	}
	p.version, p.statements = raw.Version, raw.Statement
	// The parts, put together again, must be to the gateway what the whole is: JSON has corners,
	// such as keys that occur twice, where they would not be.
	meant, err := auth.ParsePolicyDocument(whole)
	if err != nil {
		return p
	}
	again, err := auth.ParsePolicyDocument(p.assemble(upTo(len(p.statements))))
	if err != nil || !reflect.DeepEqual(meant, again) {
		return p
	}
	p.named = make(map[string][]int)
	for i, s := range meant.Statement {
		for who := range s.Principals {
			p.named[who] = append(p.named[who], i)
		}
	}
	return p
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// of is the policy without the statements that cannot concern an account, in their order. It
// must not be changed.
func (p *splitPolicy) of(access string) []byte {
	if p.named == nil {
		return p.whole
	}
	which := slices.Concat(p.named["*"], p.named[access])
	slices.Sort(which)
	return p.assemble(slices.Compact(which))
}

func (p *splitPolicy) assemble(which []int) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	if p.version != nil {
		b.WriteString(`"Version":`)
		b.Write(p.version)
		b.WriteByte(',')
	}
	b.WriteString(`"Statement":[`)
	for i, n := range which {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(p.statements[n])
	}
	b.WriteString("]}")
	return b.Bytes()
}

// forCaller is what a request gets to see of a policy: administrators, who may read it back, and
// callers that are not known get the whole. An anonymous one is an account without a name.
func (p *splitPolicy) forCaller(ctx context.Context) []byte {
	caller, ok := ctx.Value(string(utils.ContextKeyAccount)).(auth.Account)
	if !ok || caller.Role == auth.RoleAdmin {
		return p.whole
	}
	return p.of(caller.Access)
}
