package sample

import "github.com/playmeter/playmeter/schemas"

// event is a usage event in the making: a [schemas.Event] without pointers,
// since a month makes a million of them. A zero OpenedAt, ClosedAt, Width,
// Height or Duration is not given.
type event struct {
	Node, Tenant, Kind, Object, Library, Version, Session                 string
	Offering, Format, Protocol, Track, Codec, SourceCodec                 string
	ClientIP, UserAgent, Referrer                                         string
	AuthIdentity, AuthAddr, AuthEmail, User, Token                        string
	NodeHost, NodeIP, NodeRegion, ClientCountry, ClientRegion, ClientCity string
	Time, Bytes, Duration, OpenedAt, ClosedAt                             int64
	Status, Width, Height, Segment, SourceWidth, SourceHeight             int32
	HasSegment, Live                                                      bool
}

// slab hands out pointers to numbers, few allocations for many numbers.
type slab struct {
	wide   []int64
	narrow []int32
}

var yes = true

func (s *slab) int64(n int64) *int64 {
	if len(s.wide) == cap(s.wide) {
		s.wide = make([]int64, 0, 1024)
	}
	s.wide = append(s.wide, n)
	return &s.wide[len(s.wide)-1]
}

func (s *slab) int32(n int32) *int32 {
	if len(s.narrow) == cap(s.narrow) {
		s.narrow = make([]int32, 0, 1024)
	}
	s.narrow = append(s.narrow, n)
	return &s.narrow[len(s.narrow)-1]
}

// given64 and given32 are nil for zero.
func (s *slab) given64(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return s.int64(n)
}

func (s *slab) given32(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return s.int32(n)
}

// write makes the event that goes into a file.
func (s *slab) write(e *event, seq int64) schemas.Event {
	out := schemas.Event{
		NodeID: e.Node, Seq: s.int64(seq), Time: e.Time, TenantID: e.Tenant, Kind: e.Kind,
		ObjectID: e.Object, LibraryID: e.Library, VersionHash: e.Version, Bytes: s.int64(e.Bytes), Status: s.int32(e.Status),
		SessionID: e.Session, Offering: e.Offering, PlayoutFormat: e.Format, Protocol: e.Protocol, Track: e.Track, Codec: e.Codec,
		Width: s.given32(e.Width), Height: s.given32(e.Height), DurationMicros: s.given64(e.Duration),
		SourceCodec: e.SourceCodec, SourceWidth: s.given32(e.SourceWidth), SourceHeight: s.given32(e.SourceHeight),
		ClientIP: e.ClientIP, UserAgent: e.UserAgent, Referrer: e.Referrer,
		AuthIdentity: e.AuthIdentity, AuthAddr: e.AuthAddr, AuthEmail: e.AuthEmail, UserID: e.User, Token: e.Token,
		NodeHost: e.NodeHost, NodeIP: e.NodeIP, NodeRegion: e.NodeRegion,
		ClientCountry: e.ClientCountry, ClientRegion: e.ClientRegion, ClientCity: e.ClientCity,
		OpenedAt: s.given64(e.OpenedAt), ClosedAt: s.given64(e.ClosedAt),
	}
	if e.HasSegment {
		out.Segment = s.int32(e.Segment)
	}
	if e.Live {
		out.Live = &yes
	}
	return out
}
