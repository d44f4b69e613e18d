package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

// nginxLine is a line of nginx's log: fields as "name=value", separated by blanks, over a usual request.
func nginxLine(fields string) string {
	m := map[string]string{"msec": "1740909600.123", "server": "edge1", "host": "example.com", "remote_addr": "10.0.0.7", "method": "GET",
		"uri": "/film/720p/seg0.ts", "status": "200", "bytes": "1000", "user_agent": "UA"}
	for _, f := range strings.Fields(fields) {
		name, value, _ := strings.Cut(f, "=")
		m[name] = value
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func nginx(t testing.TB, change func(*Format)) *Format {
	f, ok := Preset("nginx")
	if !ok {
		t.Fatal("no preset nginx")
	}
	if change != nil {
		change(&f)
	}
	return &f
}

// readAll reads a log that is whole.
func readAll(t testing.TB, f *Format, o Options, log string) ([]schemas.Event, Summary) {
	t.Helper()
	events, sum, err := tryRead(f, o, log)
	if err != nil {
		t.Fatal(err)
	}
	return events, sum
}

func tryRead(f *Format, o Options, log string) (all []schemas.Event, sum Summary, err error) {
	r, err := Open(f, o, "test.log", strings.NewReader(log), int64(len(log)))
	if err != nil {
		return nil, sum, err
	}
	defer r.Close()
	buf := make([]schemas.Event, 3)
	for {
		n, err := r.Next(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, r.Summary(), nil
		} else if err != nil {
			return all, r.Summary(), err
		}
	}
}

// show writes what the tests look at: object/session track#segment seconds size format flags.
func show(e schemas.Event) string {
	s := e.ObjectID + "/" + e.SessionID + " " + e.Track
	if e.Segment != nil {
		s += fmt.Sprintf("#%d", *e.Segment)
	}
	if e.DurationMicros != nil {
		s += fmt.Sprintf(" %dus", *e.DurationMicros)
	}
	if e.Width != nil {
		s += fmt.Sprintf(" %dx%d", *e.Width, *e.Height)
	}
	for _, text := range []string{e.Codec, e.PlayoutFormat, e.Protocol} {
		if text != "" {
			s += " " + text
		}
	}
	if e.DRM != nil {
		s += map[bool]string{true: " drm", false: " clear"}[*e.DRM]
	}
	if e.Live != nil {
		s += map[bool]string{true: " live", false: " vod"}[*e.Live]
	}
	return s
}

func showAll(events []schemas.Event) string {
	var lines []string
	for _, e := range events {
		lines = append(lines, show(e))
	}
	return strings.Join(lines, "\n")
}

var tenantA = Options{Tenant: "a"}

// cut is a ReaderAt whose connection is lost after n bytes.
type cut struct {
	b []byte
	n int64
}

var errLost = errors.New("connection lost")

func (c cut) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > c.n {
		return 0, errLost
	}
	return bytes.NewReader(c.b).ReadAt(p, off)
}
