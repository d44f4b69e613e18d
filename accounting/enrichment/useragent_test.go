package enrichment

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func (d Device) show() string { return d.Platform + "/" + d.OS + "/" + d.Model }

var (
	platforms = strings.Fields("desktop phone tablet tv settop console bot other")
	systems   = strings.Split("Windows,macOS,Linux,ChromeOS,iOS,iPadOS,tvOS,Android,Android TV,Fire OS,Tizen,webOS,Roku OS,PlayStation,Xbox,other", ",")
)

func TestLookupKnowsTheAgentsOfTheWorld(t *testing.T) {
	if len(agents) < 80 {
		t.Errorf("only %d agents", len(agents))
	}
	u := NewUserAgents()
	for _, a := range agents {
		if got := u.Lookup(a.text).show(); got != a.want {
			t.Errorf("Lookup(%q)\n got %s\nwant %s", a.text, got, a.want)
		}
		if again := u.Lookup(a.text).show(); again != a.want {
			t.Errorf("Lookup(%q) from the cache = %s, want %s", a.text, again, a.want)
		}
	}
}

func TestEveryTableSpeaksTheWordsOfTheContract(t *testing.T) {
	check := func(where, platform, os string) {
		if platform != "" && !slices.Contains(platforms, platform) {
			t.Errorf("%s: no platform is called %q", where, platform)
		}
		if os != "" && !slices.Contains(systems, os) {
			t.Errorf("%s: no OS is called %q", where, os)
		}
	}
	for _, r := range supplement {
		check(r.match, r.platform, r.os)
	}
	for _, f := range families {
		check(f.family, f.platform, f.os)
	}
}

func TestNoAgentIsNoDevice(t *testing.T) {
	if got := NewUserAgents().Lookup(""); got != (Device{}) {
		t.Errorf("Lookup of nothing = %+v, want nothing", got)
	}
}

func TestHostileAgents(t *testing.T) {
	u := NewUserAgents()
	tail := strings.Repeat("a", 1<<20)
	hostile := []string{
		tail,
		strings.Repeat("Android ", 1<<17),
		strings.Repeat("(", 4096),
		strings.Repeat("\xff", 1<<20),
		strings.Repeat("é", 600),
		"Mozilla/5.0 (iPhone; " + strings.Repeat("CPU iPhone OS ", 1<<16),
		"Mozilla/5.0 (Linux; Android 9; a\r\nb\x00c Build/1)" + tail,
	}
	for _, h := range hostile {
		began := time.Now()
		d := u.Lookup(h)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%.20q… took %s", h, took)
		}
		checkDevice(t, h, d)
	}
	a, b := u.Lookup("Mozilla/5.0 (iPad; "+tail), u.Lookup("Mozilla/5.0 (iPad; "+tail+"PlayStation")
	if a != b {
		t.Errorf("what follows the first %d bytes was looked at: %v, %v", maxAgent, a, b)
	}
}

// checkDevice checks what holds for the result of any agent.
func checkDevice(t *testing.T, agent string, d Device) {
	t.Helper()
	switch {
	case agent == "" && d != Device{}:
		t.Errorf("an empty agent is %+v", d)
	case agent != "" && (!slices.Contains(platforms, d.Platform) || !slices.Contains(systems, d.OS)):
		t.Errorf("%.40q is %+v, outside of the vocabulary", agent, d)
	case len(d.Model) > maxModel || !utf8.ValidString(d.Model) || strings.ContainsAny(d.Model, "\r\n\x00"):
		t.Errorf("%.40q has the model %q", agent, d.Model)
	}
}

func TestLookupIsSafeForConcurrentUse(t *testing.T) {
	u := NewUserAgents()
	u.seen = newCache[Device](7, 1<<20) // so that generations turn over all the time
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, a := range agents {
				if got := u.Lookup(a.text).show(); got != a.want {
					t.Errorf("Lookup(%q) = %s, want %s", a.text, got, a.want)
				}
			}
		})
	}
	wg.Wait()
}

func TestDigestNamesTheTables(t *testing.T) {
	a, b := NewUserAgents().Digest(), NewUserAgents().Digest()
	if a != b || !strings.HasPrefix(a, "sha256:") || len(a) != len("sha256:")+64 {
		t.Errorf("digests %q and %q", a, b)
	}
	defer func(old string) { supplement[0].match = old }(supplement[0].match)
	supplement[0].match += "|CUBOX"
	if digestTables() == a {
		t.Error("a changed rule did not change the digest")
	}
}

func TestCacheStaysWithinItsBounds(t *testing.T) {
	c := newCache[int](10, 100)
	for i := range 1000 {
		c.put(fmt.Sprintf("%03d", i), i)
		if c.len() > 20 {
			t.Fatalf("%d texts after %d", c.len(), i)
		}
	}
	if v, ok := c.get("999"); !ok || v != 999 {
		t.Errorf("the newest is not remembered: %d, %v", v, ok)
	}
	if _, ok := c.get("000"); ok {
		t.Error("the oldest is remembered")
	}
	c.put(strings.Repeat("x", 90), 1)
	c.put(strings.Repeat("y", 90), 2)
	if len(c.young) != 1 {
		t.Errorf("%d long texts in a generation that has room for one", len(c.young))
	}
	if _, ok := c.get(strings.Repeat("x", 90)); !ok {
		t.Error("the old generation is forgotten")
	}
}

func FuzzUserAgent(f *testing.F) {
	for _, a := range agents {
		f.Add(a.text)
	}
	u := NewUserAgents()
	f.Fuzz(func(t *testing.T, agent string) {
		d := u.Lookup(agent)
		checkDevice(t, agent, d)
		if again := u.Lookup(agent); again != d {
			t.Errorf("%q is %v, then %v", agent, d, again)
		}
	})
}

func BenchmarkUserAgents(b *testing.B) {
	b.Run("uncached", func(b *testing.B) {
		u := NewUserAgents()
		for i := 0; b.Loop(); i++ {
			u.parse(agents[i%len(agents)].text)
		}
	})
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("cached/agents=%d", n), func(b *testing.B) {
			u := NewUserAgents()
			texts := make([]string, n)
			for i := range texts {
				texts[i] = fmt.Sprintf("curl/8.%d", i)
				u.Lookup(texts[i])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				u.Lookup(texts[i%n])
			}
		})
	}
}
