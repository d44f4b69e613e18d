package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// kept is a log in memory.
type kept struct {
	mu     sync.Mutex
	chunks []Chunk
}

func (k *kept) Append(_ context.Context, chunks []Chunk) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.chunks = append(k.chunks, chunks...)
	return nil
}

func (k *kept) events(t testing.TB) []schemas.Event {
	t.Helper()
	p, n := newParquet(), 0
	var all []schemas.Event
	for _, c := range k.chunks {
		rows, err := p.read(c.Frame)
		if err != nil || len(rows) != c.Events {
			t.Fatalf("a chunk of %d events holds %d: %v", c.Events, len(rows), err)
		}
		n += c.Events
		all = append(all, rows...)
	}
	return all
}

// post posts events to an intake of their own.
func post(t testing.TB, body string, p *Post, headers ...string) (Receipt, []schemas.Event, error) {
	t.Helper()
	k := new(kept)
	p.Header, p.Body = http.Header{}, strings.NewReader(body)
	for i := 0; i < len(headers); i += 2 {
		p.Header.Set(headers[i], headers[i+1])
	}
	r, err := New(k).Events(t.Context(), p)
	return r, k.events(t), err
}

// show writes events by what tells them apart.
func show(events []schemas.Event) string {
	var out []string
	for _, e := range events {
		id := e.EventID
		if i := strings.IndexByte(id, '-'); i == 64 {
			id = id[:4] + "…" + id[i:]
		}
		seq := "-"
		if e.Seq != nil {
			seq = fmt.Sprint(*e.Seq)
		}
		out = append(out, fmt.Sprintf("%s/%s/%s@%s", e.NodeID, seq, id, time.Unix(0, e.Time).UTC().Format("15:04")))
	}
	return strings.Join(out, " ")
}

const (
	rest  = `"time":"2026-10-14T09:00:00Z","tenant_id":"t1","kind":"playout","object_id":"o"`
	one   = `{"node_id":"n1","event_id":"a",` + rest + `}`
	two   = `{"node_id":"n2","seq":5,` + rest + `}`
	three = `{"node_id":"n3",` + rest + `}`
	cloud = `{"specversion":"1.0","id":"c1","source":"/n4","type":"playout","time":"2026-10-14T10:00:00Z","data":{"tenant_id":"t1","kind":"playout","object_id":"o"}}`
)

func TestBodiesOfEveryKind(t *testing.T) {
	id := func(body string) string {
		sum := sha256.Sum256([]byte(body))
		return hex.EncodeToString(sum[:])[:4] + "…-"
	}
	lines := one + "\n\n" + two + "\r\n" + three
	list := "[" + one + ",\n " + two + "," + three + "]"
	pretty := "{\n \"node_id\": \"n3\",\n " + rest + "\n}"
	structured, batched := []string{"Content-Type", typeStructured + "; charset=utf-8"}, []string{"Content-Type", typeBatched}
	binary := func(more ...string) []string {
		return append([]string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "c%201", "Ce-Source", "/n4", "Ce-Type", "x"}, more...)
	}
	data := `{"tenant_id":"t1","kind":"playout","object_id":"o","time":"2026-10-14T09:00:00Z"}`
	tests := []struct {
		name, body string
		header     []string
		want       string
		refused    string
	}{
		{"nothing", "", nil, "", ""},
		{"an empty list", " [ ] ", nil, "", ""},
		{"lines", lines, nil, "n1/-/a@09:00 n2/5/@09:00 n3/-/" + id(lines) + "2@09:00", ""},
		{"a list", list, nil, "n1/-/a@09:00 n2/5/@09:00 n3/-/" + id(list) + "2@09:00", ""},
		{"a list in a list is no event", "[[" + one + "]," + two + "]", nil, "n2/5/@09:00", "0 bad_line"},
		{"one object over several lines", pretty, nil, "n3/-/" + id(pretty) + "0@09:00", ""},
		{"objects over several lines", pretty + "\n" + two, nil, "n3/-/" + id(pretty+"\n"+two) + "0@09:00 n2/5/@09:00", ""},
		{"lines that lost their ends", one + two, nil, "n1/-/a@09:00 n2/5/@09:00", ""},
		{"lines of which the first is bad", "no\n" + one, nil, "n1/-/a@09:00", "0 bad_line"},
		{"an object that does not end", one[:len(one)-1], nil, "", "0 bad_line"},
		{"a byte order mark", "\uFEFF" + one, nil, "n1/-/a@09:00", ""},
		{"a bad one between good ones", one + "\nno\n" + two, nil, "n1/-/a@09:00 n2/5/@09:00", "1 bad_line"},
		{"one that has neither object nor hash", `{"node_id":"n","time":1,"tenant_id":"t","kind":"playout"}` + "\n" + one, nil, "n1/-/a@09:00", "0 bad_time"},
		{"a broken one in a list takes nothing from the others", "[" + one + `,{"a":},` + two + "]", nil, "n1/-/a@09:00 n2/5/@09:00", "1 bad_line"},
		{"a comma too many", "[" + one + ",]", nil, "n1/-/a@09:00", "1 bad_line"},
		{"20,000 levels beside a good one", "[" + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "," + one + "]", nil, "n1/-/a@09:00", "0 bad_line"},
		{"lines that end with commas", one + ",\n" + two + " ,\r\n\n" + three + ",", nil, "n1/-/a@09:00 n2/5/@09:00 n3/-/" + id(one+",\n"+two+" ,\r\n\n"+three+",") + "2@09:00", ""},
		{"lines of which only the last ends with a comma", one + "\nno\n" + two + ",", nil, "n1/-/a@09:00 n2/5/@09:00", "1 bad_line"},
		{"objects over several lines, one of them broken", "{\n\"a\":\n}\n" + pretty, nil, "n3/-/" + id("{\n\"a\":\n}\n"+pretty) + "1@09:00", "0 bad_line"},
		{"an event with an id keeps it beside a number", `{"node_id":"n","seq":1,"event_id":"x",` + rest + `}`, nil, "n/1/x@09:00", ""},

		{"a CloudEvent", cloud, structured, "/n4/-/c1@10:00", ""},
		{"CloudEvents", "[" + cloud + "," + strings.Replace(cloud, "c1", "c2", 1) + "]", batched, "/n4/-/c1@10:00 /n4/-/c2@10:00", ""},
		{"a bad one among CloudEvents", "[" + strings.Replace(cloud, `"id":"c1",`, "", 1) + "," + cloud + ",7]", batched, "/n4/-/c1@10:00", "0 bad_cloudevent 2 bad_cloudevent"},
		{"what the event says itself stands", strings.Replace(cloud, `"data":{`, `"data":{"node_id":"n","event_id":"e","time":"2026-10-14T09:30:00Z",`, 1), structured, "n/-/e@09:30", ""},
		{"an event with an id gets no number, and one with a number keeps it", strings.Replace(cloud, `"data":{`, `"data":{"seq":3,`, 1), structured, "/n4/3/c1@10:00", ""},
		{"a CloudEvent that is called JSON", cloud, []string{"Content-Type", "application/json"}, "/n4/-/c1@10:00", ""},
		{"CloudEvents that are called nothing", " [ " + cloud + "," + strings.Replace(cloud, "c1", "c2", 1) + "]", nil, "/n4/-/c1@10:00 /n4/-/c2@10:00", ""},
		{"CloudEvents one a line", cloud + "\n" + strings.Replace(cloud, "c1", "c2", 1), nil, "/n4/-/c1@10:00 /n4/-/c2@10:00", ""},
		{"an event with a field called specversion", strings.Replace(one, "{", `{"specversion":"1.0",`, 1), nil, "n1/-/a@09:00", ""},
		{"data in base64", strings.Replace(cloud, `"data":{"tenant_id":"t1","kind":"playout","object_id":"o"}`, `"data_base64":"eyJ0ZW5hbnRfaWQiOiJ0MSIsImtpbmQiOiJwbGF5b3V0Iiwib2JqZWN0X2lkIjoibyJ9"`, 1), structured, "/n4/-/c1@10:00", ""},
		{"data that is not JSON", strings.Replace(cloud, `"data":`, `"datacontenttype":"text/xml","data":`, 1), structured, "", "0 bad_cloudevent"},
		{"no data", `{"specversion":"1.0","id":"c1","source":"/n4","type":"x"}`, structured, "", "0 bad_line"},
		{"another version", strings.Replace(cloud, `"1.0"`, `"2.0"`, 1), structured, "", "0 bad_cloudevent"},
		{"version 0.3", strings.Replace(cloud, `"1.0"`, `"0.3"`, 1), structured, "/n4/-/c1@10:00", ""},
		{"binary mode", data, binary(), "/n4/-/c 1@09:00", ""},
		{"binary mode with a time", strings.Replace(data, `,"time":"2026-10-14T09:00:00Z"`, "", 1), binary("Ce-Time", "2026-10-14T11:00:00Z"), "/n4/-/c 1@11:00", ""},
		{"binary mode with a bad time", data, binary("Ce-Time", "noon"), "", "0 bad_cloudevent"},
		{"binary mode without an id", data, binary("Ce-Id", ""), "", "0 bad_cloudevent"},
		{"binary mode of a version that is not known", data, binary("Ce-Specversion", "7"), "", "0 bad_cloudevent"},
		{"binary mode with other data", data, binary("Content-Type", "text/plain"), "", "0 bad_cloudevent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, events, err := post(t, tt.body, &Post{}, tt.header...)
			if err != nil {
				t.Fatal(err)
			}
			var refused []string
			for _, x := range r.Refusals {
				refused = append(refused, fmt.Sprint(x.Index, " ", x.Reason))
			}
			if got := show(events); got != tt.want || strings.Join(refused, " ") != tt.refused || r.Accepted != len(events) || r.Refused != len(refused) {
				t.Errorf("got  %s, refused %q (%+v)\nwant %s, refused %q", got, refused, r, tt.want, tt.refused)
			}
		})
	}
}

func TestBodiesThatAreNone(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		header     []string
		want       error
	}{
		{"a list without an end", "[" + one + ",", nil, ErrBody},
		{"something behind a list", "[" + one + "]x", nil, ErrBody},
		{"a bracket too many", "[" + one + "]]", nil, ErrBody},
		{"more objects on one line than a list may have", strings.Repeat("{}", maxElements+1), nil, ErrTooLarge},
		{"more CloudEvents than a list may have", "[" + strings.Repeat("0,", maxElements) + "0]", []string{"Content-Type", typeBatched}, ErrTooLarge},
		{"a structured CloudEvent that is no JSON", "{", []string{"Content-Type", typeStructured}, ErrBody},
		{"a batch that is no list", cloud, []string{"Content-Type", typeBatched}, ErrBody},
		{"CloudEvents in Avro", "x", []string{"Content-Type", "application/cloudevents+avro"}, ErrEncoding},
		{"no gzip", "x", []string{"Content-Encoding", "gzip"}, ErrBody},
		{"no zstd", "x", []string{"Content-Encoding", "zstd"}, ErrBody},
		{"two encodings", "x", []string{"Content-Encoding", "gzip, zstd"}, ErrEncoding},
		{"more elements than a list may have", "[" + strings.Repeat("0,", maxElements) + "0]", nil, ErrTooLarge},
		{"as large as may be, and a byte", strings.Repeat(" ", MaxPosted+1), nil, ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, events, err := post(t, tt.body, &Post{}, tt.header...); !errors.Is(err, tt.want) || len(events) > 0 || RetryAfter(err) != 0 {
				t.Errorf("%v, %d events, again after %s", err, len(events), RetryAfter(err))
			}
		})
	}
	if _, _, err := post(t, strings.Repeat(" ", MaxPosted), &Post{}); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
}

func TestPackedBodiesAreUnpacked(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, events, err := post(t, string(z.EncodeAll([]byte(one), nil)), &Post{}, "Content-Encoding", "ZSTD"); err != nil || len(events) != 1 {
		t.Errorf("zstd: %d events, %v", len(events), err)
	}
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(2*maxWindow))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	wide.Reset(&b)
	for range 3 * maxWindow / 16 {
		wide.Write([]byte(`{"node_id":"n1"}`))
	}
	wide.Close()
	if _, _, err := post(t, b.String(), &Post{}, "Content-Encoding", "zstd"); !errors.Is(err, ErrBody) {
		t.Errorf("a window that is too long: %v", err)
	}
}

// TestAPostAgainIsTheSame: the very same events, ids and bytes.
func TestAPostAgainIsTheSame(t *testing.T) {
	k := new(kept)
	in := New(k)
	for range 2 {
		if _, err := in.Events(t.Context(), &Post{Header: http.Header{}, Body: strings.NewReader(three + "\n" + three)}); err != nil {
			t.Fatal(err)
		}
	}
	if events := k.events(t); len(events) != 4 || !reflect.DeepEqual(events[:2], events[2:]) || events[0].EventID == events[1].EventID {
		t.Errorf("kept %s", show(events))
	}
}

// TestABodyForAnotherTenantIsNoCopy: one that was posted for the wrong tenant can be posted for the right one.
func TestABodyForAnotherTenantIsNoCopy(t *testing.T) {
	bare := strings.Replace(three, `"tenant_id":"t1",`, "", 1)
	ids := map[string]bool{}
	for _, p := range []struct {
		tenant schemas.Tenant
		body   string
	}{{"t1", bare}, {"t2", bare}, {"t1", bare}, {"t1", three}, {"", three}} {
		_, events, err := post(t, p.body, &Post{Tenant: p.tenant})
		if err != nil || len(events) != 1 {
			t.Fatal(events, err)
		}
		ids[events[0].EventID] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d ids, want one for each of: the body for t1, the body for t2, the body that says t1 itself: %v", len(ids), ids)
	}
}

func TestSecretsOfViewersAreNotKept(t *testing.T) {
	_, events, err := post(t, `{"node_id":"n","token":"sesame","referrer":"https://a.example/?x=1&token=sesame",`+rest+`}`, &Post{})
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	e := events[0]
	if strings.Contains(fmt.Sprintf("%+v", e), "sesame") || !strings.HasPrefix(e.Token, "sha256:") || e.Referrer != "https://a.example/?x=1" {
		t.Errorf("kept %q %q", e.Token, e.Referrer)
	}
	again := e
	if accounting.Discreet(&again); again.Token != e.Token || again.Referrer != e.Referrer {
		t.Errorf("a second time it is %q %q", again.Token, again.Referrer)
	}
}

func TestAnEventThatIsTooLongIsRefused(t *testing.T) {
	long := strings.Replace(one, `"a"`, `"`+strings.Repeat("x", maxEventBytes)+`"`, 1)
	r, events, err := post(t, one+"\n"+long+"\n"+two, &Post{})
	if err != nil || len(events) != 2 || r.Refusals[0].Reason != reasonTooLong || r.Refusals[0].Index != 1 {
		t.Errorf("%+v, %s, %v", r, show(events), err)
	}
}

// TestLargePostsAreCutIntoChunks, none of which is too large for a message.
func TestLargePostsAreCutIntoChunks(t *testing.T) {
	k := new(kept)
	var b strings.Builder
	const n = 30_000
	for i := range n {
		fmt.Fprintf(&b, `{"node_id":"n","seq":%d,%s,"user_agent":"%x"}`+"\n", i, rest, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	if r, err := New(k).Events(t.Context(), &Post{Header: http.Header{}, Body: strings.NewReader(b.String())}); err != nil || r.Accepted != n {
		t.Fatal(r, err)
	}
	for _, c := range k.chunks {
		if len(c.Frame) > maxFrame || c.Events > maxMessageEvents {
			t.Errorf("a chunk of %d bytes, %d events", len(c.Frame), c.Events)
		}
	}
	for i, e := range k.events(t) {
		if *e.Seq != int64(i) {
			t.Fatalf("event %d is number %d", i, *e.Seq)
		}
	}
}

func TestPostsBeyondTheMemoryAreToldToWait(t *testing.T) {
	in := New(new(kept))
	if !in.memory.TryAcquire(maxMemory - 16<<10) {
		t.Fatal("the memory is in use")
	}
	large := strings.Repeat(one+"\n", 1000)
	if _, err := in.Events(t.Context(), &Post{Header: http.Header{}, Body: strings.NewReader(large)}); !errors.Is(err, ErrBusy) || RetryAfter(err) <= 0 {
		t.Errorf("%v, again after %s", err, RetryAfter(err))
	}
	in.memory.Release(maxMemory - 16<<10)
	if _, err := in.Events(t.Context(), &Post{Header: http.Header{}, Body: strings.NewReader(large)}); err != nil {
		t.Error(err)
	}
	if !in.memory.TryAcquire(maxMemory) {
		t.Error("memory is not given back")
	}
}

// TestTheLargestPostFindsRoom: no post waits for more than there is.
func TestTheLargestPostFindsRoom(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	element := strings.Replace(three, `"n3"`, `"`+strings.Repeat("n", 900)+`"`, 1)
	list := "[" + strings.Repeat(element+",", (MaxUnpacked-2)/(len(element)+1)-1) + element + "]"
	if r, _, err := post(t, string(z.EncodeAll([]byte(list), nil)), &Post{}, "Content-Encoding", "zstd"); err != nil || r.Refused > 0 {
		t.Errorf("%d accepted, %v", r.Accepted, err)
	}
}

func FuzzEvents(f *testing.F) {
	for _, seed := range []string{one, two + "\n" + three, "[" + one + "]", cloud, "[" + cloud + "]", "[1,", "", "\uFEFF{}", "[" + one + `,{"a":},]`, one + ",\n" + two, "{\n}" + one, strings.Repeat("[", 1000), strings.Repeat(`{"a":`, 1000), strings.Repeat("}", 1000), strings.Repeat("[,", 1000)} {
		for kind := range byte(5) {
			f.Add([]byte(seed), kind)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, kind byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		switch kind % 5 {
		case 1:
			r.Header.Set("Content-Type", typeStructured)
		case 2:
			r.Header.Set("Content-Type", typeBatched)
		case 3:
			r.Header.Set("Ce-Specversion", "1.0")
			r.Header.Set("Ce-Id", string(body))
			r.Header.Set("Ce-Source", "s")
			r.Header.Set("Ce-Type", "t")
		case 4:
			r.Header.Set("Content-Encoding", "zstd")
		}
		k := new(kept)
		receipt, err := New(k).Events(t.Context(), &Post{Header: r.Header, Body: r.Body, Tenant: "t1"})
		events := k.events(t)
		if err != nil && len(events) > 0 || err == nil && receipt.Accepted != len(events) {
			t.Fatalf("%d events are kept, the answer says %+v, %v", len(events), receipt, err)
		}
		x := new(accounting.Examiner)
		var text []byte
		for i := range events {
			if text = schemas.AppendEvent(text, &events[i]); events[i].TenantID != "t1" || events[i].Seq == nil && events[i].EventID == "" {
				t.Fatalf("kept %+v", events[i])
			}
		}
		lines := schemas.NewEventLines()
		lines.Reset(bytes.NewReader(text))
		for {
			b, err := lines.Next()
			if err == io.EOF {
				return
			}
			for i, reason := range x.Examine(b, nil) {
				if reason != schemas.ReasonNone {
					t.Fatalf("row %d is kept, and a report rejects it: %s", i, reason)
				}
			}
		}
	})
}
