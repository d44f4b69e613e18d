package schemas

// Event is row i of the batch, as it is written: the way back from a batch, for whoever writes rows elsewhere.
// What did not convert (see [Batch.Bad]) is left out.
func (b *Batch) Event(i int, e *Event) {
	*e = Event{Time: b.number(IntTime, i)}
	for c := range NumStringColumns {
		if codes := b.Strings[c]; codes != nil {
			*e.text(c) = b.Dict.Text(codes[i])
		}
	}
	if b.EventID != nil {
		e.EventID = string(b.EventID.At(i))
	}
	e.Seq, e.Bytes, e.DurationMicros = b.given(IntSeq, i), b.given(IntBytes, i), b.given(IntDuration, i)
	e.OpenedAt, e.ClosedAt = b.given(IntOpenedAt, i), b.given(IntClosedAt, i)
	e.Status, e.Width, e.Height, e.Segment = b.small(IntStatus, i), b.small(IntWidth, i), b.small(IntHeight, i), b.small(IntSegment, i)
	e.SourceWidth, e.SourceHeight = b.small(IntSourceWidth, i), b.small(IntSourceHeight, i)
	e.DRM, e.Live = b.flag(IntDRM, i), b.flag(IntLive, i)
}

func (b *Batch) number(c IntColumn, i int) int64 {
	if b.Ints[c] == nil {
		return None
	}
	return b.Ints[c][i]
}

func (b *Batch) given(c IntColumn, i int) *int64 {
	if n := b.number(c, i); n != None {
		return &n
	}
	return nil
}

func (b *Batch) small(c IntColumn, i int) *int32 {
	n := b.number(c, i)
	if n == None {
		return nil
	}
	n32 := int32(n) // readers take no more for these columns
	return &n32
}

func (b *Batch) flag(c IntColumn, i int) *bool {
	n := b.number(c, i)
	if n == None {
		return nil
	}
	v := n != 0
	return &v
}

// text is the field of a text column.
func (e *Event) text(c StringColumn) *string {
	switch c {
	case ColNode:
		return &e.NodeID
	case ColTenant:
		return &e.TenantID
	case ColKind:
		return &e.Kind
	case ColObject:
		return &e.ObjectID
	case ColLibrary:
		return &e.LibraryID
	case ColVersion:
		return &e.VersionHash
	case ColSession:
		return &e.SessionID
	case ColOffering:
		return &e.Offering
	case ColFormat:
		return &e.PlayoutFormat
	case ColProtocol:
		return &e.Protocol
	case ColTrack:
		return &e.Track
	case ColCodec:
		return &e.Codec
	case ColSourceCodec:
		return &e.SourceCodec
	case ColClientIP:
		return &e.ClientIP
	case ColUserAgent:
		return &e.UserAgent
	case ColReferrer:
		return &e.Referrer
	}
	return e.person(c)
}

// person is the field of a text column that says who it was, or where.
func (e *Event) person(c StringColumn) *string {
	switch c {
	case ColAuthIdentity:
		return &e.AuthIdentity
	case ColAuthAddr:
		return &e.AuthAddr
	case ColAuthEmail:
		return &e.AuthEmail
	case ColUser:
		return &e.UserID
	case ColToken:
		return &e.Token
	case ColNodeHost:
		return &e.NodeHost
	case ColNodeIP:
		return &e.NodeIP
	case ColNodeRegion:
		return &e.NodeRegion
	case ColClientCountry:
		return &e.ClientCountry
	case ColClientRegion:
		return &e.ClientRegion
	case ColClientCity:
		return &e.ClientCity
	}
	panic("an event has no such text column") // cannot happen: they are all above
}

// Complete gives row i a text where it has none, and tells whether it did. It is for whoever owns the batch for the moment.
func (b *Batch) Complete(c StringColumn, i int, text string) bool {
	if b.Strings[c] == nil {
		b.Strings[c] = make([]uint32, b.Len)
	}
	if b.Strings[c][i] != 0 {
		return false
	}
	b.Strings[c][i] = b.Dict.CodeOf(text)
	return true
}

// CompleteTime gives row i a time where it has none.
func (b *Batch) CompleteTime(i int, nanos int64) {
	if b.Ints[IntTime] == nil {
		b.Ints[IntTime] = make([]int64, b.Len)
		for j := range b.Ints[IntTime] {
			b.Ints[IntTime][j] = None
		}
	}
	if b.Ints[IntTime][i] == None {
		b.Ints[IntTime][i] = nanos
	}
}
