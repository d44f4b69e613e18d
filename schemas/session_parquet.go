package schemas

import (
	"encoding/hex"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
)

// sessionRow is a finished session as a Parquet row: the columns of the
// sessions report under their own names, and what statistics need besides. Integers
// saturate where a total is beyond 2^63-1; the CSV, made from the same sessions,
// does not.
type sessionRow struct {
	Key           string         `parquet:"key,zstd"`
	SessionID     string         `parquet:"session_id,zstd"`
	ObjectID      string         `parquet:"object_id,dict,zstd"`
	Start         int64          `parquet:"start,timestamp(nanosecond),zstd"`
	End           int64          `parquet:"end,timestamp(nanosecond),zstd"`
	Begun         bool           `parquet:"begun"`
	Live          bool           `parquet:"live"`
	HasVideo      bool           `parquet:"has_video"`
	Reported      bool           `parquet:"reported"`
	Requests      int64          `parquet:"requests,zstd"`
	Errors        int64          `parquet:"errors,zstd"`
	Bytes         int64          `parquet:"bytes,zstd"`
	VideoUS       int64          `parquet:"video_us,zstd"`
	AudioUS       int64          `parquet:"audio_us,zstd"`
	WatchedUS     int64          `parquet:"watched_us,zstd"`
	DurationUS    *int64         `parquet:"duration_us,optional,zstd"`
	PctHundredths *int64         `parquet:"pct_watched_hundredths,optional,zstd"`
	Title         string         `parquet:"title,dict,zstd"`
	TitleID       string         `parquet:"ip_title_id,dict,zstd"`
	Platform      string         `parquet:"platform,dict,zstd"`
	OS            string         `parquet:"os,dict,zstd"`
	Device        string         `parquet:"device,dict,zstd"`
	NodeID        string         `parquet:"node_id,dict,zstd"`
	Version       string         `parquet:"version_hash,dict,zstd"`
	Offering      string         `parquet:"offering,dict,zstd"`
	Format        string         `parquet:"playout_format,dict,zstd"`
	Protocol      string         `parquet:"protocol,dict,zstd"`
	ClientIP      string         `parquet:"client_ip,dict,zstd"`
	UserAgent     string         `parquet:"user_agent,dict,zstd"`
	Referrer      string         `parquet:"referrer,dict,zstd"`
	AuthIdentity  string         `parquet:"auth_identity,dict,zstd"`
	AuthAddr      string         `parquet:"auth_addr,dict,zstd"`
	AuthEmail     string         `parquet:"auth_email,dict,zstd"`
	UserID        string         `parquet:"user_id,dict,zstd"`
	TokenHash     string         `parquet:"token_sha256,dict,zstd"`
	NodeHost      string         `parquet:"node_host,dict,zstd"`
	NodeIP        string         `parquet:"node_ip,dict,zstd"`
	NodeRegion    string         `parquet:"node_region,dict,zstd"`
	ClientCountry string         `parquet:"client_country,dict,zstd"`
	ClientRegion  string         `parquet:"client_region,dict,zstd"`
	ClientCity    string         `parquet:"client_city,dict,zstd"`
	Renditions    []renditionRow `parquet:"renditions,list"`
	Nodes         []shareRow     `parquet:"nodes,list"`
}

type renditionRow struct {
	Audio  bool  `parquet:"audio"`
	DRM    bool  `parquet:"drm"`
	Width  int32 `parquet:"width"`
	Height int32 `parquet:"height"`
	Micros int64 `parquet:"us"`
}

type shareRow struct {
	Node     string `parquet:"node_id,dict"`
	Requests int64  `parquet:"requests"`
	Bytes    int64  `parquet:"bytes"`
	VideoUS  int64  `parquet:"video_us"`
	AudioUS  int64  `parquet:"audio_us"`
}

// SessionFileWriter writes finished sessions as a Parquet file.
//
//   - Shape: in the order given, which is that of the report.
//   - Source: docs/formats.md, "Finished sessions".
type SessionFileWriter struct {
	w    *parquet.GenericWriter[sessionRow]
	rows []sessionRow
	size int // bytes of the texts since the last row group
}

// sessionGroup bounds the texts of a row group, in bytes: some readers hold as much as a column of one at once.
const sessionGroup = 32 << 20

// NewSessionFileWriter begins a file on w.
func NewSessionFileWriter(w io.Writer) *SessionFileWriter {
	return &SessionFileWriter{w: parquet.NewGenericWriter[sessionRow](w, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("playmeter", "1", ""))}
}

// Write appends a session.
func (w *SessionFileWriter) Write(s *Session) error {
	w.rows = append(w.rows, rowOfSession(s))
	w.size += len(s.SessionID) + len(s.Object) + len(s.Title) + len(s.TitleID) + len(s.Device)
	for _, f := range s.Fields {
		w.size += len(f)
	}
	if len(w.rows) < 1000 && w.size < sessionGroup {
		return nil
	}
	if err := w.flush(); err != nil || w.size < sessionGroup {
		return err
	}
	w.size = 0
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("write finished sessions: %w", err)
	}
	return nil
}

func (w *SessionFileWriter) flush() error {
	if _, err := w.w.Write(w.rows); err != nil {
		return fmt.Errorf("write finished sessions: %w", err)
	}
	w.rows = w.rows[:0]
	return nil
}

// Close ends the file, which is whole only when it returns nil.
func (w *SessionFileWriter) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("write finished sessions: %w", err)
	}
	return nil
}

func rowOfSession(s *Session) sessionRow {
	f := func(i Field) string { return string(s.Fields[i]) }
	row := sessionRow{Key: hex.EncodeToString(s.Key[:]), SessionID: string(s.SessionID), ObjectID: string(s.Object), Start: s.Start, End: s.End,
		Begun: s.Begun, Live: s.Live, HasVideo: s.HasVideo, Reported: s.Reported, Requests: s.Requests, Errors: s.Errors,
		Bytes: s.Bytes.saturated(), VideoUS: s.Video.saturated(), AudioUS: s.Audio.saturated(), WatchedUS: s.Watched().saturated(),
		DurationUS: optional(s.Duration), PctHundredths: optional(s.Percent), Title: string(s.Title), TitleID: string(s.TitleID),
		Platform: string(s.Platform), OS: string(s.OS), Device: string(s.Device),
		NodeID: f(FieldNode), Version: f(FieldVersion), Offering: f(FieldOffering), Format: f(FieldFormat), Protocol: f(FieldProtocol),
		ClientIP: f(FieldClientIP), UserAgent: f(FieldUserAgent), Referrer: f(FieldReferrer), AuthIdentity: f(FieldAuthIdentity),
		AuthAddr: f(FieldAuthAddr), AuthEmail: f(FieldAuthEmail), UserID: f(FieldUser), TokenHash: f(FieldToken), NodeHost: f(FieldNodeHost),
		NodeIP: f(FieldNodeIP), NodeRegion: f(FieldNodeRegion), ClientCountry: f(FieldClientCountry), ClientRegion: f(FieldClientRegion),
		ClientCity: f(FieldClientCity)}
	for _, r := range s.Renditions {
		row.Renditions = append(row.Renditions, renditionRow(r))
	}
	for _, n := range s.Shares {
		row.Nodes = append(row.Nodes, shareRow{string(n.Node), n.Requests, n.Bytes, n.Video, n.Audio})
	}
	return row
}

func optional(n int64) *int64 {
	if n == None {
		return nil
	}
	return &n
}

// saturated is the total as an int64, or the largest one.
func (s Sum) saturated() int64 {
	if s.Hi != 0 || s.Lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(s.Lo)
}
