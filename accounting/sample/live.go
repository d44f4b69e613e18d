package sample

import "fmt"

// broadcast is when a live object is on the air, in seconds of the month.
type broadcast struct{ from, to int64 }

// broadcasts are the live objects of the sports network: matches of the
// weekends, a talk show on Wednesdays, a channel that is always on, and a
// camera whose server reports whole sessions.
func (m *Month) broadcasts() []*object {
	shows := []struct {
		name          string
		days          []int // of the week, Sunday is 0
		hour, minutes int64
	}{
		{"Saturday Match", []int{6}, 14, 112},
		{"Saturday Late Match", []int{6}, 18, 118},
		{"Sunday Match", []int{0}, 16, 112},
		{"Wednesday Round Table", []int{3}, 19, 60},
		{"Touchline 24", nil, 0, 0},
		{"Pitch Camera", nil, 0, 0},
	}
	var all []*object
	for i, s := range shows {
		o := &object{business: 1, index: 500 + i, added: -1, removed: 1 << 20, kind: "channel", asset: "live"}
		o.idBytes = bytesOf("live "+s.name, m.seed)
		o.id, o.digest = objectID(o.idBytes), bytesOf("live version "+s.name, m.seed)
		o.version = versionHash(o.idBytes, o.digest)
		o.title, o.name, o.titleID = s.name, "Live: "+s.name, fmt.Sprintf("TSN/L%d", i+1)
		o.videoCodec, o.audioCodec, o.resolution = "avc1.640028", "mp4a.40.2", "1920x1080"
		o.ladder = ladderOf(1920, 1080, o.videoCodec)
		o.segNum, o.segDen = 8, 1
		o.formats = []string{"hls-clear", "dash-widevine", "hls-fairplay"}
		o.storage = 41_000_000 + int64(i)*977
		if s.name == cameraName {
			o.id, o.version = "live/pitch-camera", ""
		}
		o.live = m.airtimes(s.days, s.hour*3600, s.minutes*60)
		all = append(all, o)
	}
	return all
}

const cameraName = "Pitch Camera"

// airtimes lists the broadcasts on days of the week; no days is always.
func (m *Month) airtimes(days []int, at, length int64) []broadcast {
	if days == nil {
		return []broadcast{{0, int64(m.hours) * 3600}}
	}
	var all []broadcast
	for day := range m.hours / 24 {
		for _, d := range days {
			if (m.weekday+day)%7 == d {
				from := int64(day)*86400 + at
				all = append(all, broadcast{from, from + length})
			}
		}
	}
	return all
}

// onAir is the broadcast at a second of the month, or nil.
func (o *object) onAir(second int64) *broadcast {
	for i := range o.live {
		if b := &o.live[i]; second >= b.from && second < b.to {
			return b
		}
	}
	return nil
}

// bigMatch tells whether a match begins or runs in an hour.
func (m *Month) bigMatch(hour int) *object {
	for _, o := range m.objects[1][businesses[1].objects:] {
		if len(o.live) > 1 && (o.onAir(int64(hour)*3600) != nil || o.onAir(int64(hour)*3600+1800) != nil) {
			return o
		}
	}
	return nil
}
