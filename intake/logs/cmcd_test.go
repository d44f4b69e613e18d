package logs

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWhatPlayersSay(t *testing.T) {
	const uuid = "6e2fb550-c457-11e9-bb97-0800200c9a66"
	tests := []struct{ name, in, want string }{
		{"nothing", "", "  0 0 0"},
		{"keys in order, texts in quotes", `bl=21300,br=3200,bs,cid="faec5fc2",d=4004,dl=18500,mtp=48100,nor="..%2F300kbps%2Ftrack.m4v",nrr="12323-48763",ot=v,pr=1.08,rtp=12000,sf=d,sid="` + uuid + `",st=v,su,tb=6000`,
			uuid + " faec5fc2 v d -1 4004 3200"},
		{"another order, blanks after commas", `sid="s", cid="c", ot=a, d=2000, sf=h, st=l`, "s c a h 1 2000 0"},
		{"texts without quotes", "sid=s,cid=c,ot=av,sf=h", "s c av h 0 0 0"},
		{"tokens in quotes", `ot="v",sf="h",st="v"`, "  v h -1 0 0"},
		{"a comma and an equals sign in quotes", `cid="a,sid=b",sid="s"`, `s a,sid=b   0 0 0`},
		{"escapes in quotes", `cid="say \"hi\\",sid="s"`, `s say "hi\   0 0 0`},
		{"quotes that do not end", `sid="s,ot=v`, `s,ot=v    0 0 0`},
		{"a blank content id", `cid="",sid="s"`, "s    0 0 0"},
		{"a length with a fraction is cut", "d=2002.6,br=1500.5", "    0 2002 1500"},
		{"a length below zero", "d=-5", "    0 0 0"},
		{"a length that is no number", "d=abc,br=", "    0 0 0"},
		{"a length beyond 64 bits", "d=99999999999999999999", "    0 0 0"},
		{"version 2: a list says which object it speaks of", "br=(5000;v 128;a),d=(4004;v 4000;a),ot=a,v=2", "  a  0 4000 128"},
		{"version 2: a list of one", "br=(3200),ot=v,v=2", "  v  0 0 3200"},
		{"version 2: a list that does not say", "br=(3200 128),ot=v", "  v  0 0 3200"},
		{"version 2: a list that does not end", "br=(3200;v", "    0 0 3200"},
		{"version 2: live with low latency", "st=ll,v=2", "    1 0 0"},
		{"version 2: other lists are passed over", `bl=(1000;v 2000;a),nor=("a,b.m4s";r="0-9"),sid="s"`, "s    0 0 0"},
		{"parameters are passed over", `sid="s";x="a,b";y,ot=v;z=1`, "s  v  0 0 0"},
		{"custom keys", `com.example-x="y",sid="s"`, "s    0 0 0"},
		{"the last of two counts", `sid="a",sid="b"`, "b    0 0 0"},
		{"object types that are none", "ot=x,sf=v,st=x", "   v 0 0 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m cmcd
			m.parse([]byte(tt.in))
			m.settle()
			got := fmt.Sprintf("%s %s %s %s %d %d %d", m.sid, m.cid, m.ot, m.sf, m.live, m.d, m.br)
			if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(tt.want), " ") {
				t.Errorf("%s\ngot  %s\nwant %s", tt.in, got, tt.want)
			}
		})
	}
}

// TestFormsOfTheQuery has CMCD as players' URLs end up in logs.
func TestFormsOfTheQuery(t *testing.T) {
	tests := []struct{ name, uri string }{
		{"encoded once, as hls.js and Shaka do", "/x.ts?CMCD=cid%3D%22c%22%2Cd%3D4004%2Cot%3Dv%2Csid%3D%22s%22"},
		{"encoded twice, as old dash.js did", "/x.ts?CMCD=cid%253D%2522c%2522%252Cd%253D4004%252Cot%253Dv%252Csid%253D%2522s%2522"},
		{"not encoded, as careless players do", `/x.ts?CMCD=cid="c",d=4004,ot=v,sid="s"`},
		{"the commas alone are not", "/x.ts?CMCD=cid%3D%22c%22,d%3D4004,ot%3Dv,sid%3D%22s%22"},
		{"other arguments around", "/x.ts?token=CMCD&CMCD=cid%3D%22c%22%2Cd%3D4004%2Cot%3Dv%2Csid%3D%22s%22&x"},
		{"small letters in the encoding", "/x.ts?CMCD=cid%3d%22c%22%2cd%3d4004%2cot%3dv%2csid%3d%22s%22"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			line := strings.Replace(nginxLine(""), `/film/720p/seg0.ts`, strings.ReplaceAll(tt.uri, `"`, `\"`), 1)
			events, _ := readAll(t, nginx(t, nil), tenantA, line)
			if got, want := showAll(events), "c/s video 4004000us hls"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func FuzzCMCD(f *testing.F) {
	f.Add(`cid="c",d=4004,ot=v,sid="s";x=(1 2),br=(5000;v 128;a)`)
	f.Add(`sid="\`)
	f.Add(`br=(;;;`)
	f.Fuzz(func(t *testing.T, text string) {
		var m cmcd
		m.parse([]byte(text))
		m.settle()
		if m.d < 0 || m.d > maxObjectMillis || m.br < 0 || len(m.sid) > len(text) || len(m.lists[0]) > maxItems {
			t.Errorf("%+v", m)
		}
	})
}

func TestTimes(t *testing.T) {
	tests := []struct {
		form       Times
		date, text string
		want       string // empty: none
	}{
		{TimesAuto, "", "2025-03-02T10:00:00+00:00", "2025-03-02T10:00:00Z"},
		{TimesAuto, "", "2025-03-02T12:00:00.123456789+02:00", "2025-03-02T10:00:00.123456789Z"},
		{TimesAuto, "", "2025-03-02T10:00:00", "2025-03-02T10:00:00Z"},
		{TimesAuto, "", "2025-03-02 10:00:00.5", "2025-03-02T10:00:00.5Z"},
		{TimesAuto, "", "02/Mar/2025:10:00:00 +0100", "2025-03-02T09:00:00Z"},
		{TimesAuto, "2025-03-02", "10:00:01", "2025-03-02T10:00:01Z"},
		{TimesAuto, "2025-03-02", "23:59:60", "2025-03-02T23:59:59.999999999Z"},
		{TimesAuto, "", "10:00:01", ""},
		{TimesAuto, "", "1740909600", "2025-03-02T10:00:00Z"},
		{TimesAuto, "", "1740909600.123", "2025-03-02T10:00:00.123Z"},
		{TimesAuto, "", "1740909600.123456789", "2025-03-02T10:00:00.123456789Z"},
		{TimesAuto, "", "1740909600.1234567894", "2025-03-02T10:00:00.123456789Z"},
		{TimesAuto, "", "1740909600.1234567895", "2025-03-02T10:00:00.12345679Z"},
		{TimesAuto, "", "1740909600123", "2025-03-02T10:00:00.123Z"},
		{TimesAuto, "", "1740909600123.25", "2025-03-02T10:00:00.12325Z"},
		{TimesAuto, "", "1740909600123456", "2025-03-02T10:00:00.123456Z"},
		{TimesAuto, "", "1740909600123456789", "2025-03-02T10:00:00.123456789Z"},
		{TimesMilli, "", "999999999999", "2001-09-09T01:46:39.999Z"},
		{TimesSecond, "", "1740909600123", ""},
		{TimesISO, "", "1740909600", ""},
		{TimesSecond, "", "2025-03-02T10:00:00Z", ""},
		{TimesAuto, "", "1.7409096e9", ""},
		{TimesAuto, "", "1740909600.1.2", ""},
		{TimesAuto, "", "-1740909600", ""},
		{TimesAuto, "", "", ""},
		{TimesAuto, "", strings.Repeat("1", 65), ""},
		{TimesAuto, "", "4102444800", ""},
		{TimesAuto, "", "4102444799.999999999", "2099-12-31T23:59:59.999999999Z"},
		{TimesAuto, "", "946684800", "2000-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		got := ""
		if ns, ok := parseTime(tt.form, []byte(tt.date), []byte(tt.text)); ok {
			got = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		if got != tt.want {
			t.Errorf("%s %q %q: got %q, want %q", tt.form, tt.date, tt.text, got, tt.want)
		}
	}
}
