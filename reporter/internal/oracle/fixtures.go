package oracle

// agents are user agents of the real world, one per kind of device that the
// platform and OS columns tell apart.
var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Linux; Android 12; BRAVIA 4K VH2 Build/STT2.220929.001) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.5735.196 Safari/537.36",
	"Mozilla/5.0 (Linux; Android 9; AFTKA Build/PS7624) AppleWebKit/537.36 (KHTML, like Gecko) Silk/119.3.2 like Chrome/119.0.6045.193 Safari/537.36",
	"Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.5) AppleWebKit/537.36 (KHTML, like Gecko) 85.0.4183.93/6.5 TV Safari/537.36",
	"Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/87.0.4280.88 Safari/537.36 WebAppManager",
	"Roku/DVP-12.5 (12.5.0.4178-46)",
	"Mozilla/5.0 (PlayStation; PlayStation 5/6.50) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Safari/605.1.15",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox Series X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/48.0.2564.82 Safari/537.36 Edge/20.02",
	"AppleCoreMedia/1.0.0.21K79 (Apple TV; U; CPU OS 17_2 like Mac OS X; en_us)",
	"Mozilla/5.0 (Linux; Android 10.0; Build/NHG47K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 CrKey/1.56.500000 DeviceType/Chromecast",
	"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
	"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
	"curl/8.5.0",
	"MyPlayer/2.1.0 (Linux;Android 13) ExoPlayerLib/2.18.7",
	"VLC/3.0.20 LibVLC/3.0.20",
	"=cmd|' /C calc'!A0",
	"something nobody has heard of",
}

// networks are the geo database: some without a city, some without anything
// but a country.
var networks = []Geo{
	{"81.2.69.0/24", "GB", "England", "London"},
	{"81.2.70.0/24", "GB", "", ""},
	{"89.160.20.0/24", "SE", "Östergötland County", "Linköping"},
	{"91.64.0.0/14", "DE", "Land Berlin", "Berlin"},
	{"93.184.0.0/16", "DE", "", ""},
	{"2.125.160.0/20", "GB", "Scotland", ""},
	{"175.16.199.0/24", "CN", "Jilin Sheng", "Changchun"},
	{"216.160.83.0/24", "US", "Washington", "Milton"},
	{"67.43.156.0/24", "BT", "", ""},
	{"149.101.100.0/28", "US", "", ""},
	{"12.81.92.0/22", "US", "California", ""},
	{"190.112.0.0/16", "CO", "Bogota D.C.", "Bogotá"},
	{"133.11.0.0/16", "JP", "Tokyo", "Bunkyō-ku"},
	{"41.202.0.0/17", "KE", "Nairobi Province", "Nairobi"},
	{"1.179.112.0/20", "AU", "", "Sydney"},
	{"2a02:8100::/26", "DE", "Hesse", "Frankfurt am Main"},
	{"2a02:d180::/29", "AT", "", ""},
	{"2a00:23c0::/27", "GB", "England", "Leeds"},
	{"2607:f8b0::/32", "US", "", "Mountain View"},
	{"240e:0:100::/40", "CN", "", ""},
}

// addresses of clients, in the networks above and outside of them.
var addresses = []string{
	"81.2.69.142", "81.2.69.160", "81.2.70.7", "89.160.20.112", "91.66.3.9", "91.67.255.255", "91.68.0.0",
	"93.184.216.34", "2.125.160.216", "2.125.175.1", "175.16.199.3", "216.160.83.56", "67.43.156.1", "149.101.100.15",
	"149.101.100.16", "12.81.92.1", "190.112.5.5", "133.11.93.1", "41.202.4.4", "1.179.112.9", "8.8.8.8", "9.9.9.9",
	"2a02:8100:1::7", "2A02:8100:ABCD::1", "2a02:d180:44::5", "2a00:23c0:1::2", "2607:f8b0:4005::200e",
	"240e:0:100::1", "2c0f:fb50::1", "", "unknown", "=1+1",
}

// places are what nodes know of a client: country, region, city.
var places = [][3]string{
	{"", "", ""}, {"GB", "England", "Slough"}, {"DE", "Land Berlin", "Potsdam"}, {"DE", "=Bayern", "München"}, {"BT", "Thimphu", "Thimphu"},
	{"AT", "Vienna", ""}, {"AT", "", "@Wien"}, {"US", "-Oregon", "+Bend"}, {"FR", "", ""}, {"", "Nowhere", "Atlantis"},
	{"CN", "Hainan", "\tHaikou"},
}

var referrers = []string{
	"", "", "https://films.example/", "https://films.example/watch?v=1&token=abc&t=9", "https://films.example/?Token=abc#top",
	"https://films.example/a?%74oken=x&KEY=2&keys=3", "https://films.example/a?access_token=1&sig=2&signature=3#s?token=4",
	"https://films.example/a?q=a,b&password=p", `https://films.example/"quoted"?auth=1&x=%zz`, "=HYPERLINK(\"x\")", "+49 170", "-x?key", "@home",
	"\ttabbed", "https://films.example/a?authorization=Bearer%20x&b", "app://player", "https://films.example/?a=1&&token=x&b=%74oken",
	"https://films.example/watch?tok%65n=1", "https://films.example/über?z=ü&auth",
}

var emails = []string{"", "", "ada@example.com", "-grace@example.com", "@handle", "+49170@example.com", "=1@example.com"}

var identities = []string{"", "", "iusrAda", "0xA1b2C3", "=ident", "@ident", "-ident", "+4917012345", "\tident", "ident,\"x\""}

var titles = []string{
	"The Big Film", "Comma, the Film", `The "Quoted" Film`, "Two\nLines", "Carriage\rReturn", "Both\r\nof Them", "=SUM(A1:A9)",
	"+Plus", "-Minus", "@At", "\tTab", "\rLeading return", "Фильм", "映画、東京", "فيلم", " leading blank", "trailing blank ", "'quote first",
	"emoji 🎬", "a;b", "null", "",
}

// playoutFormats are formats in usage: clear ones, DRM ones, odd ones.
var playoutFormats = []string{
	"hls-clear", "hls-clear", "dash-clear", "dash-widevine", "hls-fairplay", "hls-sample-aes", "hls-aes128", "hls-playready-cenc",
	"dash-audio-clear", "hls-widevine-audio-clear", "hls-aes-audio-clear", "dash-widevine-clear", "HLS-Clear", "DASH-WideVine",
	"hls", "rtmp", "", "drm", "dash-cenc", "hls-unknown", "hls-", "-clear", "smooth-drm-x", "=hls-clear", "srt-Audio-Clear",
}

// A size of a rendition, and whether a usual client would play it.
type size struct{ width, height int64 }

var sizes = []size{
	{640, 360}, {854, 480}, {960, 540}, {1280, 720}, {1920, 1080}, {2560, 1440}, {3840, 2160}, {4096, 2160},
	{360, 640}, {720, 1280}, {1080, 1920}, {2160, 3840}, {3840, 1600}, {1920, 800}, {1280, 536}, {1279, 719}, {1280, 100},
	{720, 720}, {719, 719}, {3199, 1799}, {3200, 10}, {1800, 1800}, {1799, 1799}, {1919, 1079}, {1080, 1080}, {256, 144}, {1, 1},
}

var segmentLengths = []int64{2_002_000, 2_005_333, 2_005_334, 4_000_000, 6_006_000, 6_000_000, 1, 999_999, 10_010_000}

var videoCodecs = []string{"h264", "H264", "hevc", "av1", "AVC1.640028", "", "mpeg2video", "prores ks", "ProRes_422", "x/y", "vp9", "a-very-long-codec-name-that-goes-past-it", "exactly-32-characters-codec-name"}

var audioCodecs = []string{"aac", "AAC", "mp4a.40.2", "ac-3", "", "E-AC-3 Atmos", "opus", "кодек"}

var regions = []string{"eu-west-north", "eu-west-south", "us-east-1", "ap-south", ""}
