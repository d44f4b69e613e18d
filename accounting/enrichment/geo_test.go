package enrichment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// world writes a database: "network" to "country/region/city".
func world(t testing.TB, version int, places map[string]string) []byte {
	t.Helper()
	built := time.Date(2026, 10, 7, 9, 0, 0, 0, time.UTC).Unix()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "GeoLite2-City", Description: map[string]string{"en": "a test"}, BuildEpoch: built, IPVersion: version, RecordSize: 24, IncludeReservedNetworks: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for network, text := range places {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(n, entry(text)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entry is the record of "country/region/city"; an empty part is left out.
func entry(text string) mmdbtype.Map {
	parts := strings.Split(text, "/")
	names := func(en string) mmdbtype.Map {
		return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(en), "de": mmdbtype.String(en + " (de)")}}
	}
	m := mmdbtype.Map{"location": mmdbtype.Map{"latitude": mmdbtype.Float64(1.5)}}
	if parts[0] != "" {
		m["country"] = mmdbtype.Map{"iso_code": mmdbtype.String(parts[0])}
	}
	if parts[1] != "" {
		m["subdivisions"] = mmdbtype.Slice{names(parts[1]), names("Second")}
	}
	if parts[2] != "" {
		m["city"] = names(parts[2])
	}
	return m
}

var small = map[string]string{
	"192.0.2.0/25":    "DE/Bavaria/Munich",
	"198.51.100.0/24": "FR//",
	"203.0.113.0/24":  "//",
	"2001:db8:1::/48": "BR/São Paulo/São Paulo",
}

func open(t testing.TB, data []byte) *Geo {
	t.Helper()
	g, err := OpenGeo(data)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGeoLookup(t *testing.T) {
	g := open(t, world(t, 6, small))
	tests := []struct{ name, ip, want string }{
		{"an IPv4 address", "192.0.2.1", "DE/Bavaria/Munich true"},
		{"the last of a network", "192.0.2.127", "DE/Bavaria/Munich true"},
		{"the first past a network", "192.0.2.128", "// false"},
		{"a country alone is a hit", "198.51.100.7", "FR// true"},
		{"an entry without a country is none", "203.0.113.1", "// false"},
		{"an IPv6 address", "2001:db8:1::7", "BR/São Paulo/São Paulo true"},
		{"an IPv6 address in capitals", "2001:DB8:1::7", "BR/São Paulo/São Paulo true"},
		{"an IPv4 address inside of IPv6", "::ffff:192.0.2.1", "DE/Bavaria/Munich true"},
		{"nothing", "", "// false"},
		{"a port", "192.0.2.1:443", "// false"},
		{"brackets", "[2001:db8:1::7]", "// false"},
		{"a zone", "2001:db8:1::7%eth0", "// false"},
		{"a network", "192.0.2.0/25", "// false"},
		{"a leading zero", "192.0.2.01", "// false"},
		{"a list", "192.0.2.1, 198.51.100.7", "// false"},
		{"spaces", " 192.0.2.1", "// false"},
		{"a host name", "localhost", "// false"},
		{"something long", strings.Repeat("1", 1<<20), "// false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				p, ok := g.Lookup(tt.ip)
				if got := fmt.Sprintf("%s/%s/%s %v", p.Country, p.Region, p.City, ok); got != tt.want {
					t.Errorf("Lookup(%.50q) = %s, want %s", tt.ip, got, tt.want)
				}
			}
		})
	}
	if g.Err() != nil {
		t.Error(g.Err())
	}
}

func TestGeoNameIsTypeAndBuildDate(t *testing.T) {
	if got := open(t, world(t, 6, small)).Name(); got != "GeoLite2-City 2026-10-07" {
		t.Errorf("Name() = %q", got)
	}
}

func TestNoGeo(t *testing.T) {
	g, err := LoadGeo("")
	if g != nil || err != nil {
		t.Fatalf("LoadGeo of nothing = %v, %v", g, err)
	}
	if p, ok := g.Lookup("192.0.2.1"); ok || p != (Place{}) || g.Name() != "" || g.Err() != nil {
		t.Errorf("no database knows %v", p)
	}
}

func TestGeoOfIPv4Only(t *testing.T) {
	g := open(t, world(t, 4, map[string]string{"192.0.2.0/24": "DE//"}))
	if p, ok := g.Lookup("::ffff:192.0.2.9"); !ok || p.Country != "DE" {
		t.Errorf("an IPv4 address inside of IPv6: %v, %v", p, ok)
	}
	if p, ok := g.Lookup("2001:db8::1"); ok || g.Err() != nil {
		t.Errorf("an IPv6 address: %v, %v, %v", p, ok, g.Err())
	}
}

func TestLoadGeo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "city.mmdb")
	if err := os.WriteFile(path, world(t, 6, small), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := LoadGeo(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil { // someone replaces the file
		t.Fatal(err)
	}
	if p, ok := g.Lookup("192.0.2.1"); !ok || p.City != "Munich" {
		t.Errorf("after the file changed: %v, %v", p, ok)
	}
	if _, err := LoadGeo(filepath.Join(dir, "none.mmdb")); err == nil {
		t.Error("a missing file is no error")
	}
	if _, err := LoadGeo(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestDatabasesThatAreNotOnes(t *testing.T) {
	whole := world(t, 6, small)
	bad := map[string][]byte{
		"nothing":                    nil,
		"text":                       []byte("hello"),
		"half of one":                whole[:len(whole)/2],
		"all but the metadata":       whole[:bytes.LastIndex(whole, []byte("MaxMind.com"))],
		"one without countries":      world(t, 6, map[string]string{"192.0.2.0/24": "//"}),
		"an empty one":               world(t, 6, nil),
		"one whose data is cut away": cutData(whole),
	}
	for name, data := range bad {
		if g, err := OpenGeo(data); err == nil {
			t.Errorf("%s: opened as %q", name, g.Name())
		}
	}
}

// cutData takes 200 bytes out from before the metadata.
func cutData(whole []byte) []byte {
	at := bytes.LastIndex(whole, []byte("\xab\xcd\xefMaxMind.com"))
	return append(bytes.Clone(whole[:at-200]), whole[at:]...)
}

func TestDamagedDatabasesNeverPanic(t *testing.T) {
	whole := world(t, 6, small)
	r := rand.New(rand.NewPCG(1, 2))
	opened, failed := 0, 0
	for range 2000 {
		data := bytes.Clone(whole)
		for range 1 + r.IntN(4) {
			data[r.IntN(len(data))] ^= 1 << r.IntN(8)
		}
		g, err := OpenGeo(data)
		if err != nil {
			failed++
			continue
		}
		opened++
		for _, ip := range []string{"192.0.2.1", "198.51.100.7", "2001:db8:1::7", "203.0.113.1"} {
			if p, _ := g.Lookup(ip); !utf8.ValidString(p.Country + p.Region + p.City) {
				t.Errorf("a place that is not text: %q", p)
			}
		}
	}
	if opened == 0 || failed == 0 {
		t.Errorf("%d opened, %d failed: the damage proves nothing", opened, failed)
	}
}

func FuzzGeoLookup(f *testing.F) {
	for _, ip := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1::7", "fe80::1%eth0", "1.2.3.4:5", ""} {
		f.Add(ip)
	}
	g := open(f, world(f, 6, small))
	f.Fuzz(func(t *testing.T, ip string) {
		p, ok := g.Lookup(ip)
		if ok != (p.Country != "") || g.Err() != nil {
			t.Errorf("Lookup(%q) = %v, %v, %v", ip, p, ok, g.Err())
		}
		if ok && net.ParseIP(ip) == nil {
			t.Errorf("%q is somewhere: %v", ip, p)
		}
	})
}

func FuzzOpenGeo(f *testing.F) {
	f.Add(world(f, 6, small))
	f.Fuzz(func(t *testing.T, data []byte) {
		if g, err := OpenGeo(data); err == nil {
			g.Lookup("192.0.2.1")
			g.Lookup("2001:db8:1::7")
		}
	})
}

func BenchmarkGeo(b *testing.B) {
	data := world(b, 6, small)
	b.Run("uncached", func(b *testing.B) {
		g := open(b, data)
		b.ReportAllocs()
		for b.Loop() {
			g.seen = newCache[located](1, 1)
			g.Lookup("192.0.2.1")
		}
	})
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("cached/addresses=%d", n), func(b *testing.B) {
			g, ips := open(b, data), make([]string, n)
			for i := range ips {
				ips[i] = fmt.Sprintf("192.0.%d.%d", i>>8&255, i&255)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				g.Lookup(ips[i%n])
			}
		})
	}
}
