package schemas

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	arrowparquet "github.com/apache/arrow-go/v18/parquet"
	arrowcompress "github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/parquet-go/parquet-go"
	xparquet "github.com/xitongsys/parquet-go/parquet"
)

// writerMatrix is a file of each kind of writer, of n rows.
func writerMatrix(t testing.TB, n int) map[string][]byte {
	rows := samples(n)
	files := map[string][]byte{
		"ours":          parquetOf(busyNode(n)),
		"arrow":         arrowSamples(t, rows, arrow.Microsecond, "UTC", arrowparquet.WithCompression(arrowcompress.Codecs.Snappy)),
		"arrow v2 raw":  arrowSamples(t, rows, arrow.Nanosecond, "", arrowparquet.WithDataPageVersion(arrowparquet.DataPageV2), arrowparquet.WithVersion(arrowparquet.V2_LATEST)),
		"duckdb":        duckdbFile(t, sampleQuery(rows, "epoch_ms"), ", PARQUET_VERSION V2"),
		"xitongsys":     xSamples(t, rows, xparquet.CompressionCodec_GZIP),
		"xitongsys raw": xSamples(t, rows, xparquet.CompressionCodec_UNCOMPRESSED),
	}
	for name := range sampleEncodings {
		files[name] = writeSamples(t, rows, append(encodingOptions(name), parquet.PageBufferSize(700))...)
	}
	files["brotli v1"] = writeSamples(t, rows, append(encodingOptions("dictionary"), parquet.Compression(&parquet.Brotli), parquet.DataPageVersion(1))...)
	files["lz4"] = writeSamples(t, rows, parquet.Compression(&parquet.Lz4Raw))
	return files
}

func TestTruncatedFiles(t *testing.T) {
	for name, data := range writerMatrix(t, 300) {
		for n := 0; n < len(data); n += 1 + len(data)/200 {
			if rows, _, err := readUsage("x.parquet", data[:n]); !errors.Is(err, ErrUnreadable) {
				t.Errorf("%s cut to %d of %d bytes: %d rows, error %v, want ErrUnreadable", name, n, len(data), len(rows), err)
			}
		}
	}
}

func TestFlippedBytes(t *testing.T) {
	silent, tried := 0, 0
	for name, data := range writerMatrix(t, 150) {
		tries := 100
		if name == "ours" || name == "arrow" || name == "xitongsys raw" {
			tries = 500
		}
		rnd := rand.New(rand.NewPCG(7, uint64(len(data))))
		whole, _, err := readUsage("x.parquet", data)
		if err != nil {
			t.Fatal(name, err)
		}
		for range tries {
			flipped := slices.Clone(data)
			var at []int
			for range 1 + rnd.IntN(4) {
				i := rnd.IntN(len(data))
				flipped[i] ^= byte(1 + rnd.IntN(255))
				at = append(at, i)
			}
			began := time.Now()
			got, _, err := readUsage("x.parquet", flipped)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s with bytes %v flipped: took %s", name, at, took)
			}
			tried++
			switch {
			case err != nil && !errors.Is(err, ErrUnreadable):
				t.Errorf("%s with bytes %v flipped: error %v, want ErrUnreadable", name, at, err)
			case err != nil && strings.Contains(err.Error(), "panic"):
				t.Logf("%s with bytes %v flipped: %v", name, at, err)
			case err == nil && len(got) != len(whole):
				t.Errorf("%s with bytes %v flipped: %d rows, want %d or an error", name, at, len(got), len(whole))
			case err == nil && !slices.Equal(got, whole):
				silent++
			}
		}
	}
	t.Logf("%d of %d damaged files read with other values and no error", silent, tried)
}

// TestFlippedPageIsFound flips every byte of the pages of a file with checksums.
func TestFlippedPageIsFound(t *testing.T) {
	data := writeSamples(t, samples(24), encodingOptions("dictionary")...)
	whole, _, err := readUsage("x.parquet", data)
	if err != nil {
		t.Fatal(err)
	}
	footer := len(data) - 8 - int(binary.LittleEndian.Uint32(data[len(data)-8:]))
	for i := 4; i < footer; i++ {
		flipped := slices.Clone(data)
		flipped[i] ^= 0x10
		if got, _, err := readUsage("x.parquet", flipped); err == nil && !slices.Equal(got, whole) {
			t.Errorf("byte %d flipped: other rows and no error", i)
		}
	}
}

func TestFootersThatClaimTooMuch(t *testing.T) {
	footer := func(b []byte) []byte {
		file := append([]byte("PAR1"), b...)
		file = binary.LittleEndian.AppendUint32(file, uint32(len(b)))
		return append(file, "PAR1"...)
	}
	long := binary.AppendUvarint(nil, 1<<31-1)
	tests := map[string][]byte{
		"empty":                      nil,
		"magic only":                 []byte("PAR1"),
		"twice magic":                []byte("PAR1PAR1"),
		"no footer":                  []byte("PAR1\x00\x00\x00\x00PAR1"),
		"footer longer than file":    []byte("PAR1\xff\xff\xff\x7fPAR1"),
		"footer of 4 GiB":            []byte("PAR1\xff\xff\xff\xffPAR1"),
		"encrypted":                  []byte("PAR1\x00\x00\x00\x00PARE"),
		"schema of 2^31 columns":     footer(append([]byte{0x29, 0xfc}, long...)),
		"2^31 row groups":            footer(append([]byte{0x49, 0xfc}, long...)),
		"schema nested 100000 deep":  footer(slices.Repeat([]byte{0x1c}, 100_000)),
		"lists nested 100000 deep":   footer(append([]byte{0x59}, slices.Repeat([]byte{0x19}, 100_000)...)),
		"a text of 2^31 bytes":       footer(append([]byte{0x68}, long...)),
		"a map of 2^31 pairs":        footer(append(append([]byte{0x7b}, long...), 0x88)),
		"a million empty row groups": footer(append(append([]byte{0x49, 0xfc}, binary.AppendUvarint(nil, 1<<20)...), make([]byte, 1<<20)...)),
	}
	for name, data := range tests {
		if _, _, err := readUsage("x.parquet", data); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: error %v, want ErrUnreadable", name, err)
		}
	}
}
