package statistics

import (
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Dashboard is a month of one tenant or of all, at a glance. Lists are in descending order of what they rank by.
type Dashboard struct {
	Period schemas.Period
	Totals
	Viewers int64 // unique ones

	StreamsByView, StreamsByTraffic []Ranked // top 10
	ServersByTraffic, ServersByView []Ranked // top 10

	Days    []DaySum    // every day of the month up to the last that has sessions
	Devices []DeviceSum // by platform and OS, most view time first
	Tiers   []TierSum   // by platform, most view time first
	Places  []PlaceSum  // by country, region and city of the viewer and region of the server, most view time first
	// PlacesCut tells that there are more places than are listed; the figures of those are in no row.
	PlacesCut bool
	Split     Split // of the whole month

	Months []MonthState // of the tenants looked at, what the figures speak for
}

// Ranked is a place in a top 10.
type Ranked struct {
	Tenant   schemas.Tenant // of a stream
	ID       string         // object id, or node id
	Name     string         // title or hostname, else the id
	Bytes    int64
	Micros   int64
	Views    int64
	Sessions int64
}

// DaySum is what the sessions add up to that began on a UTC day.
type DaySum struct {
	Day schemas.Day
	Totals
	Split
}

// DeviceSum is what a kind of device adds up to; empty names are not known.
type DeviceSum struct {
	Platform, OS string
	Totals
}

// TierSum is what a platform's sessions watched, by tier: microseconds.
type TierSum struct {
	Platform string
	Sessions int64
	Split
}

// Split is view time by resolution tier and clear or DRM (SPEC 2.2, 2.3), in microseconds. Audio is that of sessions
// without video, so that the whole is the view time.
type Split struct {
	HiClear, HiDRM, MdClear, MdDRM, LoClear, LoDRM int64
	NoneClear, NoneDRM                             int64 // size not known
	AudioClear, AudioDRM                           int64
}

// Clear is the part in the clear.
func (s Split) Clear() int64 { return sum(s.HiClear, s.MdClear, s.LoClear, s.NoneClear, s.AudioClear) }

// DRM is the part under DRM.
func (s Split) DRM() int64 { return sum(s.HiDRM, s.MdDRM, s.LoDRM, s.NoneDRM, s.AudioDRM) }

// PlaceSum is what viewers of a place watched from a region of servers; empty names are not known.
type PlaceSum struct {
	Country, Region, City, ServerRegion string
	Totals
}

// MonthState is what was loaded of a tenant's month.
type MonthState struct {
	Tenant schemas.Tenant
	Period schemas.Period
	Run    string    // whose sessions they are
	AsOf   time.Time // which the report of that run speaks for, too
	Rows   int64     // sessions loaded
	Named  int64     // sessions that the commit names: more than Rows where some were removed as old
	Loaded time.Time
	// Restatement is the number of the restatement that the run is of the final month; 0: it is none.
	Restatement int64
	// Changing: days of it are being replaced by those of a newer run, so that what is there is of both.
	Changing bool
}

// Choices are what the filters of a form offer: values that occur in the sessions of the days looked at, the most
// frequent first, at most a hundred each.
type Choices struct {
	Protocols, Countries, Platforms, Systems []string
	Servers                                  []ServerName
}

// ServerName is a server to choose.
type ServerName struct {
	ID, Host string
}
