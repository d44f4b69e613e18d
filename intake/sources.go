package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/intake/logs"
	"github.com/playmeter/playmeter/schemas"
)

// Source is a place where somebody else, such as a CDN, drops access logs. Each becomes a usage file, whose
// name is made of the log's: what has one is imported.
//
//   - A log that is replaced is imported again beside the first; lines that both have count once, by their ids.
//   - To import one anew, with other settings, its usage file is removed: the new one takes its place.
type Source struct {
	Name    string
	Logs    *bucket.Bucket
	Prefix  string
	Every   time.Duration
	Format  logs.Format
	Options logs.Options
	// Playlists, if set, is a folder of playlists; it is read anew for each look that finds a log.
	Playlists fs.FS
}

// SourceState is what came of a source so far. It is stored, for whoever asks.
type SourceState struct {
	Source  string    `json:"source"`
	Looked  time.Time `json:"looked"`            // when it was last looked at
	Trouble string    `json:"trouble,omitempty"` // why it could not be
	Logs    int64     `json:"logs"`              // imported
	Lines   int64     `json:"lines"`
	Events  int64     `json:"events"`
	// Skipped are lines that became no events, by reason.
	Skipped map[logs.Reason]int64 `json:"skipped,omitempty"`
	// Unreadable are logs that could not be read at the last look, and why.
	Unreadable map[string]string `json:"unreadable,omitempty"`
}

// Bad is how many lines became no event although they may be usage.
func (s *SourceState) Bad() (n int64) {
	for why, count := range s.Skipped {
		if why.Bad() {
			n += count
		}
	}
	return n
}

// Import imports the logs of a source that have no usage file yet, and counts them in state.
func (s *Source) Import(ctx context.Context, usage *bucket.Bucket, state *SourceState, log *slog.Logger) error {
	done := make(map[string]bool)
	for info, err := range usage.List(ctx, logs.Folder(s.Name), "") {
		if err != nil {
			return fmt.Errorf("source %s: list what is imported: %w", s.Name, err)
		}
		done[info.Key] = true
	}
	state.Unreadable = nil
	options, listed := s.Options, s.Playlists == nil
	for info, err := range s.Logs.List(ctx, s.Prefix, "") {
		if err != nil {
			return fmt.Errorf("source %s: list the logs: %w", s.Name, err)
		}
		key := logs.Key(s.Name, info.Key, strings.Trim(info.ETag, `"`))
		if done[key] || info.Size == 0 || strings.HasSuffix(info.Key, "/") {
			continue
		}
		if !listed {
			if options.Playlists, err = s.readPlaylists(ctx, log); err != nil {
				return err
			}
			listed = true
		}
		sum, err := s.importOne(ctx, usage, options, info, key)
		switch {
		case errors.Is(err, schemas.ErrUnreadable):
			state.note(info.Key, err)
			log.Warn("a log cannot be read; it is tried again later", "source", s.Name, "object", info.Key, "err", err)
			continue
		case errors.Is(err, bucket.ErrNotExist), errors.Is(err, bucket.ErrChanged):
			continue // gone, or replaced meanwhile: the next look finds what there is
		case err != nil:
			return fmt.Errorf("source %s: import %s: %w", s.Name, info.Key, err)
		}
		state.add(&sum)
		log.Info("a log is imported", "source", s.Name, "object", info.Key, "rows", sum.Events, "bad_lines", sum.BadLines())
	}
	return nil
}

// readPlaylists reads the folder of playlists. One that cannot be read is left out and said.
func (s *Source) readPlaylists(ctx context.Context, log *slog.Logger) (*logs.Playlists, error) {
	lists, err := logs.ReadPlaylists(ctx, s.Playlists)
	if err != nil {
		return nil, fmt.Errorf("source %s: read the playlists: %w", s.Name, err)
	}
	for name, why := range lists.Skipped {
		log.Warn("a playlist cannot be read, so its segments are as long as players say", "source", s.Name, "object", name, "err", why)
	}
	return lists, nil
}

// maxUnreadable is how many logs that cannot be read are named.
const maxUnreadable = 100

func (s *SourceState) note(log string, err error) {
	if s.Unreadable == nil {
		s.Unreadable = map[string]string{}
	}
	if len(s.Unreadable) < maxUnreadable {
		s.Unreadable[log] = err.Error()
	}
}

func (s *SourceState) add(sum *logs.Summary) {
	s.Logs, s.Lines, s.Events = s.Logs+1, s.Lines+sum.Lines, s.Events+sum.Events
	if s.Skipped == nil {
		s.Skipped = map[logs.Reason]int64{}
	}
	for why, n := range sum.Skipped {
		s.Skipped[why] += n
	}
}

// importOne makes the usage file of a log. One without events makes an empty one, by which it is known
// to be imported.
func (s *Source) importOne(ctx context.Context, usage *bucket.Bucket, options logs.Options, info bucket.Info, key string) (sum logs.Summary, err error) {
	from, err := openObject(ctx, s.Logs, info)
	if err != nil {
		return sum, err
	}
	r, err := logs.Open(&s.Format, options, info.Key, from, info.Size)
	if err != nil {
		return sum, err
	}
	defer r.Close()
	w, err := usage.Writer(ctx, key)
	if err != nil {
		return sum, err
	}
	if sum, err = logs.Convert(ctx, r, w); err == nil && sum.Events == 0 {
		err = schemas.NewUsageWriter(w).Close()
	}
	if err != nil {
		w.Abort(err)
		return sum, err
	}
	return sum, w.Close()
}

// heldWhole is up to which size a log is held in memory, and blockSize how much is of a larger one.
const (
	heldWhole = 64 << 20
	blockSize = 8 << 20
)

// openObject reads an object at random; nothing of it touches a disk. What it gives has been compared with the
// object's checksum; a large object is read twice for that.
func openObject(ctx context.Context, b *bucket.Bucket, info bucket.Info) (io.ReaderAt, error) {
	if info.Size > heldWhole {
		all, _, err := b.Reader(ctx, info.Key, info.ETag)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, all)
		return &objectBlocks{ctx: ctx, bucket: b, info: info}, errors.Join(err, all.Close())
	}
	data, _, err := b.Get(ctx, info.Key, info.ETag, heldWhole)
	return bytes.NewReader(data), err
}

// objectBlocks reads an object block by block, and holds one.
type objectBlocks struct {
	ctx    context.Context
	bucket *bucket.Bucket
	info   bucket.Info
	first  int64
	block  []byte
}

// ReadAt is io.ReaderAt's.
func (o *objectBlocks) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= o.info.Size {
			return n, io.EOF
		}
		if at < o.first || at >= o.first+int64(len(o.block)) {
			first := at / blockSize * blockSize
			block, err := o.bucket.GetRange(o.ctx, o.info.Key, o.info.ETag, first, min(blockSize, o.info.Size-first))
			if err != nil {
				return n, err
			}
			o.first, o.block = first, block
		}
		n += copy(p[n:], o.block[at-o.first:])
	}
	return n, nil
}

// Sources imports the logs of sources as they come.
type Sources struct {
	List     []*Source
	Usage    *bucket.Bucket
	Metering *bucket.Bucket // where states are stored
	Log      *slog.Logger
}

// Run looks at each source as often as it says, until ctx ends.
func (s *Sources) Run(ctx context.Context) {
	next := make([]time.Time, len(s.List))
	for {
		soonest := time.Now().Add(time.Hour)
		for i, source := range s.List {
			if !time.Now().Before(next[i]) {
				s.Look(ctx, source)
				next[i] = time.Now().Add(source.Every)
			}
			if next[i].Before(soonest) {
				soonest = next[i]
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(soonest)):
		}
	}
}

// Look imports what is new of a source, and stores what came of it.
func (s *Sources) Look(ctx context.Context, source *Source) {
	state, err := ReadSource(ctx, s.Metering, source.Name)
	if err != nil && !errors.Is(err, bucket.ErrNotExist) {
		s.Log.Error("the state of a source cannot be read", "source", source.Name, "err", err)
		return
	}
	before := state.Trouble
	err = source.Import(ctx, s.Usage, &state, s.Log)
	if ctx.Err() != nil {
		return
	}
	if state.Trouble = ""; err != nil {
		if state.Trouble = err.Error(); state.Trouble != before {
			s.Log.Error("logs cannot be imported", "source", source.Name, "err", err)
		}
	}
	state.Source, state.Looked = source.Name, time.Now().UTC().Truncate(time.Second)
	text, err := json.Marshal(state)
	if err == nil {
		_, err = s.Metering.PutBytes(ctx, schemas.SourceName(source.Name), text)
	}
	if err != nil {
		s.Log.Warn("the state of a source cannot be stored", "source", source.Name, "err", err)
	}
}

// maxState bounds the stored state of a source, in bytes.
const maxState = 1 << 20

// ReadSource reads what came of a source. Errors: bucket.ErrNotExist.
func ReadSource(ctx context.Context, metering *bucket.Bucket, name string) (state SourceState, err error) {
	data, _, err := metering.Get(ctx, schemas.SourceName(name), "", maxState)
	if err != nil {
		return state, err
	}
	return state, json.Unmarshal(data, &state)
}

// UnreadableLogs are the logs of a state that cannot be read, in order.
func (s *SourceState) UnreadableLogs() []string { return slices.Sorted(maps.Keys(s.Unreadable)) }
