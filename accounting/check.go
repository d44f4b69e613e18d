package accounting

import (
	"github.com/playmeter/playmeter/schemas"
)

// event is one row that has passed the checks.
type event struct {
	row     int64
	time    int64
	hour    schemas.Hour
	tenant  uint32
	node    uint32
	object  uint32
	library uint32
	kind    schemas.Kind
	track   schemas.Track
	seq     int64
	bytes   int64
	status  int64
	micros  int64
	width   int32
	height  int32
}

const (
	factGood = 1
	factBad  = 2
)

// check finds the first fault of row i, in the order of schemas.Reason. Where it
// finds one that is not placeless, e has tenant, time, hour, node and seq.
func (p *part) check(c *columns, i int, e *event) schemas.Reason {
	if c.bad != nil && c.bad[i] == schemas.ReasonBadLine {
		return schemas.ReasonBadLine
	}
	e.tenant = c.text[schemas.ColTenant][i]
	if e.tenant == 0 {
		return schemas.ReasonNoTenant
	}
	if p.tenantFact(e.tenant) == factBad {
		return schemas.ReasonBadTenant
	}
	e.time = c.num[schemas.IntTime][i]
	if e.time < schemas.Earliest || e.time >= schemas.Latest { // None is below
		return schemas.ReasonBadTime
	}
	if e.time < p.hourFrom || e.time >= p.hourTo {
		p.hour = schemas.HourOf(e.time)
		p.hourFrom, p.hourTo = p.hour.Start(), (p.hour + 1).Start()
	}
	e.hour = p.hour
	e.node = c.text[schemas.ColNode][i]
	e.seq = c.num[schemas.IntSeq][i]
	if c.bad != nil && c.bad[i] != schemas.ReasonNone {
		return c.bad[i]
	}
	if e.node == 0 {
		return schemas.ReasonNoNode
	}
	if reason := p.checkWhat(c, i, e); reason != schemas.ReasonNone {
		return reason
	}
	return p.checkAmounts(c, i, e)
}

// checkWhat finds kind, track and object.
func (p *part) checkWhat(c *columns, i int, e *event) schemas.Reason {
	if e.kind = p.kindFact(c.text[schemas.ColKind][i]); e.kind == schemas.KindUnknown {
		return schemas.ReasonUnknownKind
	}
	if e.track = p.trackFact(c.text[schemas.ColTrack][i]); e.track == schemas.TrackInvalid {
		return schemas.ReasonUnknownTrack
	}
	version := c.text[schemas.ColVersion][i]
	e.object = c.text[schemas.ColObject][i]
	if e.object == 0 {
		if version != 0 {
			e.object = p.objectFact(version)
		}
		if e.object == 0 {
			return schemas.ReasonNoObject
		}
	}
	if p.longFact(e.object) == factBad || p.longFact(e.node) == factBad || p.longFact(c.text[schemas.ColSession][i]) == factBad {
		return schemas.ReasonIDTooLong
	}
	if e.object == e.tenant {
		return schemas.ReasonObjectIsTenant
	}
	e.library = c.text[schemas.ColLibrary][i]
	return schemas.ReasonNone
}

func (p *part) checkAmounts(c *columns, i int, e *event) schemas.Reason {
	e.bytes = orZero(c.num[schemas.IntBytes][i])
	e.micros = orZero(c.num[schemas.IntDuration][i])
	e.status = c.num[schemas.IntStatus][i]
	if e.status == schemas.None {
		e.status = 200
	}
	width, height := orZero(c.num[schemas.IntWidth][i]), orZero(c.num[schemas.IntHeight][i])
	switch {
	case e.bytes < 0:
		return schemas.ReasonNegativeBytes
	case e.micros < 0:
		return schemas.ReasonNegativeDuration
	case e.status < 0, width < 0, height < 0, orZero(c.num[schemas.IntSegment][i]) < 0, orZero(e.seq) < 0,
		orZero(c.num[schemas.IntSourceWidth][i]) < 0, orZero(c.num[schemas.IntSourceHeight][i]) < 0:
		return schemas.ReasonNegativeValue
	case e.bytes > MaxBytes, e.micros > MaxDuration:
		return schemas.ReasonImplausible
	}
	e.width, e.height = int32(width), int32(height)
	return schemas.ReasonNone
}

func orZero(n int64) int64 {
	if n == schemas.None {
		return 0
	}
	return n
}

func (p *part) tenantFact(code uint32) uint8 {
	f := &p.facts.tenant[code]
	if *f == 0 {
		*f = factGood
		if _, err := schemas.ParseTenant(p.dict.Text(code)); err != nil {
			*f = factBad
		}
	}
	return *f
}

func (p *part) longFact(code uint32) uint8 {
	f := &p.facts.long[code]
	if *f == 0 {
		*f = factGood
		if len(p.dict.Text(code)) > schemas.MaxID {
			*f = factBad
		}
	}
	return *f
}

func (p *part) kindFact(code uint32) schemas.Kind {
	f := &p.facts.kind[code]
	if *f == 0 {
		*f = uint8(schemas.ParseKind(p.dict.Text(code))) + 1
	}
	return schemas.Kind(*f - 1)
}

func (p *part) trackFact(code uint32) schemas.Track {
	f := &p.facts.track[code]
	if *f == 0 {
		*f = uint8(schemas.ParseTrack(p.dict.Text(code))) + 1
	}
	return schemas.Track(*f - 1)
}

func (p *part) formatFact(code uint32) drmClass {
	f := &p.facts.format[code]
	if *f == 0 {
		*f = uint8(classifyFormat(p.dict.Text(code))) + 1
	}
	return drmClass(*f - 1)
}

// objectFact is the code of the object that a version hash holds, or 0.
func (p *part) objectFact(version uint32) uint32 {
	if p.facts.object[version] == 0 {
		code := p.intern(ObjectOfVersion(p.dict.Text(version)))
		p.facts.object[version] = code + 1
	}
	return p.facts.object[version] - 1
}

// protocolFact is the code of the protocol that a playout format begins with.
func (p *part) protocolFact(format uint32) uint32 {
	if p.facts.proto[format] == 0 {
		code := p.intern(protocolOf(p.dict.Text(format)))
		p.facts.proto[format] = code + 1
	}
	return p.facts.proto[format] - 1
}

// codecFact is the code of a codec as its column names it (R23).
func (p *part) codecFact(codec uint32) uint32 {
	if p.facts.codec[codec] == 0 {
		code := p.intern(codecName(p.dict.Text(codec)))
		p.facts.codec[codec] = code + 1
	}
	return p.facts.codec[codec] - 1
}

// referrerFact is the code of a referrer without secrets.
func (p *part) referrerFact(ref uint32) uint32 {
	if p.facts.ref[ref] == 0 {
		code := p.intern(cleanReferrer(p.dict.Text(ref)))
		p.facts.ref[ref] = code + 1
	}
	return p.facts.ref[ref] - 1
}

func (p *part) intern(s string) uint32 {
	code := p.dict.CodeOf(s)
	p.facts.grow(p.dict.Len())
	return code
}

// codecName makes a codec fit for a column's name.
func codecName(codec string) string {
	if codec == "" {
		return "unknown"
	}
	if len(codec) > 32 {
		return "other"
	}
	name := []byte(codec)
	for i, b := range name {
		switch {
		case b >= 'A' && b <= 'Z':
			name[i] = b - 'A' + 'a'
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '.', b == '_', b == '-':
		default:
			return "other"
		}
	}
	return string(name)
}
