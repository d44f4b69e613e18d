package sample

import (
	"fmt"
	"strings"
)

// device is a kind of device: its agent (with %d for a version), the family
// of formats it plays, and the short edge of the largest picture it asks for.
type device struct {
	text     string
	versions [2]int64
	family   string // apple, dash or any
	edge     int32
	weight   float64
}

const gecko = "AppleWebKit/537.36 (KHTML, like Gecko) "

var devices = []device{
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + gecko + "Chrome/%d.0.0.0 Safari/537.36", [2]int64{132, 141}, "dash", 1440, 15},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + gecko + "Chrome/%[1]d.0.0.0 Safari/537.36 Edg/%[1]d.0.0.0", [2]int64{135, 141}, "dash", 1440, 5},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0", [2]int64{128, 143}, "dash", 1080, 4},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.%d Safari/605.1.15", [2]int64{0, 6}, "apple", 1440, 7},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) " + gecko + "Chrome/%d.0.0.0 Safari/537.36", [2]int64{134, 141}, "dash", 1440, 4},
	{"Mozilla/5.0 (X11; Linux x86_64; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0", [2]int64{128, 143}, "dash", 1080, 1.5},
	{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " + gecko + "Chrome/%d.0.0.0 Safari/537.36", [2]int64{130, 139}, "dash", 1080, 1.5},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_%[1]d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.%[1]d Mobile/15E148 Safari/604.1", [2]int64{0, 6}, "apple", 1080, 12},
	{"AppleCoreMedia/1.0.0.21E%d (iPhone; U; CPU OS 17_4_1 like Mac OS X; en_us)", [2]int64{230, 237}, "apple", 1080, 4},
	{"AppleCoreMedia/1.0.0.21G%d (iPad; U; CPU OS 17_6_1 like Mac OS X; en_us)", [2]int64{80, 93}, "apple", 1080, 4},
	{"Mozilla/5.0 (Linux; Android 14; SM-S918B) " + gecko + "Chrome/%d.0.0.0 Mobile Safari/537.36", [2]int64{124, 141}, "dash", 1080, 6},
	{"Mozilla/5.0 (Linux; Android 10; K) " + gecko + "Chrome/%d.0.0.0 Mobile Safari/537.36", [2]int64{130, 141}, "dash", 720, 6},
	{"Dalvik/2.1.0 (Linux; U; Android 13; SM-A536B Build/TP1A.220624.%03d)", [2]int64{10, 21}, "dash", 720, 3},
	{"Mozilla/5.0 (Linux; Android 13; SM-T870) " + gecko + "Chrome/%d.0.0.0 Safari/537.36", [2]int64{118, 139}, "dash", 1080, 2},
	{"Mozilla/5.0 (SMART-TV; LINUX; Tizen %d.0) " + gecko + "94.0.4606.31/6.5 TV Safari/537.36", [2]int64{5, 8}, "any", 2160, 5},
	{"Mozilla/5.0 (Web0S; Linux/SmartTV) " + gecko + "Chrome/%d.0.4280.88 Safari/537.36 WebAppManager", [2]int64{79, 94}, "any", 2160, 4},
	{"Mozilla/5.0 (Linux; Android 9; BRAVIA 4K UR2 Build/PTT1.190515.001.S%d) " + gecko + "Chrome/88.0.4324.152 Safari/537.36", [2]int64{100, 112}, "dash", 2160, 3},
	{"Roku/DVP-12.%d (12.5.0.4174-29)", [2]int64{0, 5}, "any", 2160, 4},
	{"Mozilla/5.0 (Linux; Android 9; AFTKA Build/PS7%d; wv) " + gecko + "Version/4.0 Chrome/106.0.5249.128 Mobile Safari/537.36", [2]int64{600, 640}, "dash", 2160, 4},
	{"AppleCoreMedia/1.0.0.21L%d (Apple TV; U; CPU OS 17_4 like Mac OS X; en_us)", [2]int64{210, 230}, "apple", 2160, 4},
	{"Mozilla/5.0 (X11; Linux armv7l) " + gecko + "Chrome/90.0.4430.225 Safari/537.36 CrKey/1.56.50000%d DeviceType/Chromecast", [2]int64{0, 9}, "any", 1080, 2},
	{"Mozilla/5.0 (PlayStation; PlayStation 5/%d.00) AppleWebKit/605.1.15 (KHTML, like Gecko)", [2]int64{6, 9}, "dash", 2160, 1.5},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox Series X) " + gecko + "Chrome/%d.0.0.0 Safari/537.36 Edge/44.18363.8131", [2]int64{110, 119}, "dash", 2160, 1},
	{"", [2]int64{0, 0}, "any", 720, 0.5},
}

var deviceWeights = func() []float64 {
	w := make([]float64, len(devices))
	for i, d := range devices {
		w[i] = d.weight
	}
	return w
}()

func (v device) agent(d dice) string {
	if !strings.Contains(v.text, "%") {
		return v.text
	}
	return fmt.Sprintf(v.text, d.between(v.versions[0], v.versions[1]))
}

// machines fetch public metadata and watch nothing.
var machines = []string{
	"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
	"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
	"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
	"Go-http-client/2.0",
	"python-requests/2.32.3",
}

// encoders are the agents of servers that publish and transcode.
var encoders = []string{"example-ingest/2.4", "Lavf/60.16.100", "okhttp/4.12.0"}
