package schemas

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sampleRow is a usage event for the writers of the matrix; nil is null. A
// pointer struct, so that parquet-go writes optional columns.
type sampleRow struct {
	Node    string  `parquet:"node_id"`
	Seq     *int64  `parquet:"seq,optional"`
	EventID *string `parquet:"event_id,optional"`
	Time    int64   `parquet:"time,timestamp(millisecond)"`
	Tenant  string  `parquet:"tenant_id"`
	Kind    string  `parquet:"kind"`
	Object  *string `parquet:"object_id,optional"`
	Bytes   *int64  `parquet:"bytes,optional"`
	Status  *int32  `parquet:"status,optional"`
	DRM     *bool   `parquet:"drm,optional"`
	Width   *int32  `parquet:"width,optional"`
	Agent   *string `parquet:"user_agent,optional"`
	Opened  *int64  `parquet:"opened_at,optional,timestamp(millisecond)"`
}

// samples makes n rows with every mix of nulls: runs of them, single ones, and
// columns with few and with many distinct values. Times are milliseconds.
func samples(n int) []sampleRow {
	rows := make([]sampleRow, n)
	start := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for i := range rows {
		r := sampleRow{Node: "node" + strconv.Itoa(i/100), Time: start + int64(i)*1237, Tenant: "iten" + strconv.Itoa(i%3), Kind: "playout"}
		if i%11 != 3 {
			r.Seq = new(int64(i) - 5)
		}
		if i%5 == 0 {
			r.EventID = new(fmt.Sprintf("event-%06d", i*7919))
		}
		if i > 64 {
			r.Object = new(fmt.Sprintf("iq__%d-é", i%17))
		}
		if i/50%2 == 0 {
			r.Bytes = new(int64(i) << (i % 40))
		}
		if i%2 == 0 {
			r.Status = new(int32(200 + i%4))
		}
		if i%7 < 4 {
			r.DRM = new(i%3 == 0)
		}
		if i%13 == 0 {
			r.Width = new(int32(i))
		}
		if i%3 > 0 {
			r.Agent = new(strings.Repeat("agent ", i%9) + strconv.Itoa(i%29))
		}
		if i%19 == 0 {
			r.Opened = new(start + int64(i))
		}
		rows[i] = r
	}
	return rows
}

// wantRows shows the rows as showRow does.
func wantRows(rows []sampleRow) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		var s strings.Builder
		text := func(name string, v *string) {
			if v != nil && *v != "" {
				fmt.Fprintf(&s, " %s=%s", name, *v)
			}
		}
		number := func(name string, v *int64) {
			if v != nil {
				fmt.Fprintf(&s, " %s=%d", name, *v)
			}
		}
		fmt.Fprintf(&s, "%d:", i)
		text("node_id", &r.Node)
		text("tenant_id", &r.Tenant)
		text("kind", &r.Kind)
		text("object_id", r.Object)
		text("user_agent", r.Agent)
		number("time", new(r.Time*1e6))
		number("seq", r.Seq)
		number("bytes", r.Bytes)
		if r.Status != nil {
			number("status", new(int64(*r.Status)))
		}
		if r.Width != nil {
			number("width", new(int64(*r.Width)))
		}
		if r.Opened != nil {
			number("opened_at", new(*r.Opened*1e6))
		}
		if r.DRM != nil {
			number("drm", new(map[bool]int64{true: 1}[*r.DRM]))
		}
		text("event_id", r.EventID)
		out[i] = s.String()
	}
	return out
}

// readUsage reads a whole file and shows every row: "0: node_id=n time=… bytes=12 bad_value".
// What is empty or not given is left out.
func readUsage(key string, data []byte) (rows []string, extra []string, err error) {
	f, err := OpenUsage(key, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, nil, err
	}
	for i := range f.Parts() {
		r := f.Part(i)
		defer r.Close()
		for {
			b, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return rows, nil, err
			}
			for k := range b.Len {
				rows = append(rows, showRow(b, k))
			}
		}
	}
	if n := f.Rows(); n >= 0 && n != int64(len(rows)) {
		return rows, nil, fmt.Errorf("%d rows read, %d promised", len(rows), n)
	}
	return rows, f.ExtraColumns(), nil
}

func showRow(b *Batch, i int) string {
	s := fmt.Appendf(nil, "%d:", b.FirstRow+int64(i))
	for c, codes := range b.Strings {
		if codes != nil && codes[i] != 0 {
			s = fmt.Appendf(s, " %s=%s", StringColumn(c).Name(), b.Dict.Text(codes[i]))
		}
	}
	for c, numbers := range b.Ints {
		if numbers != nil && numbers[i] != None {
			s = fmt.Appendf(s, " %s=%d", IntColumn(c).Name(), numbers[i])
		}
	}
	if b.EventID != nil && len(b.EventID.At(i)) > 0 {
		s = fmt.Appendf(s, " event_id=%s", b.EventID.At(i))
	}
	if b.Bad != nil && b.Bad[i] != ReasonNone {
		s = fmt.Appendf(s, " %s", b.Bad[i])
	}
	return string(s)
}

// sameRows compares rows and prints the first that differ, both sides.
func sameRows(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("row %d is missing: %s", i, want[i])
		case i >= len(want):
			t.Fatalf("row %d is too many: %s", i, got[i])
		case got[i] != want[i]:
			t.Fatalf("row %d\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}

func sameFile(t *testing.T, data []byte, want []string) {
	t.Helper()
	got, _, err := readUsage("x.parquet", data)
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, got, want)
}
