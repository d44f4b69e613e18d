package logs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// folder is a folder of playlists.
func folder(files map[string]string) fstest.MapFS {
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

func readLists(t testing.TB, files map[string]string) *Playlists {
	t.Helper()
	p, err := ReadPlaylists(context.Background(), folder(files))
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range p.Skipped {
		t.Errorf("%s: %v", name, err)
	}
	return p
}

// showListed writes all that playlists say, a line a path.
func showListed(p *Playlists) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		l := p.files[name]
		fmt.Fprintf(&b, "%s:", name)
		for _, flag := range []struct {
			is   bool
			name string
		}{{l.manifest, "manifest"}, {l.init, "init"}, {l.ownRanges, "ranges"}, {l.drm > 0, "drm"}, {l.drm < 0, "clear"}} {
			if flag.is {
				b.WriteString(" " + flag.name)
			}
		}
		if l.format != "" {
			b.WriteString(" " + l.format)
		}
		if r := l.rendition; r != nil {
			for _, s := range []string{r.track, r.codec} {
				if s != "" {
					b.WriteString(" " + s)
				}
			}
			if r.width > 0 {
				fmt.Fprintf(&b, " %dx%d", r.width, r.height)
			}
			if r.live {
				b.WriteString(" live")
			}
		}
		if l.micros > 0 {
			fmt.Fprintf(&b, " #%d=%d", l.index, l.micros)
		}
		if l.init0.length > 0 {
			fmt.Fprintf(&b, " init@%d+%d", l.init0.offset, l.init0.length)
		}
		for _, r := range l.ranges {
			fmt.Fprintf(&b, " #%d@%d+%d=%d", r.index, r.offset, r.length, r.micros)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

const master = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud",NAME="en, with a comma",DEFAULT=YES,URI="audio/en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="sub",NAME="en",URI="sub.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,CODECS="avc1.64001f,mp4a.40.2",AUDIO="aud"
720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,CODECS="avc1.4d401e,mp4a.40.2"
/film/360p.m3u8?token=x
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"
https://cdn.example/film/audio%20only.m3u8
`

func TestHLS(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a master names renditions", map[string]string{"film/master.m3u8": master}, `/film/360p.m3u8: manifest muxed avc1.4d401e 640x360
/film/720p/index.m3u8: manifest video avc1.64001f 1280x720
/film/audio only.m3u8: manifest audio mp4a.40.2
/film/audio/en.m3u8: manifest audio
/film/master.m3u8: manifest
/film/sub.m3u8: manifest text
`},
		{"a rendition has its master's size and its own segments, whichever sorts first",
			map[string]string{"film/720p/index.m3u8": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2.002,\nseg7.ts\n#EXTINF:1.9999995, a title\n../other/seg8.ts?x=1\n#EXT-X-ENDLIST\n",
				"film/z.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:RESOLUTION=1280x720\n720p/index.m3u8\n"}, `/film/720p/index.m3u8: manifest clear hls-clear muxed 1280x720
/film/720p/seg7.ts: clear hls-clear muxed 1280x720 #7=2002000
/film/other/seg8.ts: clear hls-clear muxed 1280x720 #8=2000000
/film/z.m3u8: manifest
`},
		{"ranges of one file", map[string]string{"a.m3u8": "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=\"a.mp4\",BYTERANGE=\"100@0\"\n" +
			"#EXTINF:2,\n#EXT-X-BYTERANGE:1000@100\na.mp4\n#EXTINF:2,\n#EXT-X-BYTERANGE:500\na.mp4\n#EXTINF:1.5,\n#EXT-X-BYTERANGE:10@5000\na.mp4\n"},
			"/a.m3u8: manifest clear hls-clear\n/a.mp4: clear hls-clear init@0+100 #0@100+1000=2000000 #1@1100+500=2000000 #2@5000+10=1500000\n"},
		{"an initialization section of its own", map[string]string{"a.m3u8": "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\n1.m4s\n#EXT-X-ENDLIST"},
			"/1.m4s: clear hls-clear #0=4000000\n/a.m3u8: manifest clear hls-clear\n/init.mp4: init\n"},
		{"keys", map[string]string{"a.m3u8": "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"k/1.key\",IV=0x1\n#EXTINF:4,\n1.ts\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\n2.ts\n#EXT-X-ENDLIST"},
			"/0.ts: clear hls-clear #0=4000000\n/1.ts: drm hls-aes128 #1=4000000\n/2.ts: clear hls-clear #2=4000000\n/a.m3u8: manifest clear hls-aes128\n/k/1.key: manifest\n"},
		{"FairPlay", map[string]string{"a.m3u8": "#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n#EXTINF:4,\n1.ts\n#EXT-X-ENDLIST"},
			"/1.ts: drm hls-fairplay #0=4000000\n/a.m3u8: manifest drm hls-fairplay\n"},
		{"SAMPLE-AES without a system", map[string]string{"a.m3u8": "#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:x\"\n#EXTINF:4,\n1.ts\n#EXT-X-ENDLIST"},
			"/1.ts: drm hls-sample-aes #0=4000000\n/a.m3u8: manifest drm hls-sample-aes\n"},
		{"a playlist without an end is live, and its parts belong to the next segment",
			map[string]string{"a.m3u8": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-PART:DURATION=1.001,URI=\"3.0.mp4\"\n#EXTINF:2.002,\n3.mp4\n"},
			"/3.0.mp4: clear hls-clear live #3=1001000\n/3.mp4: clear hls-clear live #3=2002000\n/a.m3u8: manifest clear hls-clear live\n"},
		{"pictures to look for a place", map[string]string{"a.m3u8": "#EXTM3U\n#EXT-X-I-FRAMES-ONLY\n#EXTINF:2,\n#EXT-X-BYTERANGE:10@5\nx.ts\n"}, "/a.m3u8: manifest\n"},
		{"a byte order mark and line ends of Windows", map[string]string{"a.m3u8": "\uFEFF#EXTM3U\r\n#EXTINF:2,\r\nx.ts\r\n#EXT-X-ENDLIST\r\n"},
			"/a.m3u8: manifest clear hls-clear\n/x.ts: clear hls-clear #0=2000000\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := showListed(readLists(t, tt.files)); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

// mpd is a manifest of one period of 10 seconds with one representation v1.
func mpd(inside string) string {
	return `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10S"><Period>` +
		`<AdaptationSet mimeType="video/mp4" codecs="avc1.64001f"><Representation id="v1" bandwidth="9" width="1280" height="720">` + inside + `</Representation></AdaptationSet></Period></MPD>`
}

func TestDASH(t *testing.T) {
	const clear = " clear dash-clear video avc1.64001f 1280x720"
	tests := []struct{ name, text, want string }{
		{"numbers, the last segment is shorter", mpd(`<SegmentTemplate media="$RepresentationID$/$Number%03d$.m4s" initialization="$RepresentationID$/init.mp4" duration="4" startNumber="0"/>`),
			"/d/v1/000.m4s:" + clear + " #0=4000000\n/d/v1/001.m4s:" + clear + " #1=4000000\n/d/v1/002.m4s:" + clear + " #2=2000000\n/d/v1/init.mp4: init video avc1.64001f 1280x720\n"},
		{"lengths that are no whole microseconds add up", mpd(`<SegmentTemplate media="$Number$" timescale="3" duration="10"/>`),
			"/d/1:" + clear + " #0=3333333\n/d/2:" + clear + " #1=3333333\n/d/3:" + clear + " #2=3333334\n"},
		{"a timeline", mpd(`<SegmentTemplate media="$Time$.m4s" timescale="1000"><SegmentTimeline><S t="500" d="2002" r="1"/><S d="1000"/></SegmentTimeline></SegmentTemplate>`),
			"/d/2502.m4s:" + clear + " #1=2002000\n/d/4504.m4s:" + clear + " #2=1000000\n/d/500.m4s:" + clear + " #0=2002000\n"},
		{"a timeline up to the end", mpd(`<SegmentTemplate media="$Number$"><SegmentTimeline><S d="5" r="-1"/></SegmentTimeline></SegmentTemplate>`),
			"/d/1:" + clear + " #0=5000000\n/d/2:" + clear + " #1=5000000\n"},
		{"a list of ranges", mpd(`<BaseURL>v.mp4</BaseURL><SegmentList duration="5"><SegmentURL mediaRange="100-199"/><SegmentURL mediaRange="200-299"/></SegmentList>`),
			"/d/v.mp4:" + clear + " #0@100+100=5000000 #1@200+100=5000000\n"},
		{"one file whose ranges nothing tells", mpd(`<BaseURL>v.mp4</BaseURL><SegmentBase indexRange="0-99"/>`), "/d/v.mp4: ranges" + clear + "\n"},
		{"DRM", strings.Replace(mpd(`<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011"/><ContentProtection schemeIdUri="urn:uuid:EDEF8BA9-79D6-4ACE-A3C8-27DCD51D21ED"/><BaseURL>https://cdn/x/</BaseURL><SegmentTemplate media="$Number$" duration="10"/>`), "video/mp4", "audio/mp4", 1),
			"/x/1: drm dash-widevine audio avc1.64001f 1280x720 #0=10000000\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := showListed(readLists(t, map[string]string{"d/m.mpd": tt.text}))
			if want := "/d/m.mpd: manifest\n"; got != tt.want+want && got != want+tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestPeriodsFollowEachOther(t *testing.T) {
	period := func(id string) string {
		return `<Period duration="PT4S"><AdaptationSet mimeType="video/mp4"><Representation id="` + id + `"><SegmentTemplate media="$RepresentationID$-$Number$" duration="2"/></Representation></AdaptationSet></Period>`
	}
	p := readLists(t, map[string]string{"m.mpd": "<MPD>" + period("a") + period("b") + "</MPD>"})
	if l := p.find([]byte("/b-2")); l == nil || l.index != 3 || l.micros != 2e6 {
		t.Errorf("%+v", l)
	}
}

func TestLiveDASHByNumber(t *testing.T) {
	p := readLists(t, map[string]string{"l/m.mpd": `<MPD type="dynamic"><Period start="PT0S"><AdaptationSet mimeType="video/mp4"><Representation id="v"><SegmentTemplate media="$RepresentationID$-$Number$.m4s" timescale="3" duration="10" startNumber="5"/></Representation></AdaptationSet></Period></MPD>`})
	for path, want := range map[string]string{"/l/v-5.m4s": "#0=3333333", "/l/v-7.m4s": "#2=3333334", "/l/v-4.m4s": "", "/l/v-x.m4s": "", "/l/w-7.m4s": "", "/l/v-99999999999.m4s": ""} {
		got := ""
		if l := p.find([]byte(path)); l != nil {
			got = fmt.Sprintf("#%d=%d", l.index, l.micros)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestPlaylistsGoBeforeWhatPlayersSay(t *testing.T) {
	p := readLists(t, map[string]string{
		"film/m.m3u8":    "#EXTM3U\n#EXT-X-STREAM-INF:RESOLUTION=1280x720,CODECS=\"avc1,mp4a\"\n720p.m3u8\n",
		"film/720p.m3u8": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-KEY:METHOD=AES-128,URI=\"k.bin\"\n#EXTINF:4.0042,\nseg0.ts\n#EXT-X-ENDLIST",
		"film/f.m3u8":    "#EXTM3U\n#EXT-X-MAP:URI=\"f.mp4\",BYTERANGE=\"100@0\"\n#EXTINF:2.5,\n#EXT-X-BYTERANGE:1000@100\nf.mp4\n#EXTINF:3.5,\n#EXT-X-BYTERANGE:500\nf.mp4\n#EXT-X-ENDLIST",
		"film/d.mpd":     mpd(`<BaseURL>d.mp4</BaseURL>`),
	})
	o := Options{Tenant: "a", Playlists: p}
	tests := []struct {
		name   string
		change func(*Format)
		line   string
		want   string
	}{
		{"lengths to the microsecond, size and key", nil, said + " uri=/film/seg0.ts", "c/s video#3 4004200us 1280x720 avc1 hls-aes128 hls drm vod"},
		{"without CMCD", func(f *Format) { f.URLs = []URL{{Match: `^/(?P<object>\w+)/`}} }, "uri=/film/seg0.ts", "film/ muxed#3 4004200us 1280x720 avc1 hls-aes128 hls drm"},
		{"a pattern's format, and what its name says of DRM", func(f *Format) { f.URLs = []URL{{Match: `seg(?P<segment>\d+)`, Format: "hls-clear"}} },
			said + " uri=/film/seg0.ts", "c/s video#0 4004200us 1280x720 avc1 hls-clear hls vod"},
		{"a key", nil, "uri=/film/k.bin " + `cmcd_session=cid="c"`, "c/ manifest"},
		{"a later range of a file", nil, said + " uri=/film/seg0.ts status=206 range=bytes=5-", "c/s video 1280x720 avc1 hls-aes128 hls drm vod"},
		{"the first segment within a file", nil, said + " uri=/film/f.mp4 status=206 range=bytes=100-1099 bytes=1000", "c/s video#0 2500000us hls-clear hls clear vod"},
		{"the second", nil, said + " uri=/film/f.mp4 status=206 range=bytes=1100-1599 bytes=500", "c/s video#1 3500000us hls-clear hls clear vod"},
		{"both", nil, said + " uri=/film/f.mp4 status=206 range=bytes=100- bytes=1500", "c/s video#0 6000000us hls-clear hls clear vod"},
		{"both were asked for, and one was sent", nil, said + " uri=/film/f.mp4 status=206 range=bytes=100- bytes=1000", "c/s video#0 2500000us hls-clear hls clear vod"},
		{"the rest of the second", nil, said + " uri=/film/f.mp4 status=206 range=bytes=1200-1599 bytes=400", "c/s video hls-clear hls clear vod"},
		{"the initialization section within the file", nil, said + " uri=/film/f.mp4 status=206 range=bytes=0-99 bytes=100", "c/s init hls-clear hls clear vod"},
		{"the whole file", nil, said + " uri=/film/f.mp4 bytes=1600", "c/s video#0 6000000us hls-clear hls clear vod"},
		{"any range of a file of DASH on demand", nil, said + " uri=/film/d.mp4 status=206 range=bytes=5000-5999", "c/s video 4004000us 1280x720 avc1.64001f dash-clear dash clear vod"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, sum := readAll(t, nginx(t, tt.change), o, nginxLine(tt.line))
			if got := showAll(events); got != tt.want {
				t.Errorf("got  %s\nwant %s\n%v", got, tt.want, sum.Skipped)
			}
		})
	}
}

func TestPlaylistsThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{
		"a.m3u8": "seg.ts", "b.m3u8": "#EXTM3U\nseg.ts\n", "c.m3u8": "#EXTM3U\n#EXTINF:abc,\nx.ts", "d.m3u8": "#EXTM3U\n#EXTINF:86401,\nx.ts",
		"e.m3u8": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:-1\n", "f.m3u8": "#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:0@0\nx.ts", "g.m3u8": strings.Repeat("#", maxPlaylist+1),
		"h.m3u8": "#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:9223372036854775807@4611686018427387903\nx.ts",
		"a.mpd":  "", "b.mpd": "<html/>", "c.mpd": mpd(`<SegmentTemplate media="$Number$" timescale="0" duration="1"/>`), "d.mpd": mpd(`<SegmentTemplate media="$Number$" duration="x"/>`),
		"e.mpd": mpd(`<SegmentTemplate media="$Time$"><SegmentTimeline><S d="0"/></SegmentTimeline></SegmentTemplate>`), "f.mpd": strings.Repeat("<MPD>", 100),
		"g.mpd": mpd(`<SegmentTemplate media="$Time$"><SegmentTimeline><S t="4611686018427387903" d="4611686018427387903" r="3"/></SegmentTimeline></SegmentTemplate>`),
	} {
		p, err := ReadPlaylists(context.Background(), folder(map[string]string{name: text, "good.m3u8": "#EXTM3U\n#EXTINF:1,\ngood.ts\n"}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if p.Skipped[name] == nil || p.Read != 1 || p.find([]byte("/good.ts")) == nil {
			t.Errorf("%s: read %d, skipped %v", name, p.Read, p.Skipped)
		}
	}
}

func TestPlaylistsOfTooManySegments(t *testing.T) {
	for name, text := range map[string]string{
		"many.mpd":  mpd(`<SegmentTemplate media="$Number$" timescale="1000000" duration="1"/>`),
		"same.mpd":  mpd(`<SegmentTemplate media="same" timescale="1000000" duration="1"/>`),
		"time.mpd":  mpd(`<SegmentTemplate media="$Time$" timescale="1000000"><SegmentTimeline><S t="0" d="1" r="2147483647"/></SegmentTimeline></SegmentTemplate>`),
		"many.m3u8": "#EXTM3U\n" + strings.Repeat("#EXTINF:1,\n#EXT-X-BYTERANGE:1\nx\n", 30_000),
	} {
		p := &Playlists{files: map[string]*listed{}, limit: 20_000}
		read := p.addMPD
		if strings.HasSuffix(name, "m3u8") {
			read = p.addMedia
		}
		if err := read("/"+name, []byte(text)); !errors.Is(err, ErrTooManySegments) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzM3U8(f *testing.F) {
	f.Add(master)
	f.Add("#EXTM3U\n#EXT-X-MAP:URI=\"a.mp4\",BYTERANGE=\"100@0\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-PART:DURATION=1,URI=\"p\"\n#EXTINF:2,\n#EXT-X-BYTERANGE:1000@100\na.mp4\n#EXTINF:2,\nb\n")
	f.Fuzz(func(t *testing.T, text string) { fuzzList(t, "a/x.m3u8", text) })
}

func FuzzMPD(f *testing.F) {
	f.Add(mpd(`<SegmentTemplate media="$RepresentationID$/$Number%03d$.m4s" initialization="i" duration="4" startNumber="0"/>`))
	f.Add(mpd(`<SegmentTemplate media="$Time$"><SegmentTimeline><S t="5" d="5" r="-1"/><S t="9" d="1"/></SegmentTimeline></SegmentTemplate>`))
	f.Add(mpd(`<BaseURL>v.mp4</BaseURL><SegmentList duration="5"><SegmentURL mediaRange="100-199"/></SegmentList>`))
	f.Fuzz(func(t *testing.T, text string) { fuzzList(t, "a/x.mpd", text) })
}

func fuzzList(t *testing.T, name, text string) {
	p, err := ReadPlaylists(context.Background(), folder(map[string]string{name: text}))
	if err != nil && !errors.Is(err, ErrTooManySegments) {
		t.Fatal(err)
	} else if err != nil {
		return
	}
	for path, l := range p.files {
		last := int64(-1)
		for _, r := range l.ranges {
			if r.offset <= last || r.length <= 0 || r.micros < 0 || r.index < 0 {
				t.Errorf("%s: %+v", path, l.ranges)
			}
			last = r.offset
		}
		if l.micros < 0 || l.micros > maxSegmentMicros || l.index < 0 {
			t.Errorf("%s: %+v", path, l)
		}
	}
}
