package enrichment

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Place is where an address is: the ISO 3166 alpha-2 code of the country, and
// the English names of its first subdivision and of the city. Region and City
// may be empty.
type Place struct{ Country, Region, City string }

// Geo is a database of addresses in MaxMind's format (MaxMind DB 2.0: GeoIP2,
// GeoLite2, DB-IP). A nil Geo is no database: it knows no place and has no
// name. It may be used from several goroutines.
type Geo struct {
	db   *maxminddb.Reader
	name string
	seen *cache[located]
	err  atomic.Pointer[error]
}

type located struct {
	place Place
	found bool
}

// record is what is read of a database's entry.
type record struct {
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Subdivisions []struct {
		Names englishName `maxminddb:"names"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names englishName `maxminddb:"names"`
	} `maxminddb:"city"`
}

type englishName struct {
	En string `maxminddb:"en"`
}

// LoadGeo opens the database in a file. The file is read into memory, so that
// it may be replaced while it is in use. An empty path gives nil: no database.
func LoadGeo(path string) (*Geo, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the geo database: %w", err)
	}
	g, err := OpenGeo(data)
	if err != nil {
		return nil, fmt.Errorf("geo database %q: %w; download it again, or leave geoip empty", path, err)
	}
	return g, nil
}

// OpenGeo opens a database that is in memory and keeps data.
//
//   - Errors: data that is no database, one whose search tree or first
//     entries are damaged, and one that holds no countries (such as one of
//     networks or of anonymous addresses).
func OpenGeo(data []byte) (g *Geo, err error) {
	defer recovered(&err)
	db, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("not a readable database in MaxMind's format: %w", err)
	}
	if err := check(db); err != nil {
		return nil, err
	}
	m := db.Metadata
	name := fmt.Sprintf("%s %s", m.DatabaseType, m.BuildTime().UTC().Format("2006-01-02"))
	return &Geo{db: db, name: strings.ToValidUTF8(name, "\uFFFD"), seen: newCache[located](100_000, 8<<20)}, nil
}

// checkedNetworks is how many networks are decoded when a database is opened;
// while no country was among them, up to twenty times as many. The bound also
// ends the walk through a damaged tree, which may have more paths than atoms.
const checkedNetworks = 10_000

// check reads the first networks and wants a country among them.
func check(db *maxminddb.Reader) error {
	networks, places := 0, 0
	for result := range db.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if networks++; networks > checkedNetworks && places > 0 || networks > 20*checkedNetworks {
			break
		}
		var r record
		if err := result.Decode(&r); err != nil {
			return fmt.Errorf("%s is damaged: %w", db.Metadata.DatabaseType, err)
		}
		if r.Country.ISOCode != "" {
			places++
		}
	}
	if places == 0 {
		return fmt.Errorf("%s holds no countries: a city database is needed", db.Metadata.DatabaseType)
	}
	return nil
}

// Name is the database's type and build date, such as
// "GeoLite2-City 2026-10-07"; empty without a database.
func (g *Geo) Name() string {
	if g == nil {
		return ""
	}
	return g.name
}

// Err is the first error that a look-up met: the database is damaged where
// [OpenGeo] did not look. Such an address counts as not found.
func (g *Geo) Err() error {
	if g == nil {
		return nil
	}
	if p := g.err.Load(); p != nil {
		return *p
	}
	return nil
}

// Lookup tells where an address is, and whether the database knows at least
// its country. The address is textual IPv4 or IPv6; an IPv4 address inside of
// IPv6 is looked up as IPv4. Anything else, a zone or a port included, is nowhere.
func (g *Geo) Lookup(ip string) (Place, bool) {
	if g == nil || len(ip) > maxAddress {
		return Place{}, false
	}
	if l, ok := g.seen.get(ip); ok {
		return l.place, l.found
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return Place{}, false
	}
	place, err := g.find(addr.Unmap())
	if err != nil {
		err = fmt.Errorf("geo database %s: %w", g.name, err)
		g.err.CompareAndSwap(nil, &err)
	}
	l := located{place, place.Country != ""}
	g.seen.put(ip, l)
	return l.place, l.found
}

// maxAddress is longer than any textual address.
const maxAddress = 64

func (g *Geo) find(addr netip.Addr) (p Place, err error) {
	defer recovered(&err)
	if g.db.Metadata.IPVersion == 4 && !addr.Is4() {
		return Place{}, nil
	}
	result := g.db.Lookup(addr)
	if !result.Found() {
		return Place{}, result.Err()
	}
	var r record
	if err := result.Decode(&r); err != nil {
		return Place{}, err
	}
	if r.Country.ISOCode == "" {
		return Place{}, nil
	}
	p = Place{Country: tidyName(r.Country.ISOCode), City: tidyName(r.City.Names.En)}
	if len(r.Subdivisions) > 0 {
		p.Region = tidyName(r.Subdivisions[0].Names.En)
	}
	return p, nil
}

// tidyName copies a name out of the database, as valid UTF-8.
func tidyName(s string) string { return strings.Clone(strings.ToValidUTF8(s, "\uFFFD")) }

// recovered turns a decoder's panic into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = errors.Join(*err, fmt.Errorf("the database's decoder gave up: %v", p))
	}
}
