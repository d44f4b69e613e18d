package logs

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// The elements of a DASH manifest that say which segments there are.
//
//   - Source: ISO/IEC 23009-1.
type (
	mpdDocument struct {
		XMLName  xml.Name    `xml:"MPD"`
		Type     string      `xml:"type,attr"`
		Duration string      `xml:"mediaPresentationDuration,attr"`
		BaseURL  []string    `xml:"BaseURL"`
		Periods  []mpdPeriod `xml:"Period"`
	}
	mpdPeriod struct {
		Start    string   `xml:"start,attr"`
		Duration string   `xml:"duration,attr"`
		BaseURL  []string `xml:"BaseURL"`
		mpdSegments
		Sets []mpdSet `xml:"AdaptationSet"`
	}
	mpdSet struct {
		mpdMedia
		BaseURL         []string            `xml:"BaseURL"`
		Representations []mpdRepresentation `xml:"Representation"`
		mpdSegments
	}
	mpdRepresentation struct {
		ID        string `xml:"id,attr"`
		Bandwidth string `xml:"bandwidth,attr"`
		mpdMedia
		BaseURL []string `xml:"BaseURL"`
		mpdSegments
	}
	mpdMedia struct {
		ContentType string `xml:"contentType,attr"`
		MimeType    string `xml:"mimeType,attr"`
		Codecs      string `xml:"codecs,attr"`
		Width       string `xml:"width,attr"`
		Height      string `xml:"height,attr"`
		Protection  []struct {
			Scheme string `xml:"schemeIdUri,attr"`
		} `xml:"ContentProtection"`
	}
	mpdSegments struct {
		Template *mpdTemplate `xml:"SegmentTemplate"`
		List     *mpdTemplate `xml:"SegmentList"`
		Base     *struct{}    `xml:"SegmentBase"`
	}
	mpdTemplate struct {
		Media          string       `xml:"media,attr"`
		Initialization string       `xml:"initialization,attr"`
		Timescale      string       `xml:"timescale,attr"`
		Duration       string       `xml:"duration,attr"`
		StartNumber    string       `xml:"startNumber,attr"`
		Offset         string       `xml:"presentationTimeOffset,attr"`
		Timeline       *mpdTimeline `xml:"SegmentTimeline"`
		URLs           []mpdURL     `xml:"SegmentURL"`
		Init           *mpdURL      `xml:"Initialization"`
	}
	mpdTimeline struct {
		S []struct {
			T string `xml:"t,attr"`
			D string `xml:"d,attr"`
			R string `xml:"r,attr"`
		} `xml:"S"`
	}
	mpdURL struct {
		Media  string `xml:"media,attr"`
		Range  string `xml:"mediaRange,attr"`
		Source string `xml:"sourceURL,attr"`
	}
)

const (
	widevine  = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed" // the UUIDs of protection systems
	playready = "9a04f079-9840-4286-ab92-e65be0885f95"
	fairplay  = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
)

var errNoMPD = errors.New("is no DASH manifest")

// maxXMLDepth is how deep the elements of a manifest may be nested.
const maxXMLDepth = 64

// addMPD notes the segments of a DASH manifest.
func (p *Playlists) addMPD(name string, text []byte) error {
	if err := checkDepth(text); err != nil {
		return err
	}
	var doc mpdDocument
	if err := xml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%w: %w", errNoMPD, err)
	}
	live := doc.Type == "dynamic"
	if err := p.manifest(name, &listedRendition{protocol: "dash", live: live}); err != nil {
		return err
	}
	whole, _ := isoMicros(doc.Duration)
	base := under(name, doc.BaseURL)
	first := int64(0) // index of the period's first segment
	for i := range doc.Periods {
		period := &doc.Periods[i]
		length, given := isoMicros(period.Duration)
		if !given && len(doc.Periods) == 1 {
			start, _ := isoMicros(period.Start)
			length = max(whole-start, 0)
		}
		w := mpdWork{lists: p, base: under(base, period.BaseURL), length: length, live: live, first: first}
		if err := w.period(period); err != nil {
			return err
		}
		first += w.count
	}
	return nil
}

func checkDepth(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	depth := 0
	for {
		token, err := d.RawToken()
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > maxXMLDepth {
			return errors.New("has elements that are nested too deeply")
		}
		if err != nil {
			return nil // Unmarshal will say it
		}
	}
}

// under is where references lead from, after a base URL.
func under(base string, urls []string) string {
	if len(urls) == 0 {
		return base
	}
	if r := resolve(base, strings.TrimSpace(urls[0])); r != "" {
		return r
	}
	return base
}

// mpdWork is the reading of one period.
type mpdWork struct {
	lists  *Playlists
	base   string
	length int64 // of the period in microseconds; 0: not known
	live   bool
	first  int64 // index of its first segment
	count  int64 // segments of its longest representation
}

func (w *mpdWork) period(p *mpdPeriod) error {
	for i := range p.Sets {
		set := &p.Sets[i]
		base := under(w.base, set.BaseURL)
		for k := range set.Representations {
			rep := &set.Representations[k]
			template := merge(merge(p.Template, set.Template), rep.Template)
			list := merge(merge(p.List, set.List), rep.List)
			if err := w.representation(set, rep, under(base, rep.BaseURL), template, list); err != nil {
				return err
			}
		}
	}
	return nil
}

// merge gives a template what it does not say itself.
func merge(above, own *mpdTemplate) *mpdTemplate {
	if above == nil || own == nil {
		return cmp.Or(own, above)
	}
	t := *own
	t.Media, t.Initialization = cmp.Or(t.Media, above.Media), cmp.Or(t.Initialization, above.Initialization)
	t.Timescale, t.Duration = cmp.Or(t.Timescale, above.Timescale), cmp.Or(t.Duration, above.Duration)
	t.StartNumber, t.Offset = cmp.Or(t.StartNumber, above.StartNumber), cmp.Or(t.Offset, above.Offset)
	t.Timeline, t.Init = cmp.Or(t.Timeline, above.Timeline), cmp.Or(t.Init, above.Init)
	if len(t.URLs) == 0 {
		t.URLs = above.URLs
	}
	return &t
}

// mpdRun is the reading of one representation's segments.
type mpdRun struct {
	*mpdWork
	rep       *mpdRepresentation
	base      string
	rendition *listedRendition
	drm       int8
	format    string

	template           *mpdTemplate
	timescale, start   uint64
	offset, unitLength uint64
}

func (w *mpdWork) representation(set *mpdSet, rep *mpdRepresentation, base string, template, list *mpdTemplate) error {
	r := &mpdRun{mpdWork: w, rep: rep, base: base, rendition: ofRepresentation(set, rep)}
	r.rendition.live = w.live
	r.drm, r.format = protection(set.mpdMedia, rep.mpdMedia)
	switch {
	case template != nil && template.Media != "":
		if err := r.numbers(template); err != nil {
			return err
		}
		return r.segments(func(n, at uint64, micros int64, index int32) error {
			return r.add(resolve(base, r.fill(template.Media, n, at)), "", micros, index)
		})
	case list != nil && len(list.URLs) > 0:
		if err := r.numbers(list); err != nil {
			return err
		}
		return r.list(list)
	}
	l, err := w.lists.at(base)
	if err != nil {
		return err
	}
	if l.rendition == nil && !l.manifest {
		l.rendition, l.ownRanges, l.drm, l.format = r.rendition, true, r.drm, r.format
	}
	return nil
}

// numbers reads what a template counts with, and notes its initialization section.
func (r *mpdRun) numbers(t *mpdTemplate) error {
	r.template = t
	for _, n := range []struct {
		text    string
		to      *uint64
		without uint64
	}{{t.Timescale, &r.timescale, 1}, {t.StartNumber, &r.start, 1}, {t.Offset, &r.offset, 0}, {t.Duration, &r.unitLength, 0}} {
		*n.to = n.without
		if n.text == "" {
			continue
		}
		v, err := strconv.ParseUint(n.text, 10, 63)
		if err != nil {
			return fmt.Errorf("%w: %q is no number", errNoMPD, n.text)
		}
		*n.to = v
	}
	if r.timescale == 0 || r.timescale > 1e10 {
		return fmt.Errorf("%w: a timescale of %d", errNoMPD, r.timescale)
	}
	source := r.fill(t.Initialization, 0, 0)
	if t.Init != nil {
		source = cmp.Or(source, t.Init.Source)
	}
	if source == "" {
		return nil
	}
	l, err := r.lists.at(resolve(r.base, source))
	if err == nil && l.rendition == nil {
		l.rendition, l.init = r.rendition, true
	}
	return err
}

// micros is an instant in microseconds, cut: differences of instants add up exactly.
func (r *mpdRun) micros(at uint64) (int64, bool) {
	hi, lo := bits.Mul64(at, 1_000_000)
	if hi >= r.timescale {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, r.timescale)
	return int64(q), q <= math.MaxInt64
}

// units is the period's length in the template's units, cut.
func (r *mpdRun) units() uint64 {
	hi, lo := bits.Mul64(uint64(r.length), r.timescale)
	if hi >= 1_000_000 {
		return 0
	}
	q, _ := bits.Div64(hi, lo, 1_000_000)
	return q
}

// one calls f for a segment of d units.
func (r *mpdRun) one(f func(n, at uint64, micros int64, index int32) error, k, at, d uint64) error {
	from, ok := r.micros(at)
	to, fits := r.micros(at + d)
	if !ok || !fits || at+d < at || to-from > maxSegmentMicros {
		return fmt.Errorf("%w: a segment is too long or too late", errNoMPD)
	}
	index := r.first + int64(k)
	if r.lists.steps++; index > math.MaxInt32 || r.lists.steps > 4*r.lists.limit {
		return ErrTooManySegments
	}
	r.count = max(r.count, int64(k)+1)
	return f(r.start+k, at, to-from, int32(index))
}

// segments calls f for each segment with its number, its time, its length and its index.
func (r *mpdRun) segments(f func(n, at uint64, micros int64, index int32) error) error {
	if r.template.Timeline != nil {
		return r.timeline(f)
	}
	end := r.units()
	switch {
	case r.unitLength == 0:
		return nil
	case end == 0:
		return r.endless()
	}
	for k, at := uint64(0), uint64(0); at < end; k++ {
		if k > uint64(r.lists.limit) {
			return ErrTooManySegments
		}
		d := min(r.unitLength, end-at)
		if err := r.one(f, k, at, d); err != nil {
			return err
		}
		at += d
	}
	return nil
}

func (r *mpdRun) timeline(f func(n, at uint64, micros int64, index int32) error) error {
	at, k := uint64(0), uint64(0)
	all := r.template.Timeline.S
	number := func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 62) }
	for i, s := range all {
		d, err := number(s.D)
		if err != nil || d == 0 {
			return fmt.Errorf("%w: a segment of the length %q", errNoMPD, s.D)
		}
		if s.T != "" {
			if at, err = number(s.T); err != nil {
				return fmt.Errorf("%w: a segment at %q", errNoMPD, s.T)
			}
		}
		repeat, err := strconv.ParseInt(cmp.Or(s.R, "0"), 10, 32)
		if err != nil {
			return fmt.Errorf("%w: a segment that repeats %q times", errNoMPD, s.R)
		}
		until := uint64(math.MaxUint64)
		if repeat < 0 { // up to the next one, or the end
			if until = r.units() + r.offset; i+1 < len(all) && all[i+1].T != "" {
				until, _ = number(all[i+1].T)
			}
			repeat = math.MaxInt32
		}
		for n := int64(0); n <= repeat && at < until; n++ {
			if err := r.one(f, k, at, d); err != nil {
				return err
			}
			at, k = at+d, k+1
		}
	}
	return nil
}

// list notes the segments that are named one by one.
func (r *mpdRun) list(t *mpdTemplate) error {
	i := 0
	return r.segments(func(n, at uint64, micros int64, index int32) error {
		if i >= len(t.URLs) {
			return nil
		}
		u := t.URLs[i]
		i++
		return r.add(resolve(r.base, u.Media), u.Range, micros, index)
	})
}

// add notes one segment; bytes is a range "from-to" of a file of many.
func (r *mpdRun) add(file, bytes string, micros int64, index int32) error {
	if file == "" {
		return nil
	}
	l, err := r.lists.at(file)
	if err != nil || l.manifest || l.micros > 0 || l.rendition != nil && l.rendition != r.rendition {
		return err
	}
	l.rendition, l.drm, l.format = r.rendition, r.drm, r.format
	if bytes == "" {
		l.micros, l.index = micros, index
		return nil
	}
	a, b, _ := strings.Cut(bytes, "-")
	from, errFrom := strconv.ParseInt(a, 10, 62)
	to, errTo := strconv.ParseInt(b, 10, 62)
	if errFrom != nil || errTo != nil || from < 0 || to < from {
		return fmt.Errorf("%w: a range %q", errNoMPD, bytes)
	}
	return r.lists.addRange(l, listedRange{from, to - from + 1, micros, index})
}

// ofRepresentation is what a representation looks like.
func ofRepresentation(set *mpdSet, rep *mpdRepresentation) *listedRendition {
	r := &listedRendition{protocol: "dash"}
	r.width, r.height = resolution(cmp.Or(rep.Width, set.Width) + "x" + cmp.Or(rep.Height, set.Height))
	kind, _, _ := strings.Cut(cmp.Or(rep.ContentType, set.ContentType, rep.MimeType, set.MimeType), "/")
	var video, audio, text string
	for codec := range strings.SplitSeq(cmp.Or(rep.Codecs, set.Codecs), ",") {
		switch codec = strings.TrimSpace(codec); {
		case isAudioCodec(codec):
			audio = either(audio, codec)
		case isTextCodec(codec):
			text = either(text, codec)
		default:
			video = either(video, codec)
		}
	}
	switch {
	case kind == "audio":
		r.track, r.codec = "audio", either(audio, video)
	case kind == "text", kind == "application", video == "" && audio == "" && text != "":
		r.track, r.codec = "text", text
	case kind == "image":
		r.track = "manifest"
	case video != "" && audio != "":
		r.track, r.codec = "muxed", video
	default:
		r.track, r.codec = "video", video
	}
	return r
}

// protection tells whether media is encrypted, and the name of its format.
func protection(all ...mpdMedia) (drm int8, format string) {
	drm, format = -1, "dash-clear"
	for _, m := range all {
		for _, p := range m.Protection {
			drm = 1
			for _, system := range []struct{ id, format string }{{widevine, "dash-widevine"}, {playready, "dash-playready"}, {fairplay, "dash-fairplay"}} {
				if strings.Contains(strings.ToLower(p.Scheme), system.id) && (format == "dash-clear" || format == "dash-cenc") {
					format = system.format
				}
			}
			if format == "dash-clear" {
				format = "dash-cenc"
			}
		}
	}
	return drm, format
}
