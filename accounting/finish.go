package accounting

import (
	"strings"

	"github.com/playmeter/playmeter/accounting/enrichment"
	"github.com/playmeter/playmeter/schemas"
)

// Facts is what the catalog knows of an object that its sessions show.
type Facts struct {
	Title         string
	TitleID       string
	Duration      int64 // µs; None or zero where not known
	VideoSegments int64 // None or zero where not known
}

// Finisher puts what is looked up beside what was joined. Its tables are read
// only; nil ones know nothing.
type Finisher struct {
	Facts  map[string]Facts
	Agents *enrichment.UserAgents
	Geo    *enrichment.Geo
	Mask   *Masker // what is looked up by a field is looked up before the field is masked
}

// session fills the looked-up fields. segments is how many distinct segments
// were served, long the longest of them in µs.
func (x *Finisher) session(s *schemas.Session, segments, long int64) {
	facts, ok := x.Facts[string(s.Object)]
	if !ok {
		facts.Duration, facts.VideoSegments = schemas.None, schemas.None
	}
	s.Title, s.TitleID = []byte(facts.Title), []byte(facts.TitleID)
	s.Duration, s.Percent = schemas.None, schemas.None
	if !s.Live && facts.Duration > 0 {
		s.Duration = facts.Duration
		s.Percent = percent(s, facts, segments, long)
	}
	x.place(s)
	if agent := s.Fields[schemas.FieldUserAgent]; len(agent) > 0 && x.Agents != nil {
		d := x.Agents.Lookup(string(agent))
		s.Platform, s.OS, s.Device = []byte(d.Platform), []byte(d.OS), []byte(d.Model)
	}
	x.Mask.session(s)
}

// percent is pct_watched in hundredths, cut (SPEC 5, R5).
func percent(s *schemas.Session, facts Facts, segments, long int64) int64 {
	total := int64(0)
	if s.HasVideo && facts.VideoSegments > 0 {
		total = facts.VideoSegments
	} else if long > 0 {
		if total = facts.Duration / long; facts.Duration%long != 0 {
			total++
		}
	}
	if total == 0 || segments == 0 {
		return schemas.None
	}
	return min(segments*100_00/total, 100_00)
}

// place decides where the viewer is (R9).
func (x *Finisher) place(s *schemas.Session) {
	if x.Geo == nil || len(s.Fields[schemas.FieldClientIP]) == 0 {
		return
	}
	hit, ok := x.Geo.Lookup(string(s.Fields[schemas.FieldClientIP]))
	if !ok {
		return
	}
	agree := strings.EqualFold(hit.Country, string(s.Fields[schemas.FieldClientCountry]))
	if hit.Region != "" || hit.City != "" || !agree {
		s.Fields[schemas.FieldClientRegion], s.Fields[schemas.FieldClientCity] = []byte(hit.Region), []byte(hit.City)
	}
	s.Fields[schemas.FieldClientCountry] = []byte(hit.Country)
}
