package intake

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// TestCloudEvents opens envelopes of every kind. A secret that stands in one is not repeated by what is said of it.
func TestCloudEvents(t *testing.T) {
	const secret = "sesame"
	data := `{"tenant_id":"t1","kind":"playout","object_id":"o","token":"` + secret + `"}`
	packed := `"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"`
	with := func(members string) string {
		return `{"specversion":"1.0","id":"c1","source":"/n4","type":"playout","time":"2026-10-14T10:00:00Z",` + members + `}`
	}
	without := func(name string) string {
		return strings.Replace(strings.Replace(with(`"data":`+data), `"`+name+`":"`, `"x`+name+`":"`, 1), `"x`+name+`":"2026-10-14T10:00:00Z"`, `"x":1`, 1)
	}
	const kept = "/n4/-/c1@10:00"
	for _, tt := range []struct{ name, body, want, fault string }{
		{"no type of data", with(`"data":` + data), kept, ""},
		{"application/json with parameters", with(`"datacontenttype":"application/json; charset=utf-8","data":` + data), kept, ""},
		{"a type of one's own in JSON", with(`"datacontenttype":"application/vnd.x+json","data":` + data), kept, ""},
		{"text/json", with(`"datacontenttype":"text/json","data":` + data), kept, ""},
		{"APPLICATION/JSON", with(`"datacontenttype":"APPLICATION/JSON","data":` + data), kept, ""},
		{"no type, but null", with(`"datacontenttype":null,"data":` + data), kept, ""},
		{"another type", with(`"datacontenttype":"text/plain","data":` + data), "", "has data that is not JSON, by its datacontenttype"},
		{"a type that is none", with(`"datacontenttype":";;","data":` + data), "", "has data that is not JSON, by its datacontenttype"},
		{"base64", with(`"data_base64":` + packed), kept, ""},
		{"base64 behind a blank", with(`"data_base64" : ` + packed), kept, ""},
		{"base64 before its type", with(`"data_base64":` + packed + `,"datacontenttype":"application/json"`), kept, ""},
		{"base64 with escapes", with(`"data_base64":` + strings.Replace(packed, "e", `\u0065`, 1)), kept, ""},
		{"base64 that is none", with(`"data_base64":"` + secret + `?"`), "", "has data_base64 that is no base64"},
		{"base64 that is no text", with(`"data_base64":{"a":"` + secret + `"}`), "", "has data_base64 that is no text"},
		{"base64 that is no JSON", with(`"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(secret)) + `"`), "", "has data_base64 that is not JSON"},
		{"both", with(`"data":` + data + `,"data_base64":` + packed), "", "has both data and data_base64"},
		{"both, of which one is null", with(`"data":null,"data_base64":` + packed), kept, ""},
		{"0.3 with its base64", strings.Replace(with(`"datacontentencoding":"base64","data":`+packed), "1.0", "0.3", 1), kept, ""},
		{"0.3 with an encoding that is not known", strings.Replace(with(`"datacontentencoding":"rot13","data":`+packed), "1.0", "0.3", 1), "", "has a datacontentencoding that is not known; send base64, or none"},
		{"1.0 with a name of one's own that 0.3 has", with(`"datacontentencoding":"x","data":` + data), kept, ""},
		{"extensions", with(`"ext":"` + secret + `","n":5,"b":true,"ID":"x","data":` + data), kept, ""},
		{"an escaped name", strings.Replace(with(`"data":`+data), `"id"`, `"\u0069d"`, 1), kept, ""},
		{"no version", without("specversion"), "", "has a specversion that is not known; send 1.0"},
		{"no id", without("id"), "", "has no id"},
		{"an empty id", strings.Replace(with(`"data":`+data), `"c1"`, `""`, 1), "", "has no id"},
		{"no source", without("source"), "", "has no source"},
		{"no type", without("type"), "", "has no type"},
		{"an id that is no text", strings.Replace(with(`"data":`+data), `"c1"`, `{"a":"`+secret+`"}`, 1), "", "has no text as its id"},
		{"a time that is none", strings.Replace(with(`"data":`+data), "2026-10-14T10:00:00Z", secret, 1), "", "has a time that is not as RFC 3339 has it"},
		{"broken", with(`"data":{"a":}`), "", "is no JSON object"},
		{"no object", `"` + secret + `"`, "", "is no JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, events, err := post(t, "["+tt.body+"]", &Post{}, "Content-Type", typeBatched)
			if err != nil || show(events) != tt.want || (tt.fault != "") != (r.Refused == 1) {
				t.Fatalf("got %s, %+v, %v, want %s", show(events), r, err, tt.want)
			}
			for _, x := range r.Refusals {
				if x.Reason != reasonEnvelope || !strings.HasSuffix(x.Detail, "it "+tt.fault) || strings.Contains(x.Detail, secret) {
					t.Errorf("refused for %+v, want %s", x, tt.fault)
				}
			}
		})
	}
}

// TestATimeThatNoEventMayBear is refused, also one that an int64 of ns does not hold.
func TestATimeThatNoEventMayBear(t *testing.T) {
	for _, at := range []string{"0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2611-10-14T10:00:00Z", "9999-12-31T23:59:59Z"} {
		r, _, err := post(t, strings.Replace(cloud, "2026-10-14T10:00:00Z", at, 1), &Post{}, "Content-Type", typeStructured)
		if err != nil || len(r.Refusals) != 1 || r.Refusals[0].Reason != "bad_time" {
			t.Errorf("%s: %+v, %v", at, r, err)
		}
	}
}

func TestAttributesInHeaders(t *testing.T) {
	for value, want := range map[string]string{"a": "a", "a%20b": "a b", "%E2%82%AC": "€", "100%": "100%", `"a b"`: "a b", `"a\"%20\\"`: `a" \`, `"`: `"`, `""`: ""} {
		if got := plainHeader(value); got != want {
			t.Errorf("%s means %q, want %q", value, got, want)
		}
	}
}

// TestEnvelopesTakeMemoryAsTheyGrow: small elements have large envelopes.
func TestEnvelopesTakeMemoryAsTheyGrow(t *testing.T) {
	in := New(new(kept))
	if !in.memory.TryAcquire(maxMemory - 8<<20) {
		t.Fatal("the memory is in use")
	}
	p := &Post{Header: http.Header{"Content-Type": {typeBatched}}, Body: strings.NewReader("[" + strings.Repeat("0,", maxElements-1) + "0]")}
	if r, err := in.Events(t.Context(), p); RetryAfter(err) == 0 {
		t.Errorf("%d refused, %v", r.Refused, err)
	}
}

// TestOurCloudEventsAreThoseOfOthers reads what the reference library writes.
func TestOurCloudEventsAreThoseOfOthers(t *testing.T) {
	c := event.New()
	c.SetID("id 1")
	c.SetSource("https://node.example/5")
	c.SetType("com.example.playout")
	c.SetTime(time.Date(2026, 10, 14, 12, 0, 0, 0, time.FixedZone("", 3600)))
	c.SetExtension("traceparent", "00-x")
	if err := c.SetData("application/json", map[string]any{"tenant_id": "t1", "kind": "playout", "object_id": "o"}); err != nil {
		t.Fatal(err)
	}
	text, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	_, events, err := post(t, string(text), &Post{}, "Content-Type", typeStructured)
	if err != nil || show(events) != "https://node.example/5/-/id 1@11:00" {
		t.Errorf("%s, %v", show(events), err)
	}
}
