package accounting

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

func TestTiersGoByTheLongAndTheShortEdge(t *testing.T) {
	for _, tt := range []struct {
		width, height    int32
		industry, fabric Tier
	}{
		{3840, 2160, TierHi, TierHi}, {2160, 3840, TierHi, TierHi}, {3840, 1600, TierHi, TierHi}, {3200, 1, TierHi, TierHi}, {1, 1800, TierMd, TierLo},
		{1800, 1800, TierHi, TierHi}, {3199, 1799, TierMd, TierMd}, {2560, 1440, TierMd, TierMd}, {1920, 800, TierMd, TierMd}, {1280, 720, TierMd, TierLo},
		{720, 1280, TierMd, TierLo}, {1279, 719, TierLo, TierLo}, {1919, 1079, TierMd, TierLo}, {640, 360, TierLo, TierLo},
		{0, 2160, TierNone, TierNone}, {3840, 0, TierNone, TierNone}, {0, 0, TierNone, TierNone},
	} {
		if got := TiersIndustry.Of(tt.width, tt.height); got != tt.industry {
			t.Errorf("industry: %dx%d = %d, want %d", tt.width, tt.height, got, tt.industry)
		}
		if got := TiersFabric.Of(tt.width, tt.height); got != tt.fabric {
			t.Errorf("fabric: %dx%d = %d, want %d", tt.width, tt.height, got, tt.fabric)
		}
	}
}

func TestClearAndDRMByFormat(t *testing.T) {
	for format, want := range map[string]drmClass{
		"": classClear, "hls": classClear, "hls-clear": classClear, "HLS-Clear": classClear, "dash-audio-clear": classClear,
		"dash-widevine": classDRM, "hls-fairplay": classDRM, "DASH-PlayReady": classDRM, "hls-aes128": classDRM, "hls-sample-aes": classDRM, "smooth-drm": classDRM,
		"drm": classDRM, "dash-widevine-audio-clear": classDRMAudioClear, "dash-widevine-clear": classDRM, "hls-": classUnrecognised, "dash-cenc": classUnrecognised,
	} {
		if got := classifyFormat(format); got != want {
			t.Errorf("%q is %d, want %d", format, got, want)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for codec, want := range map[string]string{"": "unknown", "H264": "h264", "avc1.64001f": "avc1.64001f", "x y": "other", "é": "other",
		"12345678901234567890123456789012": "12345678901234567890123456789012", "123456789012345678901234567890123": "other"} {
		if got := codecName(codec); got != want {
			t.Errorf("%q is %q, want %q", codec, got, want)
		}
	}
}

func TestReferrersLoseSecrets(t *testing.T) {
	for ref, want := range map[string]string{
		"":                                  "",
		"https://a.example/?token=1":        "https://a.example/",
		"https://a.example/?a=1&TOKEN=2&b":  "https://a.example/?a=1&b",
		"https://a.example/?tokens=1":       "https://a.example/?tokens=1",
		"https://a.example/?to%6ben=1#x":    "https://a.example/#x",
		"https://a.example/#s?token=4":      "https://a.example/#s?token=4",
		"https://a.example/?a=1&&sig=x":     "https://a.example/?a=1&",
		"https://a.example/?key&password=p": "https://a.example/",
		"/?":                                "/?",
	} {
		if got := cleanReferrer(ref); got != want {
			t.Errorf("%q became %q, want %q", ref, got, want)
		}
	}
}

func TestVersionHashesNameTheirObject(t *testing.T) {
	raw := make([]byte, 32, 64)
	raw = append(raw, 0x80, 0x01) // a size of 128
	raw = append(raw, "object-bytes"...)
	hash := "hq__" + encodeBase58(raw)
	if got, want := ObjectOfVersion(hash), "iq__"+encodeBase58([]byte("object-bytes")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{"", "hq__", "hq__0OIl", "hash", "hq__" + encodeBase58(raw[:33]), "hq__" + encodeBase58(raw[:34]), "iq__" + encodeBase58(raw)} {
		if got := ObjectOfVersion(bad); got != "" {
			t.Errorf("%q names %q, want nothing", bad, got)
		}
	}
}

func TestRulesSurviveTheirEncoding(t *testing.T) {
	want := DefaultRules()
	want.Idle.WithoutID = 90 * time.Second
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Rules
	if err := json.Unmarshal(raw, &got); err != nil || got.Digest() != want.Digest() {
		t.Errorf("%s came back as %+v, %v", raw, got, err)
	}
}

func TestBoundsPutEveryHourInOnePlace(t *testing.T) {
	b := NewBounds(october, october.Start().Add(36*time.Hour+20*time.Minute+500*time.Millisecond), DefaultIdle)
	if got := time.Duration(b.AsOf - b.From); got != 36*time.Hour+20*time.Minute {
		t.Errorf("the as-of was not cut to the second: %s", got)
	}
	from := schemas.HourOf(b.From)
	for hour, want := range map[schemas.Hour]place{from - 1: placeBefore, from: placeIn, from + 36: placeIn, from + 37: placeAfter, from + 31*24 - 1: placeAfter, from + 31*24: placeBeyond} {
		if got := b.place(hour); got != want {
			t.Errorf("hour %d is in place %d, want %d", hour-from, got, want)
		}
	}
	if hour, ok := b.CutHour(); !ok || hour != from+36 {
		t.Errorf("the as-of divides hour %d (%t), want 36", hour-from, ok)
	}
	onTheHour := NewBounds(october, october.Start().Add(36*time.Hour), DefaultIdle)
	if _, ok := onTheHour.CutHour(); ok {
		t.Error("an as-of on the hour divides one")
	}
}
