package sample

import (
	"fmt"
	"strings"
)

// How an object is used in the month, beside the many that are simply played.
type usage int

const (
	played usage = iota
	poked        // only its public metadata is read
	idle         // never touched
)

// object is a content object and its life in the month.
type object struct {
	id, version, name, title, titleID, kind, asset string
	business, index                                int
	usage                                          usage
	storage                                        int64 // bytes at the start of the month
	duration                                       int64 // microseconds
	segNum, segDen                                 int64 // length of a video segment in seconds, as a fraction
	ladder                                         []rendition
	formats                                        []string
	muxed                                          bool
	videoCodec, audioCodec, resolution             string
	added, removed                                 int // hours of the month; -1 and 1<<20: before and after it
	live                                           []broadcast
	digest, idBytes                                []byte
}

// rendition is one quality of a ladder.
type rendition struct {
	codec         string
	width, height int32
	kbps          int64
}

// edge is the shorter side, by which devices choose.
func (r rendition) edge() int32 { return min(r.width, r.height) }

// ladderOf makes a ladder for a shape: width and height of its largest
// rendition, scaled down to each short edge in turn.
func ladderOf(width, height int32, codec string) []rendition {
	rungs := []struct {
		edge int32
		kbps int64
	}{{360, 800}, {540, 1800}, {720, 3200}, {1080, 6000}, {1440, 10000}, {2160, 16500}}
	long := max(width, height)
	var out []rendition
	for _, r := range rungs {
		scale := int64(r.edge) * 16 / 9 // the long side that goes with the rung in 16:9
		if min(width, height) != height || width*9 < height*16 {
			scale = int64(r.edge) * int64(long) / int64(min(width, height))
		}
		if scale > int64(long) {
			break
		}
		w, h := scale, scale*int64(height)/int64(width)
		if height > width {
			w, h = scale*int64(width)/int64(height), scale
		}
		out = append(out, rendition{codec, int32(w) &^ 1, int32(h) &^ 1, r.kbps})
	}
	return out
}

// shapes of pictures: 16:9, scope, portrait, and the 4:3 of old recordings.
var shapes = [][2]int32{{3840, 2160}, {3840, 1608}, {2160, 3840}, {1440, 1080}, {1920, 1080}, {1920, 804}, {1080, 1920}}

var segmentLengths = [][2]int64{{1001, 500}, {752, 375}, {1001, 250}, {1001, 125}, {6, 1}, {48, 5}, {10, 1}}

// makeObjects invents the objects of a business.
func (m *Month) makeObjects(b int) []*object {
	biz := businesses[b]
	var all []*object
	for i := range biz.objects {
		d := roll(m.seed, 21, uint64(b), uint64(i))
		o := &object{business: b, index: i, added: -1, removed: 1 << 20}
		o.idBytes = bytesOf(biz.ID, m.seed, uint64(i))
		o.id = objectID(o.idBytes)
		o.digest = bytesOf("version "+biz.ID, m.seed, uint64(i))
		o.version = versionHash(o.idBytes, o.digest)
		o.life(d, m.hours)
		o.content(d, b)
		all = append(all, o)
	}
	if b == 1 {
		all = append(all, m.broadcasts()...)
	}
	return all
}

// life decides what happens to an object in the month.
func (o *object) life(d dice, hours int) {
	switch i := o.index; {
	case i%17 == 11:
		o.usage = poked
	case i%19 == 13:
		o.usage = idle
	case i%13 == 5:
		o.added = int(d.between(24, int64(hours)*3/4))
	case i%23 == 7:
		o.removed = int(d.between(int64(hours)/3, int64(hours)-48))
	}
}

// content invents what an object is and how it is encoded.
func (o *object) content(d dice, b int) {
	titles(o, d, b)
	shape, codec := shapes[d.choose([]float64{5, 4, 0, 0, 3, 2, 0})], "hvc1.2.4.L153.B0"
	o.formats = []string{"hls-fairplay", "dash-widevine", "hls-aes128"}
	seg := segmentLengths[d.choose([]float64{1, 0, 2, 6, 2, 0, 5})]
	switch b {
	case 0:
		o.duration = d.between(68*60, 148*60)*1_000_000 + d.between(0, 999)*1000
		o.audioCodec = "mp4a.40.2"
		if o.kind == "trailer" {
			o.duration, o.formats = d.between(55, 170)*1_000_000, []string{"hls-clear", "dash-clear"}
		}
	case 1:
		shape = shapes[d.choose([]float64{1, 0, 3, 0, 6, 0, 2})]
		codec, o.audioCodec = "avc1.640028", "mp4a.40.2"
		o.duration = d.between(45, 900)*1_000_000 + d.between(0, 999)*1000
		o.formats = []string{"hls-clear", "dash-clear", "dash-widevine-audio-clear"}
		seg = segmentLengths[d.choose([]float64{0, 1, 2, 2, 4, 4, 0})]
	default:
		shape = shapes[d.choose([]float64{0, 0, 0, 4, 5, 0, 2})]
		codec, o.audioCodec = "avc1.4d401f", "mp4a.40.2"
		o.duration = d.between(60, 35*60) * 1_000_000
		o.muxed = o.index%3 != 0
		o.formats = []string{"hls-clear", "dash-clear"}
		seg = segmentLengths[d.choose([]float64{0, 0, 1, 0, 2, 2, 5})]
	}
	o.videoCodec, o.segNum, o.segDen = codec, seg[0], seg[1]
	o.ladder = ladderOf(shape[0], shape[1], codec)
	o.resolution = fmt.Sprintf("%dx%d", shape[0], shape[1])
	seconds := o.duration / 1_000_000
	o.storage = d.about(seconds*(18_000_000+int64(shape[0])*6_000)/8, 0.3) // the master
	for _, r := range o.ladder {
		o.storage += seconds * r.kbps * 125
	}
}

// boundary is where video segment i begins, in microseconds: exact multiples
// of a length such as 752/375 s, cut to whole microseconds.
func (o *object) boundary(i int64) int64 { return i * o.segNum * 1_000_000 / o.segDen }

// audioBoundary is where audio segment i begins: 94 frames of AAC at 48 kHz,
// times what comes near to the length of a video segment.
func (o *object) audioBoundary(i int64) int64 {
	times := max(1, (2*o.segNum*375/(o.segDen*752)+1)/2)
	return i * times * 752 * 1_000_000 / 375
}

func (o *object) there(hour int) bool { return hour > o.added && hour < o.removed }

// storageAt is the size of the object in an hour: it grows as metadata,
// files and further renditions are added.
func (o *object) storageAt(hour int) int64 {
	days := int64(hour / 24)
	switch o.index % 5 {
	case 0:
		return o.storage + days*(o.storage/200)
	case 1:
		return o.storage + days*48_127
	}
	return o.storage
}

// titles names an object. Some names are there to be awkward.
func titles(o *object, d dice, b int) {
	if t, ok := awkward[[2]int{b, o.index}]; ok {
		o.title, o.name = t, strings.ToLower(t)
	} else {
		o.title = fmt.Sprintf("%s %s", pick(d, adjectives[b]), pick(d, nouns[b]))
		o.name = fmt.Sprintf("%s - %s %03d", businesses[b].Name, o.title, o.index)
	}
	o.asset = "primary"
	switch b {
	case 0:
		o.kind, o.titleID = "feature", fmt.Sprintf("LFL-%05d", 10000+o.index*7)
		if o.index%4 == 3 {
			o.kind, o.asset, o.title = "trailer", "clip", o.title+" (trailer)"
		}
	case 1:
		o.kind, o.asset, o.titleID = "clip", "clip", fmt.Sprintf("TSN/%d", 700+o.index)
	default:
		o.kind = pick(d, []string{"documentary", "lecture", "recording"})
		if o.index%9 == 0 {
			o.title = "" // only the object's name is known
		}
	}
}

var awkward = map[[2]int]string{
	{0, 2}:  `The "Last" Reel, Restored`,
	{0, 6}:  "Ночной фонарь",
	{0, 9}:  "夜の灯台",
	{2, 1}:  "-273 °C: The Cold Gallery",
	{2, 4}:  "=Equals: A History of a Sign",
	{2, 10}: "Vermeer,\nAnd After",
}

var adjectives = [3][]string{
	{"Silent", "Crimson", "Winter", "Paper", "Hollow", "Distant", "Golden", "Broken", "Northern", "Velvet", "Second", "Blue"},
	{"Best of", "Highlights:", "Inside", "Ten Minutes of", "Road to", "Slow Motion:", "Fans at", "Analysis:"},
	{"Letters from", "The Art of", "A Walk through", "Restoring", "Voices of", "The Making of", "Maps of", "Sounds of"},
}

var nouns = [3][]string{
	{"Harbour", "Lantern", "Orchard", "Witness", "Meridian", "Carousel", "Garden", "Station", "River", "Theorem", "Summer", "Horizon"},
	{"Round Nine", "the Derby", "the Relay", "Northport United", "the Sprint Finals", "Lakeside Rovers", "the Half Marathon", "the Quarter Final"},
	{"the Silk Road", "Old Observatories", "Glass", "the Lost Harbour", "Printing", "the Deep Sea", "Bronze", "the Tide Mills", "Flight"},
}
