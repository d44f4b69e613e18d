package schemas

import (
	"encoding/binary"
	"fmt"
)

// Measure says what a [SumRow] adds up.
type Measure uint8

// The measures. Those of the first group count rows of a tenant and hour and
// have no object; MeasureNodeEvents and MeasureNodeDuplicates have the node in
// its place; the rest belong to an object.
const (
	MeasureRead       Measure = iota + 1 // rows of the tenant
	MeasureRejected                      // Codec is the reason
	MeasureAfter                         // rows at or after the as-of
	MeasureDuplicate                     // copies that were not counted
	MeasureDiffering                     // of these, copies that differ from the one counted
	MeasureMismatch                      // rows whose version hash names another object
	MeasureFormat                        // rows of a playout format that is not recognised; Codec is the format
	MeasureNodeEvents                    // rows of a node, and its bytes
	MeasureNodeDuplicates
	MeasureError       // status 400 to 499 but 499
	MeasureServerError // status 500 and above
	MeasureVideo       // playout: video and muxed, with seconds
	MeasureAudio       // playout: audio, with seconds
	MeasurePlayout     // playout: requests without seconds
	MeasureDataDownload
	MeasurePublicDownload
	MeasureMedia
	MeasureUpdate
	MeasureRep
	MeasureIngestVideo // sizes and codecs of destination and source
	MeasureIngestAudio // Codec is the destination's
	MeasureIngest      // ingest without seconds
	MeasureRecord      // `session` records, each an access of its object; what they count is in fragments
	numMeasures
)

// SumRow is one additive figure of a tally: rows of the same place and
// dimensions add up, and a row that would overflow is written as two.
type SumRow struct {
	Hour    Hour
	Day     bool   // the row is of the whole day that begins with Hour, over all files of its pack; File is 0
	File    uint32 // index of the file among its pack's members
	Measure Measure
	DRM     bool
	Object  []byte // or the node
	Width   int32
	Height  int32
	Codec   []byte // as in the usage file; lower-cased for ingest
	// Of ingest only.
	SourceCodec  []byte
	SourceWidth  int32
	SourceHeight int32

	Count  int64
	Bytes  int64
	Micros int64

	// Library is the earliest library that an event of this object and hour (or day)
	// names; on one row of each object and hour at most.
	Library Pick
}

const (
	sumDRM = 1 << iota
	sumSize
	sumCodec
	sumSource
	sumBytes
	sumMicros
	sumLibrary
	sumDay
)

// AppendSumRow appends the encoding of r.
//
//   - Source: docs/formats.md, "Sum".
func AppendSumRow(b []byte, r *SumRow) []byte {
	flags := byte(0)
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	set(r.DRM, sumDRM)
	set(r.Width|r.Height != 0, sumSize)
	set(len(r.Codec) > 0, sumCodec)
	set(len(r.SourceCodec) > 0 || r.SourceWidth|r.SourceHeight != 0, sumSource)
	set(r.Bytes != 0, sumBytes)
	set(r.Micros != 0, sumMicros)
	set(len(r.Library.Value) > 0, sumLibrary)
	set(r.Day, sumDay)
	b = append(b, byte(r.Measure), flags)
	b = binary.AppendUvarint(b, uint64(r.Hour))
	b = binary.AppendUvarint(b, uint64(r.File))
	b = appendText(b, r.Object)
	if flags&sumSize != 0 {
		b = binary.AppendUvarint(b, uint64(r.Width))
		b = binary.AppendUvarint(b, uint64(r.Height))
	}
	if flags&sumCodec != 0 {
		b = appendText(b, r.Codec)
	}
	if flags&sumSource != 0 {
		b = appendText(b, r.SourceCodec)
		b = binary.AppendUvarint(b, uint64(r.SourceWidth))
		b = binary.AppendUvarint(b, uint64(r.SourceHeight))
	}
	b = binary.AppendUvarint(b, uint64(r.Count))
	if flags&sumBytes != 0 {
		b = binary.AppendUvarint(b, uint64(r.Bytes))
	}
	if flags&sumMicros != 0 {
		b = binary.AppendUvarint(b, uint64(r.Micros))
	}
	if flags&sumLibrary != 0 {
		b = appendText(b, r.Library.Value)
		b = binary.AppendUvarint(b, uint64(r.Library.Time-r.Hour.Start()))
		b = binary.AppendUvarint(b, seqRank(r.Library.Seq)+1)
	}
	return b
}

// DecodeSumRow reads one encoded row into r; its texts point into b. Errors:
// ErrDamaged.
func DecodeSumRow(b []byte, r *SumRow) error {
	d := decoder{rest: b}
	*r = SumRow{Measure: Measure(d.byte())}
	if r.Measure == 0 || r.Measure >= numMeasures {
		d.fail("unknown measure")
	}
	flags := d.byte()
	r.DRM, r.Day = flags&sumDRM != 0, flags&sumDay != 0
	r.Hour = Hour(d.limited(1 << 24))
	r.File = uint32(d.limited(1<<32 - 1))
	r.Object = d.text()
	if flags&sumSize != 0 {
		r.Width, r.Height = int32(d.limited(1<<31-1)), int32(d.limited(1<<31-1))
	}
	if flags&sumCodec != 0 {
		r.Codec = d.text()
	}
	if flags&sumSource != 0 {
		r.SourceCodec = d.text()
		r.SourceWidth, r.SourceHeight = int32(d.limited(1<<31-1)), int32(d.limited(1<<31-1))
	}
	r.Count = d.amount()
	if flags&sumBytes != 0 {
		r.Bytes = d.amount()
	}
	if flags&sumMicros != 0 {
		r.Micros = d.amount()
	}
	if flags&sumLibrary != 0 {
		span := hourNanos
		if r.Day {
			span = dayNanos
		}
		r.Library.Value = d.text()
		r.Library.Time = r.Hour.Start() + d.limited(span-1)
		if r.Library.Seq = int64(d.uvarint() - 1); r.Library.Seq < 0 {
			r.Library.Seq = None
		}
	}
	if len(d.rest) > 0 {
		d.fail("bytes left over")
	}
	if d.err != nil {
		return fmt.Errorf("sum: %w", d.err)
	}
	return nil
}
