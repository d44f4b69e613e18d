package flussonic

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// FuzzDecode posts anything. Whatever comes out as an event is one that the accounting takes, and the same
// when it is posted again.
func FuzzDecode(f *testing.F) {
	for _, file := range bodies(f).Files {
		if strings.HasPrefix(file.Name, "in: ") {
			f.Add(file.Data)
		}
	}
	for _, seed := range hostile {
		f.Add([]byte(strings.Repeat(seed, 1000)))
	}
	o := Options{Peer: netip.MustParseAddr("192.0.2.10"), Tenant: "films", Rules: Rules{{Match: "news/**", Width: 1920, Height: 1080}}}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DecodeAll(body, o)
		if err != nil {
			if len(r.Events)+len(r.Refused)+r.Ignored > 0 {
				t.Errorf("%v, and nevertheless %d events", err, len(r.Events))
			}
			return
		}
		for i := range r.Events {
			checkEvent(t, &r.Events[i])
		}
		for _, x := range r.Refused {
			if !utf8.ValidString(x.Detail) || x.Detail == "" || len(x.Detail) > 1000 || x.Reason == "" || len(x.Stream) > maxShown || len(x.Server) > maxShown {
				t.Errorf("refused for %+v", x)
			}
		}
		again, err := DecodeAll(bytes.Clone(body), o)
		if show(again, err) != show(r, nil) {
			t.Errorf("once\n%s, then\n%s", show(r, nil), show(again, err))
		}
		if json.Valid(body) {
			inList, err := DecodeAll(append(append([]byte("[ "), body...), " ]"...), o)
			if trimmed := bytes.TrimSpace(body); err == nil && len(trimmed) > 0 && trimmed[0] == '{' && len(r.Events) == 1 && len(inList.Events) == 1 && show(Result{Events: inList.Events}, nil) != show(Result{Events: r.Events}, nil) {
				t.Errorf("alone\n%s, in a list\n%s", show(r, nil), show(inList, nil))
			}
		}
	})
}

// checkEvent reads an event back as a usage file's row: it must not be rejected.
func checkEvent(t *testing.T, e *schemas.Event) {
	t.Helper()
	line := schemas.AppendEvent(nil, e)
	if e.NodeID == "" || e.ObjectID == "" || e.SessionID == "" || e.EventID == "" || e.TenantID != "films" || e.Kind != "session" {
		t.Errorf("lacks something: %s", line)
	}
	if len(e.NodeID) > schemas.MaxID || len(e.ObjectID) > schemas.MaxID || len(e.SessionID) > schemas.MaxID {
		t.Errorf("an id is too long: %s", line)
	}
	if e.Time < schemas.Earliest || e.Time >= schemas.Latest || *e.DurationMicros < 0 || *e.DurationMicros > maxMicros {
		t.Errorf("a figure is out of range: %s", line)
	}
	if e.Bytes != nil && (*e.Bytes < 0 || *e.Bytes > maxBytes) {
		t.Errorf("bytes are out of range: %s", line)
	}
	src, err := schemas.OpenUsage("f.ndjson", bytes.NewReader(line), int64(len(line)))
	if err != nil {
		t.Fatal(err)
	}
	rows := src.Part(0)
	defer rows.Close()
	b, err := rows.Next()
	if err != nil && err != io.EOF || b == nil || b.Len != 1 || b.Bad != nil && b.Bad[0] != schemas.ReasonNone {
		t.Errorf("does not read back: %s: %v", line, err)
	}
}

// FuzzSignature signs anything with anything, and takes nothing else.
func FuzzSignature(f *testing.F) {
	f.Add([]byte("[]"), "key", sign("[]", "key"))
	f.Add([]byte(""), "", sign("", ""))
	f.Add([]byte("[]"), "key", strings.ToUpper(sign("[]", "key")))
	f.Fuzz(func(t *testing.T, body []byte, key, header string) {
		keys := []crypto.Secret{"another", crypto.Secret(key)}
		right := sign(string(body), key)
		if key == "another" {
			return
		}
		if i, ok := Signed(body, right, keys); ok != (key != "") || ok && i != 1 {
			t.Errorf("what %q signed is signed by %d, %t", key, i, ok)
		}
		if _, ok := Signed(body, header, keys); ok && header != right && header != sign(string(body), "another") {
			t.Errorf("took %q", header)
		}
	})
}

// hostile are texts that, many times over, must cost no more than others of their length.
var hostile = []string{"[", `{"a":`, "}", "[}", `["`, `"`, "{}", "{},\n", "[,", "{\n", "[]]", `{"events":[`, "\\", "\x00"}

// TestHostileBodiesEnd would go on for days, were the time to grow with the square of the length.
func TestHostileBodiesEnd(t *testing.T) {
	for _, seed := range hostile {
		for _, around := range []string{"", "[", "{", "{}\n", "[{\"a\":"} {
			body := []byte(around + strings.Repeat(seed, (16<<20)/len(seed)))
			if r, err := DecodeAll(body, sender); err == nil && len(r.Events) > 0 {
				t.Errorf("%s%s…: %d events", around, seed, len(r.Events))
			}
		}
	}
}
