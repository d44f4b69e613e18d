package logs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// match is what the first pattern that fits says of a path.
type match struct {
	url    *URL // nil: none fits
	groups [15]string
}

// The groups, as indexes of match.groups.
const (
	groupTenant = iota
	groupObject
	groupVersion
	groupLibrary
	groupOffering
	groupFormat
	groupProtocol
	groupRendition
	groupSegment
	groupTrack
	groupSession
	groupUser
	groupCodec
	groupWidth
	groupHeight
)

// matcher finds the pattern of a request.
type matcher struct {
	patterns []pattern
	byHost   bool
}

type pattern struct {
	url        *URL
	path, host *regexp.Regexp // nil fits all
}

func newMatcher(urls []URL) (*matcher, error) {
	m := &matcher{}
	for i := range urls {
		p := pattern{url: &urls[i]}
		for _, re := range []struct {
			text string
			to   **regexp.Regexp
		}{{urls[i].Match, &p.path}, {urls[i].Host, &p.host}} {
			if re.text == "" {
				continue
			}
			compiled, err := regexp.Compile(re.text)
			if err != nil {
				return nil, fmt.Errorf("urls[%d]: %w", i, err)
			}
			*re.to = compiled
		}
		m.byHost = m.byHost || p.host != nil
		m.patterns = append(m.patterns, p)
	}
	return m, nil
}

// find looks for the first pattern that fits.
func (m *matcher) find(host, path string) (found match) {
	for _, p := range m.patterns {
		var groups [15]string
		if p.take(p.path, path, &groups) && p.take(p.host, host, &groups) {
			return match{p.url, groups}
		}
	}
	return found
}

// take fits one expression and notes its groups.
func (p pattern) take(re *regexp.Regexp, text string, to *[15]string) bool {
	if re == nil {
		return true
	}
	at := re.FindStringSubmatchIndex(text)
	if at == nil {
		return false
	}
	for i, name := range re.SubexpNames() {
		if g := slices.Index(groups, name); g >= 0 && name != "" && at[2*i] >= 0 {
			to[g] = text[at[2*i]:at[2*i+1]]
		}
	}
	return true
}

// trackOf is the track that a group's text begins like, or nothing.
func trackOf(s string) string {
	s = strings.ToLower(s)
	for _, t := range []struct{ prefix, track string }{
		{"video", "video"}, {"audio", "audio"}, {"muxed", "muxed"}, {"text", "text"}, {"sub", "text"}, {"caption", "text"},
		{"manifest", "manifest"}, {"init", "init"},
	} {
		if strings.HasPrefix(s, t.prefix) {
			return t.track
		}
	}
	switch s {
	case "v":
		return "video"
	case "a":
		return "audio"
	case "av":
		return "muxed"
	}
	return ""
}
