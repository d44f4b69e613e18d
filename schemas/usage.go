package schemas

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrUnreadable is wrapped by every error that sets a file aside (SPEC 8): the
// bytes are there and are not a usage file, or not a catalog. An error of the
// reader that was handed in (a lost connection) does not wrap it: that is
// worth another try.
var ErrUnreadable = errors.New("unreadable")

// UsageFile is an opened usage file (SPEC 2).
//
//   - Shape: Parts independent parts in row order; a Parquet file has one for
//     each row group, NDJSON has one.
//   - Errors: of Next, and of OpenUsage, name the file and, where one is at fault,
//     the column.
//   - Concurrency: different parts may be read at once by different
//     goroutines when the io.ReaderAt allows it.
type UsageFile struct {
	key     string
	src     *source
	parquet *parquetUsage
	lines   *lineUsage
}

// UsageReader reads the batches of one part of a usage file.
type UsageReader struct {
	file *UsageFile
	from batchSource
	err  error // what Next said last, when it was an error
}

type batchSource interface {
	next() (*Batch, error)
	close()
}

// OpenUsage looks at a usage file before its first row is read. The key says
// by its ending what kind of file it is. A Parquet file whose columns do not
// fit is refused here.
//
// Errors: ErrUnreadable, or what r said.
func OpenUsage(key string, r io.ReaderAt, size int64) (f *UsageFile, err error) {
	f = &UsageFile{key: key, src: &source{r: r, size: size}}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder panic: %v", p)
		}
		if err != nil {
			f, err = nil, f.fail(err)
		}
	}()
	switch ending := usageEnding(key); ending {
	case "":
		return f, errors.New("the name must end in .parquet, .ndjson, .ndjson.gz or .ndjson.zst")
	case ".parquet":
		f.parquet, err = openParquetUsage(f.src)
	default:
		f.lines = &lineUsage{src: f.src, packing: linePacking(ending)}
	}
	return f, err
}

// IsUsageKey tells whether an object of the usage bucket is a usage file: its
// ending is known and no element of its path starts with "_" or ".", as the
// half-written output of other tools does.
func IsUsageKey(key string) bool {
	for element := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(element, "_") || strings.HasPrefix(element, ".") {
			return false
		}
	}
	return usageEnding(key) != ""
}

func usageEnding(key string) string {
	for _, ending := range []string{".parquet", ".ndjson", ".ndjson.gz", ".ndjson.zst"} {
		if strings.HasSuffix(key, ending) {
			return ending
		}
	}
	return ""
}

// Rows is the number of rows, or -1 when it is not known before reading (NDJSON).
func (f *UsageFile) Rows() int64 {
	if f.parquet != nil {
		return f.parquet.rows
	}
	return -1
}

// ExtraColumns names the columns that are not ours, sorted. Of an NDJSON file
// they are known after reading, and at most 100 are kept.
func (f *UsageFile) ExtraColumns() []string {
	if f.parquet != nil {
		return f.parquet.extra
	}
	return f.lines.extraFields()
}

// Parts is the number of parts that may be read independently.
func (f *UsageFile) Parts() int {
	if f.parquet != nil {
		return len(f.parquet.groups)
	}
	return 1
}

// Part begins to read part i, which counts from 0. Every part has its own Dict.
func (f *UsageFile) Part(i int) *UsageReader {
	if f.parquet != nil {
		return &UsageReader{file: f, from: f.parquet.part(i)}
	}
	return &UsageReader{file: f, from: f.lines.part()}
}

// Next returns the next batch, at most [MaxBatch] rows, or io.EOF at the end.
// The batch holds until the next call. After an error every call returns it again.
//
// Errors: io.EOF; ErrUnreadable, also for a panic of a decoder; what the
// io.ReaderAt said.
func (r *UsageReader) Next() (b *Batch, err error) {
	if r.err != nil {
		return nil, r.err
	}
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("decoder panic: %v", p)
		}
		if err != nil && err != io.EOF {
			b, err = nil, r.file.fail(err)
		}
		r.err = err
	}()
	return r.from.next()
}

// Close gives the reader's memory back. The last batch is not to be used any more.
func (r *UsageReader) Close() error {
	if r.from != nil {
		r.from.close()
		r.from, r.err = nil, io.ErrClosedPipe
	}
	return nil
}

// MaxBatch is the most rows that a batch has.
const MaxBatch = 16 << 10

// maxText is the longest text of a usage file in bytes, and the longest line
// of NDJSON. A longer text is a bad value.
const maxText = 1 << 20

// maxDict is the size from which a reader begins a new dictionary.
const maxDict = 64 << 20

// fail puts the file's name before err, and the word unreadable unless
// the source itself failed.
func (f *UsageFile) fail(err error) error {
	if broken := f.src.failure(); broken != nil {
		return fmt.Errorf("usage file %q: %w", f.key, broken)
	}
	return fmt.Errorf("usage file %q: %w: %w", f.key, ErrUnreadable, err)
}
