package accounting

import "strings"

// drmClass is what a playout format says of clear and DRM (SPEC 2.3).
type drmClass uint8

const (
	classClear drmClass = iota
	classDRM
	classDRMAudioClear // DRM, but its audio tracks are clear
	classUnrecognised  // counted as DRM and listed
)

// classifyFormat reads the class off a format's name.
func classifyFormat(format string) drmClass {
	f := strings.ToLower(format)
	for _, name := range []string{"widevine", "fairplay", "playready", "aes", "drm"} {
		if strings.Contains(f, name) {
			if strings.HasSuffix(f, "-audio-clear") {
				return classDRMAudioClear
			}
			return classDRM
		}
	}
	if !strings.Contains(f, "-") || strings.HasSuffix(f, "-clear") {
		return classClear
	}
	return classUnrecognised
}

// protocolOf is the part of a playout format before its first hyphen.
func protocolOf(format string) string {
	protocol, _, _ := strings.Cut(format, "-")
	return protocol
}
