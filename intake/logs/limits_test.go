package logs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLinesOfTooManyFields(t *testing.T) {
	header := func(n int) string {
		return "#Fields: cs-uri-stem time" + strings.Repeat(" x", n-2) + "\n/film/720p/seg1.ts\t1740909600" + strings.Repeat("\t-", n-2)
	}
	f := preset(t, "cloudfront")
	o := Options{Tenant: "a", Node: "n"}
	if events, sum := readAll(t, f, o, header(maxW3CFields)); len(events) != 1 {
		t.Errorf("as many as may be: %+v", sum)
	}
	if events, sum := readAll(t, f, o, header(maxW3CFields+1)); len(events) != 0 || sum.Skipped[BadLine] != 1 {
		t.Errorf("one more: %+v", sum)
	}
}

func TestTheLongestLine(t *testing.T) {
	line := nginxLine("uri=/film/720p/seg1.ts x=")
	pad := func(n int) string {
		return strings.Replace(line, `"x":""`, `"x":"`+strings.Repeat("y", n-len(line))+`"`, 1)
	}
	for n, want := range map[int]int64{maxLine: 2, maxLine + 1: 1, maxLine + 100: 1, 3 * maxLine: 1} {
		for _, end := range []string{"\n", "\r\n", ""} {
			log := pad(n) + end
			if end != "" {
				log += line + end
			} else {
				log = line + "\n" + log
			}
			if _, sum := readAll(t, nginx(t, withLadder), tenantA, log); sum.Events != want || sum.Lines != 2 {
				t.Errorf("%d bytes, end %q: %+v", n, end, sum)
			}
		}
	}
}

func TestBadLinesAreNamedUpToABound(t *testing.T) {
	_, sum := readAll(t, nginx(t, nil), tenantA, strings.Repeat("x\n", 2*maxBadLines))
	if len(sum.Bad) != maxBadLines || sum.BadLines() != 2*maxBadLines {
		t.Errorf("%+v", sum)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	f := nginx(t, withLadder)
	m, err := newMapper(f, tenantA)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxTexts {
		m.request.path = fmt.Appendf(nil, "/film/720p/seg%d.ts", i)
		m.look()
		if m.match.url == nil || m.match.groups[groupSegment] != fmt.Sprint(i) {
			t.Fatalf("path %d: %+v", i, m.match)
		}
		if len(m.texts) > maxTexts || len(m.known) > maxKnownPaths {
			t.Fatalf("%d texts and %d paths are kept", len(m.texts), len(m.known))
		}
	}
	if m.string(make([]byte, maxTextBytes+1)); m.texts[string(make([]byte, maxTextBytes+1))] != "" {
		t.Error("a long text is kept")
	}
}

func TestFoldersOfTooManyPlaylists(t *testing.T) {
	dir := fstest.MapFS{}
	for i := range maxPlaylists + 1 {
		dir[fmt.Sprintf("%d.m3u8", i)] = &fstest.MapFile{}
	}
	if _, err := ReadPlaylists(context.Background(), dir); err == nil || !strings.Contains(err.Error(), "more than 100000 playlists") {
		t.Error(err)
	}
}

func TestTooManyLiveRepresentations(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<MPD type="dynamic"><Period><AdaptationSet><SegmentTemplate media="$RepresentationID$-$Number$" duration="2"/>`)
	for i := range maxTemplates + 1 {
		fmt.Fprintf(&b, `<Representation id="r%d"/>`, i)
	}
	b.WriteString(`</AdaptationSet></Period></MPD>`)
	p, err := ReadPlaylists(context.Background(), folder(map[string]string{"m.mpd": b.String()}))
	if err != nil || len(p.templates) != maxTemplates || p.Skipped["m.mpd"] == nil {
		t.Errorf("%d templates, %v, %v", len(p.templates), p.Skipped, err)
	}
}

func TestReadingPlaylistsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ReadPlaylists(ctx, folder(map[string]string{"a.m3u8": "#EXTM3U\n"})); err != context.Canceled {
		t.Error(err)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for _, o := range []Options{{Tenant: "a/b"}, {Tenant: "a", Node: strings.Repeat("n", 1025)}} {
		if _, _, err := tryRead(nginx(t, nil), o, ""); err == nil {
			t.Errorf("%.20v: no error", o)
		}
	}
}

func TestAClosedReaderReadsNoMore(t *testing.T) {
	log := nginxLine(said)
	r, err := Open(nginx(t, nil), tenantA, "x", strings.NewReader(log), int64(len(log)))
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if n, err := r.Next(nil); n != 0 || err != nil {
		t.Errorf("no room: %d, %v", n, err)
	}
}

func TestPathsThatNoServerTakes(t *testing.T) {
	f := nginx(t, func(f *Format) { f.URLs = []URL{{Match: `^/(?P<object>\w+)/`}} })
	line := func(n int) string { return nginxLine("uri=/film/" + strings.Repeat("x", n-len("/film/"))) }
	events, sum := readAll(t, f, tenantA, line(maxPath)+"\n"+line(maxPath+1))
	if len(events) != 1 || sum.Skipped[NotMedia] != 1 {
		t.Errorf("%d events, %+v", len(events), sum)
	}
	m, err := newMapper(f, tenantA)
	if err != nil {
		t.Fatal(err)
	}
	m.request.path = []byte("/film/" + strings.Repeat("x", maxTextBytes))
	if m.look(); m.match.url == nil || len(m.known) != 0 {
		t.Error("what patterns say of a long path is kept")
	}
}
