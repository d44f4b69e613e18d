package flussonic

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestBlock(t *testing.T) {
	block, err := Sink{To: "http://192.0.2.1:8080", Tenant: "films", Token: "pm_token", SignKey: "key-1"}.Block()
	want := `event_sink playmeter {
  url http://192.0.2.1:8080/intake/flussonic?tenant=films&token=pm_token;
  only event=play_opened,play_started,play_updated,play_closed;
  sign_key key-1;
}
`
	if err != nil || block.Reveal() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, block.Reveal(), want)
	}
	block, err = Sink{Name: "other", To: "https://playmeter.example.com/proxied/flussonic"}.Block()
	want = `event_sink other {
  url https://playmeter.example.com/proxied/flussonic;
  only event=play_opened,play_started,play_updated,play_closed;
}
`
	if err != nil || block.Reveal() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, block.Reveal(), want)
	}
}

func TestSinkValidate(t *testing.T) {
	tests := []struct {
		name string
		sink Sink
		says string
	}{
		{"all that is needed", Sink{To: "http://192.0.2.1:8080"}, ""},
		{"no address", Sink{}, "the intake's address: write it like"},
		{"an address without a scheme", Sink{To: "192.0.2.1:8080"}, "write it like"},
		{"a user in the address", Sink{To: "http://a:b@192.0.2.1"}, "has a user in it"},
		{"a token in the address", Sink{To: "http://192.0.2.1/?token=pm_secret"}, "has a query; tenant and token are given apart"},
		{"a name with a slash", Sink{To: "http://192.0.2.1", Name: "a/b"}, "must be 1 to 64 of"},
		{"a tenant that is none", Sink{To: "http://192.0.2.1", Tenant: "-"}, "tenant id"},
		{"an address that would end the line", Sink{To: "http://192.0.2.1/a;b"}, "would not keep"},
		{"a key that would end the line", Sink{To: "http://192.0.2.1", SignKey: "sign-secret;"}, "the sign key: must be of printable ASCII"},
		{"a key of two words", Sink{To: "http://192.0.2.1", SignKey: "sign secret"}, "the sign key"},
		{"a key in another alphabet", Sink{To: "http://192.0.2.1", SignKey: "ключ"}, "the sign key"},
		{"a token of two lines", Sink{To: "http://192.0.2.1", Token: "pm_secret\nx"}, "the token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.sink.Validate()
			_, blockErr := tt.sink.Block()
			_, bodyErr := tt.sink.body()
			if tt.says == "" {
				if err != nil || blockErr != nil || bodyErr != nil {
					t.Error(err, blockErr, bodyErr)
				}
				return
			}
			check(t, "validate", err, nil, tt.says)
			check(t, "block", blockErr, nil, tt.says)
			check(t, "body", bodyErr, nil, tt.says)
		})
	}
}

func TestSinkDoesNotPrintItsSecrets(t *testing.T) {
	s := Sink{To: "http://192.0.2.1", Token: "pm_secret", SignKey: "sign-secret"}
	block, _ := s.Block()
	to, _ := s.URL()
	marshalled, _ := json.Marshal(s)
	for _, text := range []string{fmt.Sprint(s, block, to), fmt.Sprintf("%+v %#v %q", s, s, s), string(marshalled), fmt.Sprintf("%+v", Login{Password: "pm_secret", Bearer: "sign-secret"})} {
		if strings.Contains(text, "pm_secret") || strings.Contains(text, "sign-secret") {
			t.Errorf("prints its secrets: %s", text)
		}
	}
}

func TestParseSink(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"as it was put", `{"name":"playmeter","url":"http://h/intake/flussonic?tenant=a&token=pm_secret","only":[{"event":["play_opened","play_closed"]}],"sign_key":"sign-secret"}`,
			`http://h/intake/flussonic?tenant=a&token=[redacted] [play_opened play_closed] signed sent - resent - dropped -`},
		{"another token, a user and a key in the address", `{"url":"http://u:pm_secret@h/?auth_token=pm_secret&X=1&SIGN=sign-secret"}`,
			`http://redacted@h/?auth_token=[redacted]&X=1&SIGN=[redacted] [] sent - resent - dropped -`},
		{"an address that is none", `{"url":"http://h/%zz?token=pm_secret"}`, `[redacted] [] sent - resent - dropped -`},
		{"the filter as one object of a text", `{"url":"http://h/","only":{"event":"play_opened,play_closed"}}`, `http://h/ [play_opened play_closed] sent - resent - dropped -`},
		{"the address by its old name", `{"sink":"http://h/"}`, `http://h/ [] sent - resent - dropped -`},
		{"counters", `{"url":"http://h/","resend_limit":1000,"resend_timeout":10,"stats":{"events_sent":7,"events_resent":"2","events_dropped":1,"resend_timeout":30,"last_sent_at":1792390142320,"bytes_sent":99}}`,
			`http://h/ [] sent 7 resent 2 dropped 1`},
		{"counters by other names", `{"url":"http://h/","stats":{"delivered":7,"retries":2,"lost":{"count":3},"x":null,"y":"z","f":1.5}}`, `http://h/ [] sent 7 resent 2 dropped 3`},
		{"of several of one meaning the largest", `{"url":"http://h/","stats":{"dropped_a":1,"dropped_b":5,"dropped_c":2}}`, `http://h/ [] sent - resent - dropped 5`},
		{"counters that are none", `{"url":"http://h/","stats":{}}`, `http://h/ [] sent - resent - dropped -`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSink("playmeter", []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			count := func(n *int64) string {
				if n == nil {
					return "-"
				}
				return fmt.Sprint(*n)
			}
			got := fmt.Sprintf("%s %v ", s.URL, s.Events)
			if s.Signed {
				got += "signed "
			}
			got += fmt.Sprintf("sent %s resent %s dropped %s", count(s.Sent), count(s.Resent), count(s.Dropped))
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	for _, tt := range []struct {
		events []string
		want   string
	}{
		{nil, ""}, {SinkEvents, ""}, {[]string{"play_*"}, ""}, {[]string{"play_opened"}, "play_started play_updated play_closed"}, {[]string{"stream_*"}, "play_opened play_started play_updated play_closed"},
	} {
		if got := strings.Join((&SinkState{Events: tt.events}).Missing(), " "); got != tt.want {
			t.Errorf("%v leaves out %q, want %q", tt.events, got, tt.want)
		}
	}
}

func TestPrivate(t *testing.T) {
	for address, want := range map[string]bool{
		"https://example.com": true, "http://localhost:8080": true, "http://127.0.0.1": true, "http://[::1]:8080": true,
		"http://example.com": false, "http://192.0.2.1:8080": false, "http://localhost.example.com": false, "://": false,
	} {
		if got := Private(address); got != want {
			t.Errorf("%s is private: %t", address, got)
		}
	}
	for address, want := range map[string]bool{"https://example.com": false, "https://localhost": true, "http://[::1]:1": true, "http://0.0.0.0": false, "%": false} {
		if got := Loopback(address); got != want {
			t.Errorf("%s is of this machine alone: %t", address, got)
		}
	}
}
