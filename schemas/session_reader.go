package schemas

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// sessionFigures are the columns of finished sessions that figures are made of.
type sessionFigures struct {
	SessionID  string         `parquet:"session_id"`
	ObjectID   string         `parquet:"object_id"`
	Start      int64          `parquet:"start,timestamp(nanosecond)"`
	End        int64          `parquet:"end,timestamp(nanosecond)"`
	Begun      bool           `parquet:"begun"`
	Live       bool           `parquet:"live"`
	HasVideo   bool           `parquet:"has_video"`
	Reported   bool           `parquet:"reported"`
	Requests   int64          `parquet:"requests"`
	Errors     int64          `parquet:"errors"`
	Bytes      int64          `parquet:"bytes"`
	VideoUS    int64          `parquet:"video_us"`
	AudioUS    int64          `parquet:"audio_us"`
	Renditions []renditionRow `parquet:"renditions,list"`
}

// ReadSessionFile visits the sessions of a file that [SessionFileWriter] wrote, in its order.
//
//   - Filled: who, when and how much; neither the fields of the viewer nor what was looked up.
//   - Memory: the session holds until visit returns.
//   - Errors: ErrDamaged; what r and visit said.
func ReadSessionFile(r io.ReaderAt, size int64, visit func(*Session) error) (err error) {
	var visited error
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: decoder panic: %v", ErrDamaged, p)
		}
		switch {
		case visited != nil:
			err = visited
		case err != nil && !errors.Is(err, ErrDamaged):
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if err != nil && visited == nil {
			err = fmt.Errorf("finished sessions: %w", err)
		}
	}()
	file, err := parquet.OpenFile(r, size)
	if err != nil {
		return err
	}
	for _, column := range parquet.SchemaOf(sessionFigures{}).Fields() {
		if _, ok := file.Schema().Lookup(column.Name()); !ok && column.Leaf() {
			return fmt.Errorf("%w: no column %s", ErrDamaged, column.Name())
		}
	}
	rows := parquet.NewGenericReader[sessionFigures](file)
	defer rows.Close()
	buf := make([]sessionFigures, 256)
	for left := file.NumRows(); left > 0; {
		n, err := rows.Read(buf)
		for i := range buf[:n] {
			if visited = visit(buf[i].session()); visited != nil {
				return visited
			}
		}
		if left -= int64(n); err != nil && err != io.EOF || n == 0 && left > 0 {
			return fmt.Errorf("%d of %d rows could not be read: %w", left, file.NumRows(), err)
		}
	}
	return nil
}

func (f *sessionFigures) session() *Session {
	s := &Session{SessionID: []byte(f.SessionID), Object: []byte(f.ObjectID), Start: f.Start, End: f.End, Begun: f.Begun, Live: f.Live,
		HasVideo: f.HasVideo, Reported: f.Reported, Requests: f.Requests, Errors: f.Errors, Bytes: SumOf(f.Bytes), Video: SumOf(f.VideoUS),
		Audio: SumOf(f.AudioUS), Duration: None, Percent: None}
	for _, r := range f.Renditions {
		s.Renditions = append(s.Renditions, Rendition(r))
	}
	return s
}
