package logs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// batch is how many events are written at once.
const batch = 1024

// Convert reads a log to its end and writes the usage file of its events, in Parquet. The same log, format
// and playlists give the same bytes. A log without events writes nothing.
//
//   - Errors: what [Reader.Next] says; of the writer; ctx's. What was written is no file then.
func Convert(ctx context.Context, r *Reader, w io.Writer) (Summary, error) {
	var out *schemas.UsageWriter
	events := make([]schemas.Event, batch)
	for {
		n, err := r.Next(events)
		if err != nil && err != io.EOF {
			return r.Summary(), err
		}
		if n > 0 {
			if out == nil {
				out = schemas.NewUsageWriter(w)
			}
			if err := out.Write(events[:n]); err != nil {
				return r.Summary(), err
			}
		}
		if ctx.Err() != nil {
			return r.Summary(), ctx.Err()
		}
		if err == io.EOF {
			break
		}
	}
	if out == nil {
		return r.Summary(), nil
	}
	return r.Summary(), out.Close()
}

// Digest is the SHA-256 of a log's bytes, in hexadecimal digits.
func Digest(r io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	if n, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
		return "", err
	} else if n != size {
		return "", fmt.Errorf("has %d bytes, of %d: it was cut while it was read", n, size)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Folder is where the usage files of a source are.
func Folder(source string) string { return "logs/" + keyWord(source) + "/" }

var notInKeys = regexp.MustCompile(`[^A-Za-z0-9.=-]+`)

// Key is the key of a log's usage file: logs/SOURCE/DD/NAME-DIGEST.parquet. The source is the name of the format, or
// of where logs are fetched from; of the digest the first 16 digits show, and the first two are a folder, so that none
// grows flat. The same content under the same name has the same key; a log that has grown has another.
func Key(source, logName, digest string) string {
	return Folder(source) + digest[:min(2, len(digest))] + "/" + keyWord(path.Base(strings.ReplaceAll(logName, `\`, "/"))) + "-" + digest[:min(16, len(digest))] + ".parquet"
}

// keyWord makes a name fit for a key: no run passes it over, and it is no longer than 128 bytes.
func keyWord(s string) string {
	s = strings.TrimLeft(notInKeys.ReplaceAllString(s, "-"), "._-")
	if s = s[:min(len(s), 128)]; s == "" {
		return "log"
	}
	return s
}
