package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// A title is what ffmpeg makes of test pictures and a tone: several sizes of video, and
// audio apart from them.
type title struct {
	object   string
	locked   bool // with AES-128
	segments int  // as the catalog says; 0: it does not, and the length has to do
	video    []rendition
	audio    rendition
}

// A rendition is one folder of segments. Its segments' lengths are no whole milliseconds,
// and the last one is shorter than the others.
type rendition struct {
	name          string
	width, height int
	tier          string
	bandwidth     int      // as the master playlist says
	codec         string   // as the master playlist says
	args          []string // of ffmpeg
}

// playSeconds is how long the titles are.
const playSeconds = "20.3"

var audioRendition = rendition{name: "audio", codec: "mp4a.40.2",
	args: []string{"-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-c:a", "aac", "-b:a", "48k", "-hls_time", "2"}}

// titles are one in the clear and one that is encrypted, in the two containers that HLS has.
var titles = []title{
	{object: "iq__clear", audio: audioRendition, video: []rendition{
		video("360p", 640, 360, "lo", 400_000, "avc1.42c01e", "testsrc", "24000/1001", 47), // 1.960291666… s
		video("720p", 1280, 720, "md", 1_500_000, "avc1.42c01f", "testsrc", "24000/1001", 47),
		video("2160p", 3840, 2160, "hi", 9_000_000, "avc1.42c033", "smptehdbars", "120000/47047", 5), // as long as the others
	}},
	{object: "iq__locked", locked: true, segments: 10, audio: audioRendition, video: []rendition{
		video("360p", 640, 360, "lo", 400_000, "avc1.42c01e", "testsrc", "30000/1001", 61), // 2.035366… s
		video("720p", 1280, 720, "md", 1_500_000, "avc1.42c01f", "testsrc", "30000/1001", 61),
	}},
}

// video is a rendition whose every segment is one group of pictures.
func video(name string, width, height int, tier string, bandwidth int, codec, source, rate string, group int) rendition {
	frames := fmt.Sprint(group)
	return rendition{name: name, width: width, height: height, tier: tier, bandwidth: bandwidth, codec: codec, args: []string{
		"-f", "lavfi", "-i", fmt.Sprintf("%s=size=%dx%d:rate=%s", source, width, height, rate),
		"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-crf", "35",
		"-g", frames, "-keyint_min", frames, "-sc_threshold", "0", "-hls_time", "0.5"}}
}

// makeTitles writes the titles below root/media, and the key below root/keys.
func makeTitles(t *testing.T, root string) {
	t.Helper()
	keys := filepath.Join(root, "keys")
	mustMkdir(t, keys)
	keyInfo := filepath.Join(t.TempDir(), "key.info")
	key := filepath.Join(keys, "locked.key")
	secret := make([]byte, 16)
	rand.Read(secret)
	mustWrite(t, key, secret)
	mustWrite(t, keyInfo, []byte("/keys/locked.key\n"+key+"\n"))
	for _, title := range titles {
		for _, r := range append(title.video, title.audio) {
			dir := filepath.Join(root, "media", title.object, r.name)
			mustMkdir(t, dir)
			args := []string{"-hide_banner", "-loglevel", "error", "-nostdin"}
			args = append(args, r.args...)
			args = append(args, "-t", playSeconds, "-f", "hls", "-hls_list_size", "0", "-hls_playlist_type", "vod")
			if title.locked {
				args = append(args, "-hls_key_info_file", keyInfo, "-hls_segment_filename", filepath.Join(dir, "%d.ts"))
			} else {
				args = append(args, "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", filepath.Join(dir, "%d.m4s"))
			}
			if out, err := exec.Command("ffmpeg", append(args, filepath.Join(dir, "index.m3u8"))...).CombinedOutput(); err != nil {
				t.Fatalf("ffmpeg for %s/%s: %v\n%s", title.object, r.name, err, out)
			}
		}
		mustWrite(t, filepath.Join(root, "media", title.object, "master.m3u8"), title.master())
	}
}

// master is the title's master playlist.
func (t title) master() []byte {
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n")
	fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"tone\",NAME=\"Tone\",DEFAULT=YES,AUTOSELECT=YES,URI=\"%s/index.m3u8\"\n", t.audio.name)
	for _, r := range t.video {
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,RESOLUTION=%dx%d,CODECS=\"%s,%s\",AUDIO=\"tone\"\n%s/index.m3u8\n",
			r.bandwidth, r.width, r.height, r.codec, t.audio.codec, r.name)
	}
	return b.Bytes()
}

// rendition finds the title's rendition of that name.
func (t title) rendition(name string) (rendition, bool) {
	for _, r := range append(t.video, t.audio) {
		if r.name == name {
			return r, true
		}
	}
	return rendition{}, false
}

// A segmentFile is what a playlist and the disk say of a segment.
type segmentFile struct{ micros, bytes int64 }

// readSegments reads what playlists below root name, by the segments' paths from root.
func readSegments(t *testing.T, root string) map[string]segmentFile {
	t.Helper()
	segments := make(map[string]segmentFile)
	for _, title := range titles {
		for _, r := range append(title.video, title.audio) {
			dir := path.Join("media", title.object, r.name)
			before := len(segments)
			readPlaylist(t, root, dir, segments)
			if n := len(segments) - before; n < 9 {
				t.Fatalf("%s has %d segments: ffmpeg did not cut where it should", dir, n)
			}
		}
	}
	return segments
}

func readPlaylist(t *testing.T, root, dir string, segments map[string]segmentFile) {
	t.Helper()
	below := filepath.Join(root, filepath.FromSlash(dir))
	text, err := os.ReadFile(filepath.Join(below, "index.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	var next segmentFile
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if length, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			length, _, _ = strings.Cut(length, ",")
			next.micros = playedMicros(t, length)
		} else if line != "" && line[0] != '#' {
			info, err := os.Stat(filepath.Join(below, line))
			if err != nil {
				t.Fatal(err)
			}
			next.bytes = info.Size()
			segments[path.Join(dir, line)] = next
		}
	}
}

// playedMicros reads decimal seconds that come out at whole microseconds.
func playedMicros(t *testing.T, text string) int64 {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q are no seconds", text)
	}
	r.Mul(r, big.NewRat(1_000_000, 1))
	if !r.IsInt() || !r.Num().IsInt64() {
		t.Fatalf("%s s are no whole microseconds", text)
	}
	return r.Num().Int64()
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func mustWrite(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
