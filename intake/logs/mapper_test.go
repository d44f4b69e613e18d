package logs

import (
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

const ladder = `^/(?P<object>[^/]+)/(?P<rendition>[^/]+)/seg(?P<segment>\d+)\.(ts|m4s)$`

func withLadder(f *Format) { f.URLs = []URL{{Match: ladder, Format: "hls-clear"}} }

// said is CMCD as four headers in one, of a video segment of 4.004 s.
const said = `cmcd_session=cid="c",sid="s",sf=h,st=v cmcd_object=br=2000,d=4004,ot=v`

func TestWhatALineCounts(t *testing.T) {
	sizes := func(f *Format) {
		withLadder(f)
		f.Renditions = []Rendition{{Name: "720p", Width: 1280, Height: 720, Codec: "avc1"}, {MinKbps: 1500, MaxKbps: 2500, Width: 960, Height: 540}}
	}
	tests := []struct {
		name   string
		change func(*Format)
		line   string
		want   string
	}{
		{"a segment with CMCD alone", nil, said, "c/s video 4004000us hls vod"},
		{"a segment whose URL names it", withLadder, said, "film/s video#0 4004000us hls-clear hls vod"},
		{"a pattern's object goes before cid", withLadder, said + " uri=/other/1080p/seg12.m4s", "other/s video#12 4004000us hls-clear hls vod"},
		{"the query holds CMCD", nil, "uri=/x.ts?a=1&CMCD=cid%3D%22c%22%2Cd%3D2000%2Cot%3Da%2Csf%3Dd%2Csid%3D%22s%22%2Cst%3Dl&b=2", "c/s audio 2000000us dash live"},
		{"headers go before the query", nil, said + " uri=/x.ts?CMCD=sid%3D%22q%22%2Cd%3D1", "c/s video 4004000us hls vod"},
		{"a size by the rendition's name", sizes, said, "film/s video#0 4004000us 1280x720 avc1 hls-clear hls vod"},
		{"a size by bitrate where the URL has no name", sizes, said + " uri=/x.m4s", "c/s video 4004000us 960x540 hls vod"},
		{"a bitrate that no rendition has", sizes, said + " uri=/x.m4s cmcd_object=br=2501,d=4004,ot=v", "c/s video 4004000us hls vod"},
		{"audio has no size", sizes, said + " uri=/x.m4s cmcd_object=br=2000,d=4004,ot=a", "c/s audio 4004000us hls vod"},
		{"audio and video", nil, said + " cmcd_object=d=1000,ot=av", "c/s muxed 1000000us hls vod"},
		{"a manifest has no length", nil, said + " uri=/x.m3u8 cmcd_object=d=4004,ot=m", "c/s manifest hls vod"},
		{"an initialization section has none", nil, said + " uri=/x.mp4 cmcd_object=d=4004,ot=i", "c/s init hls vod"},
		{"captions have none", nil, said + " uri=/x.vtt cmcd_object=d=4004,ot=c", "c/s text hls vod"},
		{"timed text has none", nil, said + " cmcd_object=d=4004,ot=tt", "c/s text hls vod"},
		{"a key is a request", nil, said + " uri=/x.key cmcd_object=d=4004,ot=k", "c/s manifest hls vod"},
		{"other files are requests", nil, said + " uri=/x.jpg cmcd_object=ot=o", "c/s manifest hls vod"},
		{"an init file by its name", withLadder, `uri=/film/init-0.mp4 cmcd_session=cid="c"`, "c/ init"},
		{"not an init file", nil, `uri=/film/initial.mp4 cmcd_session=cid="c"`, "c/ "},
		{"HEAD is a request", withLadder, said + " method=HEAD", "film/s video hls-clear hls vod"},
		{"304 is a request", withLadder, said + " status=304", "film/s video hls-clear hls vod"},
		{"404 is an error", withLadder, said + " status=404", "film/s video hls-clear hls vod"},
		{"500 is an error", withLadder, said + " status=500", "film/s video hls-clear hls vod"},
		{"the range with the first byte", withLadder, said + " status=206 range=bytes=0-99", "film/s video#0 4004000us hls-clear hls vod"},
		{"an open range", withLadder, said + " status=206 range=bytes=0-", "film/s video#0 4004000us hls-clear hls vod"},
		{"a later range", withLadder, said + " status=206 range=bytes=100-199", "film/s video hls-clear hls vod"},
		{"the last bytes", withLadder, said + " status=206 range=bytes=-500", "film/s video hls-clear hls vod"},
		{"a probe of two bytes", withLadder, said + " status=206 range=bytes=0-1", "film/s video hls-clear hls vod"},
		{"three bytes are no probe", withLadder, said + " status=206 range=bytes=0-2", "film/s video#0 4004000us hls-clear hls vod"},
		{"several ranges", withLadder, said + " status=206 range=bytes=0-99,200-299", "film/s video#0 4004000us hls-clear hls vod"},
		{"ranges that are none", withLadder, said + " status=206 range=items=7-9", "film/s video#0 4004000us hls-clear hls vod"},
		{"a range that was answered whole", withLadder, said + " status=200 range=bytes=100-199", "film/s video#0 4004000us hls-clear hls vod"},
		{"each range its own segment", func(f *Format) { f.URLs = []URL{{Match: `\.m4s$`, OwnRanges: true}} },
			said + " uri=/x.m4s status=206 range=bytes=100-199", "c/s video 4004000us hls vod"},
		{"a player's length beyond belief", nil, said + " cmcd_object=d=600001,ot=v", "c/s video hls vod"},
		{"the longest that is believed", nil, said + " cmcd_object=d=600000,ot=v", "c/s video 600000000us hls vod"},
		{"DRM by pattern", func(f *Format) { f.URLs = []URL{{Match: `.`, DRM: "on", Live: "on", Protocol: "dash", Track: "audio"}} },
			`cmcd_session=cid="c",sf=h,st=v`, "c/ audio dash drm live"},
		{"a group names the format", func(f *Format) {
			f.URLs = []URL{{Match: `^/(?P<object>\w+)/(?P<format>[a-z-]+)/(?P<track>\w+)/(?P<width>\d+)x(?P<height>\d+)`}}
		},
			"uri=/o/dash-widevine/video_1/640x360/1.m4s", "o/ video 640x360 dash-widevine"},
		{"a number too large to be an index", withLadder, said + " uri=/film/720p/seg2147483648.ts", "film/s video 4004000us hls-clear hls vod"},
		{"the largest index", withLadder, said + " uri=/film/720p/seg2147483647.ts", "film/s video#2147483647 4004000us hls-clear hls vod"},
		{"an absolute URL", withLadder, said + " uri=http://cdn.example/film/720p/seg3.ts?x=1", "film/s video#3 4004000us hls-clear hls vod"},
		{"a path with percent-encoding", func(f *Format) { f.URLs = []URL{{Match: `^/(?P<object>[^/]+)/`}} }, "uri=/a%20film%2fx/y.ts", "a film/  hls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, sum := readAll(t, nginx(t, tt.change), tenantA, nginxLine(tt.line))
			if got := showAll(events); got != tt.want {
				t.Errorf("got  %s\nwant %s\nskipped %v", got, tt.want, sum.Skipped)
			}
		})
	}
}

func TestWhatBecomesNoEvent(t *testing.T) {
	long := strings.Repeat("x", schemas.MaxID+1)
	tests := []struct {
		name   string
		change func(*Format)
		o      Options
		line   string
		want   Reason
	}{
		{"a page", nil, tenantA, nginxLine("uri=/favicon.ico"), NotMedia},
		{"media of no object", nil, tenantA, nginxLine("uri=/x/seg.ts"), NoObject},
		{"a request before the request", withLadder, tenantA, nginxLine("method=OPTIONS"), Method},
		{"a POST", withLadder, tenantA, nginxLine("method=POST"), Method},
		{"what a pattern skips", func(f *Format) { f.URLs = []URL{{Match: `\.ts$`, Skip: true}} }, tenantA, nginxLine(said), Excluded},
		{"a line that is no JSON", nil, tenantA, `{"uri":`, BadLine},
		{"a line that is a list", nil, tenantA, `[1]`, BadLine},
		{"a line that is too long", nil, tenantA, `{"uri":"` + strings.Repeat("x", maxLine) + `"}`, BadLine},
		{"no time", withLadder, tenantA, nginxLine("msec= time="), BadTime},
		{"a time before 2000", withLadder, tenantA, nginxLine("msec=946684799.999"), BadTime},
		{"bytes that are no number", withLadder, tenantA, nginxLine("bytes=many"), BadValue},
		{"a status that is no number", withLadder, tenantA, nginxLine("status=OK"), BadValue},
		{"no tenant", withLadder, Options{}, nginxLine(""), NoTenant},
		{"a tenant that is none", func(f *Format) { f.URLs = []URL{{Match: `^/(?P<object>\w+)`}}; f.Fields["tenant_id"] = "host" }, Options{}, nginxLine("host=a/b"), BadTenant},
		{"no node", func(f *Format) { withLadder(f); f.Fields["node_id"] = "" }, tenantA, nginxLine(""), NoNode},
		{"an object that is too long", withLadder, tenantA, nginxLine("uri=/" + long + "/720p/seg1.ts"), IDTooLong},
		{"an object that is the tenant", withLadder, tenantA, nginxLine("uri=/a/720p/seg1.ts"), ObjectIsTenant},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, sum := readAll(t, nginx(t, tt.change), tt.o, nginxLine(said)+"\n"+tt.line+"\n")
			if tt.o.Tenant != "" && tt.want != Excluded && len(events) != 1 && tt.want != NoNode {
				t.Errorf("%d events: a line took another along", len(events))
			}
			if sum.Skipped[tt.want] == 0 || sum.Lines != sum.Events+total(sum.Skipped) {
				t.Errorf("skipped %v of %d, want %s", sum.Skipped, sum.Lines, tt.want)
			}
			if tt.want.Bad() != (len(sum.Bad) > 0) || tt.want.Bad() && sum.Bad[len(sum.Bad)-1] != (BadLineAt{2, tt.want}) {
				t.Errorf("bad lines %v", sum.Bad)
			}
		})
	}
}

func total(m map[Reason]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

func TestPatternsMayWantOtherMethodsAndKinds(t *testing.T) {
	f := nginx(t, func(f *Format) {
		f.URLs = []URL{{Match: `^/license/(?P<object>\w+)`, Methods: []string{"POST"}, Track: "manifest"}, {Match: `^/get/(?P<object>\w+)`, Kind: "data_download"}}
	})
	events, sum := readAll(t, f, tenantA, nginxLine("uri=/license/film method=POST")+"\n"+nginxLine("uri=/license/film")+"\n"+nginxLine("uri=/get/film"))
	if got, want := showAll(events), "film/ manifest\nfilm/ "; got != want || events[1].Kind != "data_download" || sum.Skipped[Method] != 1 {
		t.Errorf("got %q, want %q; %v", got, want, sum.Skipped)
	}
	if events[1].DurationMicros != nil || sum.NoLength != 0 {
		t.Error("a download has a length")
	}
}

func TestPatternsOfHosts(t *testing.T) {
	f := nginx(t, func(f *Format) {
		f.URLs = []URL{{Host: `^(?P<tenant>\w+)\.cdn\.example$`, Match: `^/(?P<object>\w+)/`}}
	})
	events, sum := readAll(t, f, tenantA, nginxLine("host=b.cdn.example uri=/film/x.ts")+"\n"+nginxLine("host=other uri=/film/x.ts"))
	if len(events) != 1 || events[0].TenantID != "b" || sum.Skipped[NoObject] != 1 {
		t.Errorf("%+v %v", events, sum.Skipped)
	}
}

func TestWhoServed(t *testing.T) {
	f := nginx(t, withLadder)
	events, _ := readAll(t, f, tenantA, nginxLine("referer=http://r/ request_id=id1"))
	e := events[0]
	if e.NodeID != "edge1" || e.NodeHost != "edge1" || e.ClientIP != "10.0.0.7" || e.UserAgent != "UA" || e.Referrer != "http://r/" || e.EventID != "id1" ||
		e.Time != 1740909600123000000 || *e.Bytes != 1000 || *e.Status != 200 || e.TenantID != "a" || e.Kind != "playout" {
		t.Errorf("%+v", e)
	}
	events, _ = readAll(t, f, Options{Tenant: "a", Node: "n7"}, nginxLine(""))
	if events[0].NodeID != "n7" {
		t.Errorf("node %q", events[0].NodeID)
	}
}

func TestAClientThatWentAwayBeforeTheAnswer(t *testing.T) {
	events, _ := readAll(t, nginx(t, withLadder), tenantA, nginxLine("status=000 bytes=0"))
	if *events[0].Status != 499 || events[0].Segment != nil {
		t.Errorf("%+v", events[0])
	}
}

func TestOfSeveralRangesTheFirstCounts(t *testing.T) {
	f := nginx(t, func(f *Format) { withLadder(f); f.Fields["range"] = "" })
	at := func(msec, more string) string { return nginxLine(said + " status=206 msec=" + msec + " " + more) }
	log := strings.Join([]string{
		at("1740909600.0", ""), at("1740909600.5", ""), at("1740909600.6", "remote_addr=10.0.0.8"), at("1740909600.7", "uri=/film/720p/seg1.ts"),
		at("1740909660.5", ""), at("1740909720.501", ""),
	}, "\n")
	_, sum := readAll(t, f, tenantA, log)
	// The first, another client, another segment, and the first after a pause of more than a minute.
	if sum.Segments != 4 || sum.Parts != 2 {
		t.Errorf("%d segments and %d parts, want 4 and 2", sum.Segments, sum.Parts)
	}
}

func TestASegmentWithoutLengthIsCounted(t *testing.T) {
	events, sum := readAll(t, nginx(t, withLadder), tenantA, nginxLine(""))
	if sum.NoLength != 1 || sum.Segments != 0 || events[0].DurationMicros != nil || *events[0].Segment != 0 {
		t.Errorf("%+v %s", sum, show(events[0]))
	}
}
