package intake

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/playmeter/playmeter/intake/flussonic"
)

// holding is a body of n bytes that does not end before it is let go.
type holding struct {
	rest int
	read chan struct{} // is closed once all that comes at first was read
	free chan struct{}
}

func hold(n int) *holding { return &holding{n, make(chan struct{}), make(chan struct{})} }

func (h *holding) Read(b []byte) (int, error) {
	if h.rest == 0 {
		close(h.read)
		<-h.free
		return 0, io.EOF
	}
	n := min(len(b), h.rest)
	for i := range n {
		b[i] = ' '
	}
	h.rest -= n
	return n, nil
}

// holdPosts posts bodies that stay where they are, and tells how many of them found room.
func holdPosts(t *testing.T, take func(io.Reader) error, n, size int) (stay int) {
	for range n {
		body, ended := hold(size), make(chan error, 1)
		go func() { ended <- take(body) }()
		t.Cleanup(func() {
			select {
			case <-body.free:
			default:
				close(body.free)
			}
		})
		select {
		case <-body.read:
			stay++
		case err := <-ended:
			if !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
		}
	}
	return stay
}

const signKey = "the key of the servers"

func sign(body string) string {
	sum := sha1.Sum([]byte(body + signKey))
	return hex.EncodeToString(sum[:])
}

// signing is an intake that knows a key.
func signing() (*Intake, *kept) {
	k := new(kept)
	in := New(k)
	in.SetRules(&Rules{Streams: flussonic.Rules{{Match: "cam", Tenant: "acme"}}, Signers: []Signer{{Key: signKey, Tenant: "acme"}}})
	return in, k
}

const record = `{"event":"play_closed","session_id":"6000","media":"cam","server":"edge","bytes":10,"duration":3,"closed_at":1794000000000}`

func signed(body io.Reader, signature, sender string) *Post {
	return &Post{Header: http.Header{flussonic.SignatureHeader: {signature}}, Body: body, Sender: sender}
}

// TestStrangersTakeNoMemoryFromOthers: whoever they are, and however many.
func TestStrangersTakeNoMemoryFromOthers(t *testing.T) {
	in, _ := signing()
	stay := 0
	for _, address := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"} {
		stay += holdPosts(t, func(body io.Reader) error {
			_, err := in.Flussonic(t.Context(), signed(body, "aa", address))
			return err
		}, 8, MaxUnsigned-1)
		if address == "192.0.2.1" && stay != maxOfStranger/MaxUnsigned {
			t.Errorf("one stranger holds %d bodies", stay)
		}
	}
	if stay != maxOfStrangers/MaxUnsigned {
		t.Errorf("strangers hold %d bodies", stay)
	}
	if !in.memory.TryAcquire(maxMemory) {
		t.Fatal("strangers hold memory of others")
	}
	in.memory.Release(maxMemory)
	if _, err := in.Events(t.Context(), &Post{Header: http.Header{}, Body: strings.NewReader(one), Sender: "token", Trusted: true}); err != nil {
		t.Error(err)
	}
}

func TestABodyOfAStrangerIsSmall(t *testing.T) {
	in, _ := signing()
	large := record + strings.Repeat(" ", MaxUnsigned-len(record))
	for body, want := range map[string]error{large: nil, large + " ": ErrTooLarge} {
		if _, err := in.Flussonic(t.Context(), signed(strings.NewReader(body), sign(body), "192.0.2.1")); !errors.Is(err, want) {
			t.Errorf("signed, %d bytes: %v", len(body), err)
		}
		post := signed(strings.NewReader(body), sign(body), "token")
		post.Trusted = true
		if _, err := in.Flussonic(t.Context(), post); err != nil {
			t.Errorf("with a token, %d bytes: %v", len(body), err)
		}
	}
}

// TestNothingOfAStrangersIsUnpacked before its signature was looked at.
func TestNothingOfAStrangersIsUnpacked(t *testing.T) {
	in, k := signing()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := z.EncodeAll(append(bytes.Repeat([]byte(" "), MaxUnpacked-len(record)), record...), nil)
	unpacks := func(signature string, body []byte, encoding string) error {
		post := signed(bytes.NewReader(body), signature, "192.0.2.1")
		post.Header.Set("Content-Encoding", encoding)
		_, err := in.Flussonic(t.Context(), post)
		return err
	}
	for _, encoding := range []string{"zstd", "gzip", "br"} {
		if err := unpacks("aa", []byte("not packed"), encoding); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", encoding, err)
		}
	}
	if err := unpacks(sign(string(packed)), packed, "zstd"); err != nil || len(k.events(t)) != 1 {
		t.Errorf("signed: %d events, %v", len(k.events(t)), err)
	}
	for _, memory := range []interface{ TryAcquire(int64) bool }{in.memory, in.ofStrangers} {
		if most := map[bool]int64{true: maxMemory, false: maxOfStrangers}[memory == in.memory]; !memory.TryAcquire(most) {
			t.Error("memory is not given back")
		}
	}
	if len(in.senders.of)+len(in.strangers.of) > 0 {
		t.Errorf("%v and %v hold memory", in.senders.of, in.strangers.of)
	}
}

// TestOneSenderLeavesMemoryToOthers, however many posts it holds.
func TestOneSenderLeavesMemoryToOthers(t *testing.T) {
	in := New(new(kept))
	from := func(sender string) func(io.Reader) error {
		return func(body io.Reader) error {
			_, err := in.Events(t.Context(), &Post{Header: http.Header{}, Body: body, Sender: sender})
			return err
		}
	}
	if stay := holdPosts(t, from("greedy"), 17, 9<<20); stay != maxOfSender/(16<<20) {
		t.Errorf("one sender holds %d bodies of 16 MiB", stay)
	}
	if err := from("greedy")(strings.NewReader(one)); !errors.Is(err, ErrBusy) {
		t.Errorf("it gets more: %v", err)
	}
	if err := from("modest")(strings.NewReader(one)); err != nil {
		t.Errorf("another gets none: %v", err)
	}
}

// TestTheLargestPostOfASenderFindsRoom where it is its only one.
func TestTheLargestPostOfASenderFindsRoom(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	element := strings.Replace(one, `"n1"`, `"`+strings.Repeat("n", 900)+`"`, 1)
	list := "[" + strings.Repeat(element+",", (MaxUnpacked-2)/(len(element)+1)-1) + element + "]"
	list += strings.Repeat(" ", MaxUnpacked-len(list))
	in := New(new(kept))
	p := &Post{Header: http.Header{"Content-Encoding": {"zstd"}}, Body: bytes.NewReader(z.EncodeAll([]byte(list), nil)), Sender: "token"}
	if r, err := in.Events(t.Context(), p); err != nil || r.Refused > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if len(in.senders.of) > 0 {
		t.Errorf("it still holds %v", in.senders.of)
	}
}

// TestASenderSpeaksForItsNodesAlone, whatever it posts.
func TestASenderSpeaksForItsNodesAlone(t *testing.T) {
	mine := func(node string) bool { return node == "mine" }
	of := func(text, was, node string) string { return strings.Replace(text, was, `"`+node+`"`, 1) }
	events := of(one, `"n1"`, "other") + "\n" + of(one, `"n1"`, "mine")
	records := "[" + of(record, `"edge"`, "mine") + "," + record + "]"
	for _, tt := range []struct {
		name, body string
		take       func(*Intake, *Post) (Receipt, error)
		refused    int
	}{
		{"events", events, func(in *Intake, p *Post) (Receipt, error) { return in.Events(t.Context(), p) }, 0},
		{"records", records, func(in *Intake, p *Post) (Receipt, error) { return in.Flussonic(t.Context(), p) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, k := signing()
			r, err := tt.take(in, &Post{Header: http.Header{}, Body: strings.NewReader(tt.body), Trusted: true, SpeaksFor: mine})
			if err != nil || r.Accepted != 1 || r.Refused != 1 || r.Refusals[0].Index != tt.refused || r.Refusals[0].Reason != reasonOtherNode {
				t.Errorf("%+v, %v", r, err)
			}
			if kept := k.events(t); len(kept) != 1 || kept[0].NodeID != "mine" {
				t.Errorf("kept %+v", kept)
			}
		})
	}
}

// TestWhatAServerWouldSendForEver is answered, so that it goes on.
func TestWhatAServerWouldSendForEver(t *testing.T) {
	wide := func(text string, low bool) string {
		var b strings.Builder
		for _, c := range text {
			if low {
				b.WriteString(string(c) + "\x00")
			} else {
				b.WriteString("\x00" + string(c))
			}
		}
		return b.String()
	}
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for _, tt := range []struct {
		name, body string
		accepted   int
		refused    bool
		err        error
	}{
		{"nothing", "", 0, false, nil},
		{"blanks", " \r\n", 0, false, nil},
		{"a byte order mark", "\uFEFF", 0, false, nil},
		{"levels without an end to them", deep, 0, true, nil},
		{"such an element of several", "[" + deep + "," + record + "]", 1, true, nil},
		{"UTF-16 with its mark", "\xFE\xFF" + wide("["+record+"]", false), 0, true, nil},
		{"UTF-16 of the other order", "\xFF\xFE" + wide("["+record+"]", true), 0, true, nil},
		{"UTF-16 without a mark", wide("["+record+"]", false), 0, true, nil},
		{"words", "hello", 0, true, nil},
		{"a list that ends early", "[" + record, 0, false, ErrBody},
		{"an object that ends early", record[:40], 0, false, ErrBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, k := signing()
			p := &Post{Header: http.Header{}, Body: strings.NewReader(tt.body), Trusted: true}
			r, err := in.Flussonic(t.Context(), p)
			if !errors.Is(err, tt.err) || r.Accepted != tt.accepted || (r.Refused > 0) != tt.refused || len(k.events(t)) != tt.accepted {
				t.Errorf("%+v, %v", r, err)
			}
			p = signed(strings.NewReader(tt.body), "aa", "192.0.2.1")
			if _, err := in.Flussonic(t.Context(), p); !errors.Is(err, ErrUnsigned) {
				t.Errorf("of a stranger: %v", err)
			}
		})
	}
	in, _ := signing()
	p := &Post{Header: http.Header{}, Body: io.MultiReader(strings.NewReader("["+record+"]"), broken{}), Trusted: true}
	if _, err := in.Flussonic(t.Context(), p); !errors.Is(err, ErrBody) {
		t.Errorf("a connection that ends early: %v", err)
	}
}

// broken is a connection that ended.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
