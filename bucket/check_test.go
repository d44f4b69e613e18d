package bucket

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestWhichChecksumIsUsed(t *testing.T) {
	const (
		md5Hex = "900150983cd24fb0d6963f7d28e17f72" // of "abc"
		sha256 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
		crc32  = "NSRBwg=="
		crc64  = "AAAAAAAAAAA="
	)
	tests := []struct {
		name, headers, etag string
		size                int // of the hash; 0 for none
		ok                  bool
	}{
		{"nothing", "", "", 0, true},
		{"an MD5 ETag", "", md5Hex, 16, true},
		{"an ETag that is no MD5 of it", "", strings.Repeat("0", 32), 16, false},
		{"an ETag of parts", "", md5Hex + "-2", 0, true},
		{"an ETag under the store's own encryption", "X-Amz-Server-Side-Encryption: AES256", md5Hex, 16, true},
		{"an ETag under a key service", "X-Amz-Server-Side-Encryption: aws:kms", md5Hex, 0, true},
		{"an ETag under the customer's key", "X-Amz-Server-Side-Encryption-Customer-Algorithm: AES256", md5Hex, 0, true},
		{"SHA-256", "X-Amz-Checksum-Sha256: " + sha256, md5Hex, 32, true},
		{"CRC64NVME comes first", "X-Amz-Checksum-Sha256: " + sha256 + "\nX-Amz-Checksum-Crc64nvme: " + crc64, md5Hex, 8, false},
		{"CRC32", "X-Amz-Checksum-Crc32: " + crc32, "x-2", 4, true},
		{"a checksum of checksums", "X-Amz-Checksum-Sha256: " + sha256 + "\nX-Amz-Checksum-Type: COMPOSITE", "x-2", 0, true},
		{"a checksum of three parts' checksums", "X-Amz-Checksum-Sha256: " + sha256 + "-3", "x-3", 0, true},
		{"a checksum that is none", "X-Amz-Checksum-Sha256: abc", md5Hex, 16, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			for line := range strings.Lines(tt.headers) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				h.Set(name, value)
			}
			c := newCheck(h, tt.etag)
			size := 0
			if c.hash != nil {
				size = c.hash.Size()
			}
			c.write([]byte("abc"))
			if size != tt.size || c.ok() != tt.ok {
				t.Errorf("a hash of %d bytes, ok %v, want %d, %v", size, c.ok(), tt.size, tt.ok)
			}
		})
	}
}

func TestConfigShowsNoSecret(t *testing.T) {
	c := Config{Endpoint: "http://127.0.0.1:9000", AccessKey: "key", SecretKey: "hunter2"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "config", c, "ptr", &c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "config", c, "list", []Config{c})
	asJSON, err := json.Marshal(map[string]any{"c": c, "p": &c})
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		shown += fmt.Sprintf(verb+verb+verb, c, &c, struct{ C Config }{c})
	}
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, fmt.Sprintf("%x", "hunter2")) || !strings.Contains(shown, "127.0.0.1:9000") {
		t.Error(shown)
	}
}

func TestBadConfigsAreExplained(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "endpoint: missing"},
		{"no scheme", Config{Endpoint: "s3.example.com:9000"}, "endpoint: "},
		{"another scheme", Config{Endpoint: "ftp://s3.example.com"}, "must begin with http:// or https://"},
		{"no host", Config{Endpoint: "https://"}, "names no host"},
		{"a path", Config{Endpoint: "https://s3.example.com/bucket"}, "without path"},
		{"half a key", Config{Endpoint: "https://s3.example.com", AccessKey: "a"}, "access_key, secret_key: one is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Dial(t.Context(), tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
	if err := (Config{Endpoint: "https://s3.example.com/"}).Validate(); err != nil {
		t.Errorf("a bare slash: %v", err)
	}
}
