package oracle

import (
	"database/sql"
	"sync"
	"time"
)

// Month is the period that generated worlds are about. Some of their events
// lie in the months beside it.
const Month = "2026-10"

// Instants of the month, Unix nanoseconds.
var (
	monthStart = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	monthEnd   = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixNano()
)

// A World is the input of a test: usage files, catalogs and the tables that
// stand for the look-ups by address and user agent. Its fields may be changed
// before Expect; the files are read again when the lists of files change.
type World struct {
	Files      []File   // usage files; Key is relative to the usage bucket
	Catalogs   []File   // snapshots; Key is relative to the catalog bucket
	Tenants    []Tenant // not all of them have usage or a catalog
	UserAgents []UA     // distinct; an agent that is not here has no platform
	Geo        []Geo    // networks that do not overlap
	Hashes     []Hash   // what each well-formed hq__ hash says its object is

	groups []group // the rows in memory, for Repartition

	mu     sync.Mutex
	db     *sql.DB
	conn   *sql.Conn
	loaded string // what was loaded, to see when it changed
}

// A File is an object of a bucket and where its bytes are on disk.
type File struct{ Key, Path string }

// A Tenant is a configured tenant.
type Tenant struct{ ID, Name string }

// A UA is what the user agent parser says of one agent. Generate leaves all
// but Agent empty, for the test to fill in.
type UA struct{ Agent, Platform, OS, Device string }

// A Geo is one network of the geo database. Region and City may be empty.
type Geo struct{ CIDR, Country, Region, City string }

// A Hash says which object a version hash belongs to.
type Hash struct{ Hash, Object string }

// Edges are the least long and short edge of a tier, in pixels; one is enough.
type Edges struct{ Long, Short int }

// Tiers are the thresholds of a preset. What reaches neither is lo.
type Tiers struct{ Hi, Md Edges }

// Rules are the parts of a configuration that change a report.
type Rules struct {
	Tiers         Tiers
	DensityOf     string // "destination" or "source"
	IdleWithID    time.Duration
	IdleWithoutID time.Duration
	Guard         bool // csv_guard
}

// Industry is the default configuration.
func Industry() Rules {
	return Rules{
		Tiers:         Tiers{Hi: Edges{3200, 1800}, Md: Edges{1280, 720}},
		DensityOf:     "destination",
		IdleWithID:    24 * time.Hour,
		IdleWithoutID: 30 * time.Minute,
		Guard:         true,
	}
}

// Fabric is the preset of a rate card on which 720p is SD.
func Fabric() Rules {
	r := Industry()
	r.Tiers.Md = Edges{1920, 1080}
	return r
}

// Close ends the database of Expect, if there is one.
func (w *World) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closeDB()
}

func (w *World) closeDB() error {
	if w.db == nil {
		return nil
	}
	w.conn.Close()
	err := w.db.Close()
	w.db, w.conn, w.loaded = nil, nil, ""
	return err
}
