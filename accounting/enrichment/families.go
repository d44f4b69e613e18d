package enrichment

import (
	"regexp"
	"strings"
)

// tableVersion counts changes of the code that reads these tables; raise it
// with every change that can change a result, so that the digest changes.
const tableVersion = 1

// families maps the parser's operating systems to ours (SPEC 5). A family that is not listed
// is `other`. Android and iOS need a second look, see [general].
var families = []struct{ family, platform, os string }{
	{"Windows", "desktop", "Windows"},
	{"Windows Phone", "phone", "Windows"},
	{"Windows Mobile", "phone", "Windows"},
	{"Mac OS X", "desktop", "macOS"},
	{"Mac OS", "desktop", "macOS"},
	{"iOS", "phone", "iOS"},
	{"ATV OS X", "settop", "tvOS"},
	{"tvOS", "settop", "tvOS"},
	{"Android", "phone", "Android"},
	{"GoogleTV", "tv", "Android TV"},
	{"Chrome OS", "desktop", "ChromeOS"},
	{"Chromecast Android", "settop", "Android TV"},
	{"Chromecast Linux", "settop", "other"},
	{"FireHbbTV", "tv", "Fire OS"},
	{"Tizen", "tv", "Tizen"},
	{"webOS", "tv", "webOS"},
	{"Web0S", "tv", "webOS"},
	{"LG", "tv", "other"},
	{"LGE", "tv", "other"},
	{"Samsung", "tv", "other"},
	{"Philips", "tv", "other"},
	{"WebTV", "settop", "other"},
	{"Linux", "desktop", "Linux"},
	{"Ubuntu", "desktop", "Linux"},
	{"Kubuntu", "desktop", "Linux"},
	{"Lubuntu", "desktop", "Linux"},
	{"Debian", "desktop", "Linux"},
	{"Fedora", "desktop", "Linux"},
	{"Red Hat", "desktop", "Linux"},
	{"CentOS", "desktop", "Linux"},
	{"Gentoo", "desktop", "Linux"},
	{"Arch Linux", "desktop", "Linux"},
	{"Linux Mint", "desktop", "Linux"},
	{"Mageia", "desktop", "Linux"},
	{"Mandriva", "desktop", "Linux"},
	{"PCLinuxOS", "desktop", "Linux"},
	{"Puppy", "desktop", "Linux"},
	{"Slackware", "desktop", "Linux"},
	{"BackTrack", "desktop", "Linux"},
	{"openSUSE", "desktop", "Linux"},
	{"SUSE", "desktop", "Linux"},
	{"FreeBSD", "desktop", "other"},
	{"OpenBSD", "desktop", "other"},
	{"NetBSD", "desktop", "other"},
	{"Solaris", "desktop", "other"},
	{"KaiOS", "phone", "other"},
	{"Firefox OS", "phone", "other"},
	{"BlackBerry OS", "phone", "other"},
	{"BlackBerry Tablet OS", "tablet", "other"},
	{"Symbian OS", "phone", "other"},
	{"Symbian^3", "phone", "other"},
	{"Symbian^3 Anna", "phone", "other"},
	{"Symbian^3 Belle", "phone", "other"},
	{"Nokia Series 40", "phone", "other"},
	{"Nokia Series 30 Plus", "phone", "other"},
	{"MeeGo", "phone", "other"},
	{"Maemo", "phone", "other"},
	{"Sailfish", "phone", "other"},
	{"Bada", "phone", "other"},
	{"BREW", "phone", "other"},
	{"Brew MP", "phone", "other"},
}

// Agents of Android tablets by model; and the word by which browsers tell a
// phone from a tablet.
const (
	tabletPattern = `(?i)\b(SM-[TXP]\d|GT-P\d|GT-N(51|80)|Nexus (7|9|10)\b|Pixel (C|Tablet)\b|Lenovo (TB|YT|Tab)|TB-?[X\d]|YT-?X|` +
		`Media ?Pad|Mate ?Pad|(AGS|BAH|SCM|MRX|DBY|BTK|GOT|KOB|JDN)\d?-[LW]|(Redmi|Xiaomi|Mi|Honor|realme|OnePlus|Moto|Magic) ?Pad|` +
		`OPD\d{4}|iPlay|SHIELD Tablet|Tablet|Galaxy Tab|Tab [A-Z\d]|T(30|31|51)\d_)`
	mobilePattern = `\b(Mobile|Mobi)\b`
)

var (
	tablet = regexp.MustCompile(tabletPattern)
	mobile = regexp.MustCompile(mobilePattern)
)

var byFamily = func() map[string]Device {
	m := make(map[string]Device, len(families))
	for _, f := range families {
		m[f.family] = Device{Platform: f.platform, OS: f.os}
	}
	return m
}()

// general tells a device by the parser's operating system and the words that
// tell a tablet from a phone.
//
//   - iOS on an iPad is iPadOS, whatever its version.
//   - Android is a tablet by its model, or where a browser does not say
//     "Mobile" (Google's own advice); an app's agent that says neither is a phone.
func general(agent, family string) Device {
	d, ok := byFamily[family]
	if !ok {
		return Device{Platform: "other", OS: "other"}
	}
	switch d.OS {
	case "iOS":
		if strings.Contains(agent, "iPad") {
			return Device{Platform: "tablet", OS: "iPadOS"}
		}
	case "Android":
		browser := strings.HasPrefix(agent, "Mozilla/") && strings.Contains(agent, "Safari/")
		if tablet.MatchString(agent) || browser && !mobile.MatchString(agent) {
			d.Platform = "tablet"
		}
	}
	return d
}
