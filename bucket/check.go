package bucket

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// A check compares the bytes of a download with what the store says of them.
type check struct {
	hash hash.Hash // nil where the store says nothing usable
	want []byte
}

// The checksums that stores keep, the one we like best first. CRC64NVME runs at
// memory speed and is what our own uploads carry; the others come with objects
// that somebody else's client has put there.
var checksums = []minio.ChecksumType{
	minio.ChecksumCRC64NVME,
	minio.ChecksumSHA256,
	minio.ChecksumSHA1,
	minio.ChecksumCRC32C,
	minio.ChecksumCRC32,
}

// newCheck picks the best checksum of a whole object that an answer carries,
// else its ETag where that is an MD5.
func newCheck(h http.Header, etag string) check {
	composite := strings.EqualFold(h.Get("X-Amz-Checksum-Type"), "COMPOSITE")
	for _, sum := range checksums {
		// "…-3" is a checksum of the checksums of three parts, not of the bytes.
		value := h.Get(sum.Key())
		if value == "" || composite || strings.Contains(value, "-") {
			continue
		}
		if want, err := base64.StdEncoding.DecodeString(value); err == nil && len(want) == sum.Hasher().Size() {
			return check{sum.Hasher(), want}
		}
	}
	if want, err := hex.DecodeString(etag); err == nil && len(want) == md5.Size && etagIsMD5(h) {
		return check{md5.New(), want}
	}
	return check{}
}

// etagIsMD5 tells whether 32 hex digits are an MD5. Under the store's own
// default encryption they are; under keys of a key service or of the customer
// they only look like one.
func etagIsMD5(h http.Header) bool {
	sse := h.Get("X-Amz-Server-Side-Encryption")
	return (sse == "" || sse == "AES256") && h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") == ""
}

func (c check) write(p []byte) {
	if c.hash != nil {
		c.hash.Write(p)
	}
}

// ok is true where nothing speaks against the bytes.
func (c check) ok() bool {
	return c.hash == nil || bytes.Equal(c.hash.Sum(nil), c.want)
}
