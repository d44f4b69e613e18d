package accounting

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/playmeter/playmeter/schemas"
)

// Joiner puts sessions together from fragments that come in the order of
// schemas.CompareFragments. What it emits is a pure function of the set of
// fragments: neither the files that they came from nor ties in their order show.
type Joiner struct {
	bounds Bounds
	finish *Finisher
	emit   func(*schemas.Session) error

	key     schemas.SessionKey
	open    bool // a key was met
	played  bool // the key has a request in the period that is no error
	errors  int64
	stretch stretch
	now     record // newest record in the period
	before  record // newest record before it
	out     schemas.Session
}

// NewJoiner joins the fragments of one tenant inside the bounds. The session
// that emit is handed holds until emit returns.
func NewJoiner(bounds Bounds, finish *Finisher, emit func(*schemas.Session) error) *Joiner {
	return &Joiner{bounds: bounds, finish: finish, emit: emit}
}

// Add takes the next fragment.
func (j *Joiner) Add(f *schemas.Fragment) error {
	if !j.bounds.wants(f) {
		return nil
	}
	if j.open && f.Key != j.key {
		if err := j.endKey(); err != nil {
			return err
		}
	}
	j.open, j.key = true, f.Key
	in := j.bounds.place(f.Hour) == placeIn
	if f.Kind == schemas.FragmentRecord {
		if in {
			j.now.keep(f)
		} else {
			j.before.keep(f)
		}
		return nil
	}
	if j.stretch.open && f.First-j.stretch.last > j.idle(f) {
		if err := j.endStretch(); err != nil {
			return err
		}
	}
	j.stretch.join(f, in)
	if in {
		j.played = j.played || f.Requests > 0
		j.errors += f.Errors
	}
	return nil
}

func (j *Joiner) idle(f *schemas.Fragment) int64 {
	if len(f.SessionID) == 0 {
		return int64(j.bounds.Idle.WithoutID)
	}
	return int64(j.bounds.Idle.WithID)
}

// Close emits what is still open.
func (j *Joiner) Close() error {
	if !j.open {
		return nil
	}
	return j.endKey()
}

func (j *Joiner) endStretch() error {
	s := &j.stretch
	defer s.reset()
	if s.session.Requests == 0 {
		return nil
	}
	return j.send(&s.session, !s.begunBefore)
}

func (j *Joiner) endKey() error {
	if j.stretch.open {
		if err := j.endStretch(); err != nil {
			return err
		}
	}
	var err error
	if !j.played && j.now.open {
		err = j.sendRecord()
	}
	j.now.open, j.before.open, j.played, j.open, j.errors = false, false, false, false, 0
	return err
}

// send finishes a session of playout events.
func (j *Joiner) send(a *accumulated, begun bool) error {
	a.order()
	s := &j.out
	*s = schemas.Session{Key: j.finish.Mask.sessionKey(j.key), SessionID: a.sessionID, Object: a.object, Start: a.start, End: a.last, Begun: begun, Live: a.live,
		Requests: a.Requests, Errors: a.errors, Bytes: a.bytes, Video: a.video, Audio: a.audio,
		HasVideo:   !a.video.IsZero() || len(a.videoSet) > 0,
		Renditions: a.renditions, Shares: a.shares}
	for i := range a.fields {
		s.Fields[i] = a.fields[i].Value
	}
	if len(s.SessionID) == 0 {
		s.SessionID = madeUpID(s.Key, s.Start)
	}
	set, long := a.videoSet, a.longVideo
	if !s.HasVideo {
		set, long = a.audioSet, a.longAudio
	}
	j.finish.session(s, set.Count(), long)
	return j.emit(s)
}

// madeUpID is the id of a session that came without one (R7).
func madeUpID(key schemas.SessionKey, start int64) []byte {
	id := hex.AppendEncode(make([]byte, 0, 32), key[:8])
	id = append(id, '-')
	return strconv.AppendInt(id, start/1e6, 10)
}

// sendRecord finishes a session that its server reported (R8).
func (j *Joiner) sendRecord() error {
	f := &j.now.fragment
	var base schemas.Fragment
	if j.before.open {
		base = j.before.fragment
	}
	view := max(0, f.LongVideo-base.LongVideo)
	served := max(0, f.Bytes-base.Bytes)
	s := &j.out
	*s = schemas.Session{Key: j.finish.Mask.sessionKey(j.key), SessionID: f.SessionID, Object: f.Object, Start: recordStart(f, j.bounds.From), Begun: !j.before.open,
		Live: f.Live, Reported: true, Requests: 1, Errors: j.errors, Bytes: schemas.SumOf(served)}
	s.End = f.Start
	if f.Closed != schemas.None && f.Closed <= f.Start && f.Closed >= s.Start {
		s.End = f.Closed
	}
	for i := range f.Fields {
		s.Fields[i] = f.Fields[i].Value
	}
	for _, share := range f.Shares {
		share.Bytes = served
		share.Video, share.Audio = min(share.Video, view), min(share.Audio, view)
		s.Shares = append(s.Shares, share)
	}
	for _, r := range f.Renditions {
		r.Micros = view
		s.Renditions = append(s.Renditions, r)
		if r.Audio {
			s.Audio.Add(view)
		} else {
			s.Video.Add(view)
		}
	}
	s.HasVideo = !s.Video.IsZero()
	if len(s.SessionID) == 0 {
		s.SessionID = madeUpID(s.Key, s.Start)
	}
	j.finish.session(s, 0, 0)
	return j.emit(s)
}

// recordStart is when a reported session began, not before the period.
func recordStart(f *schemas.Fragment, from int64) int64 {
	start := f.Opened
	if start == schemas.None {
		start = f.Start - f.LongVideo*1000
	}
	return max(min(start, f.Start), from)
}

// record keeps the newest of several records.
type record struct {
	open     bool
	fragment schemas.Fragment
	buf      []byte
}

func (r *record) keep(f *schemas.Fragment) {
	if r.open && CompareRecords(f, &r.fragment) <= 0 {
		return
	}
	r.open = true
	r.buf = schemas.AppendFragment(r.buf[:0], f)
	if err := schemas.DecodeFragment(r.buf, &r.fragment); err != nil {
		panic(fmt.Sprintf("a fragment does not survive its own encoding: %v", err)) // cannot happen
	}
}

// stretch is playback without a pause longer than the idle time, joined from
// fragments; what lies before the period only tells whether it began there.
type stretch struct {
	open        bool
	last        int64
	begunBefore bool
	session     accumulated
}

// accumulated is the part of a stretch that lies in the period.
type accumulated struct {
	any        bool
	object     []byte
	sessionID  []byte
	start      int64
	last       int64
	live       bool
	Requests   int64
	errors     int64
	bytes      schemas.Sum
	video      schemas.Sum
	audio      schemas.Sum
	fields     [schemas.NumFields]schemas.Pick
	renditions []schemas.Rendition
	shares     []schemas.Share
	videoSet   schemas.Segments
	audioSet   schemas.Segments
	longVideo  int64
	longAudio  int64
	arena      []byte
}

func (s *stretch) reset() {
	a := &s.session
	*s = stretch{session: accumulated{renditions: a.renditions[:0], shares: a.shares[:0], videoSet: a.videoSet[:0], audioSet: a.audioSet[:0], arena: a.arena[:0]}}
}

func (s *stretch) join(f *schemas.Fragment, in bool) {
	if !s.open || f.Last > s.last {
		s.last = f.Last
	}
	s.open = true
	if !in {
		s.begunBefore = s.begunBefore || f.Requests > 0
		return
	}
	s.session.join(f)
}

// join adds a fragment; every step is commutative.
func (a *accumulated) join(f *schemas.Fragment) {
	if !a.any {
		a.any, a.start = true, schemas.None
		a.object, a.sessionID = a.keep(f.Object), a.keep(f.SessionID)
	}
	a.last = max(a.last, f.Last)
	if f.Start != schemas.None && (a.start == schemas.None || f.Start < a.start) {
		a.start = f.Start
	}
	a.live = a.live || f.Live
	a.Requests += f.Requests
	a.errors += f.Errors
	a.bytes.Add(f.Bytes)
	for i := range f.Fields {
		if p := &f.Fields[i]; len(p.Value) > 0 && (len(a.fields[i].Value) == 0 || p.Before(&a.fields[i])) {
			a.fields[i] = schemas.Pick{Value: a.keep(p.Value), Time: p.Time, Seq: p.Seq}
		}
	}
	for _, r := range f.Renditions {
		a.rendition(r)
	}
	for _, share := range f.Shares {
		a.share(share)
	}
	a.videoSet.Join(f.Video)
	a.audioSet.Join(f.Audio)
	a.longVideo, a.longAudio = max(a.longVideo, f.LongVideo), max(a.longAudio, f.LongAudio)
}

// keep copies a text that outlives its fragment.
func (a *accumulated) keep(b []byte) []byte {
	at := len(a.arena)
	a.arena = append(a.arena, b...)
	return a.arena[at:len(a.arena):len(a.arena)]
}

func (a *accumulated) rendition(r schemas.Rendition) {
	if r.Audio {
		a.audio.Add(r.Micros)
	} else {
		a.video.Add(r.Micros)
	}
	i := slices.IndexFunc(a.renditions, func(q schemas.Rendition) bool {
		q.Micros = r.Micros
		return q == r
	})
	if i >= 0 {
		a.renditions[i].Micros = saturate(a.renditions[i].Micros, r.Micros)
		return
	}
	a.renditions = append(a.renditions, r)
}

func (a *accumulated) share(s schemas.Share) {
	for i := range a.shares {
		mine := &a.shares[i]
		if string(mine.Node) == string(s.Node) {
			mine.Requests += s.Requests
			mine.Bytes = saturate(mine.Bytes, s.Bytes)
			mine.Video = saturate(mine.Video, s.Video)
			mine.Audio = saturate(mine.Audio, s.Audio)
			return
		}
	}
	s.Node = a.keep(s.Node)
	a.shares = append(a.shares, s)
}

// order sorts what came in the order of the files.
func (a *accumulated) order() {
	slices.SortFunc(a.renditions, func(x, y schemas.Rendition) int {
		return cmp.Or(compareBools(x.Audio, y.Audio), compareBools(x.DRM, y.DRM), cmp.Compare(x.Width, y.Width), cmp.Compare(x.Height, y.Height))
	})
	slices.SortFunc(a.shares, func(x, y schemas.Share) int { return bytes.Compare(x.Node, y.Node) })
}

func compareBools(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

// saturate adds two amounts of a breakdown of a session, which serves statistics only;
// eight exabytes are as many as it shows.
func saturate(a, b int64) int64 {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return 1<<63 - 1
}
