package schemas

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// UsageWriter writes a usage file in Parquet: zstd, dictionaries, a checksum
// for every page, row groups of a million rows.
//
//   - The file is whole only when Close has returned nil.
//   - Memory: a row group is held compressed until it is full; a dictionary that
//     passes 4 MiB gives way to plain texts.
//   - Not for use by several goroutines at once.
type UsageWriter struct {
	w *parquet.GenericWriter[Event]
}

const (
	rowsPerGroup   = 1_000_000
	pageBytes      = 256 << 10
	dictionaryMost = 4 << 20
)

// NewUsageWriter writes a usage file to w.
func NewUsageWriter(w io.Writer) *UsageWriter {
	return &UsageWriter{parquet.NewGenericWriter[Event](w,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		parquet.MaxRowsPerRowGroup(rowsPerGroup),
		parquet.PageBufferSize(pageBytes),
		parquet.DictionaryMaxBytes(dictionaryMost),
		parquet.DefaultEncodingFor(parquet.Int64, &parquet.DeltaBinaryPacked),
		parquet.CreatedBy("playmeter", "1", ""),
	)}
}

// Write appends events.
func (u *UsageWriter) Write(events []Event) error {
	if _, err := u.w.Write(events); err != nil {
		return fmt.Errorf("write usage events: %w", err)
	}
	return nil
}

// Close writes the footer. It does not close the io.Writer.
func (u *UsageWriter) Close() error {
	if err := u.w.Close(); err != nil {
		return fmt.Errorf("close usage file: %w", err)
	}
	return nil
}
