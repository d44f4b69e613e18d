package bucket

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/playmeter/playmeter/bucket/internal/servers"
)

// The suite also runs against servers that others have made, as "make test-s3" does:
// PLAYMETER_TEST_S3=1.

// lacking is what a service does not do: a part of the suite, and why.
var lacking = map[servers.Kind]map[string]string{
	servers.Ceph: {
		"an ETag pins a version":                 "release 16 copies whatever is there",
		"a stream of any length is stored whole": "release 16 gives no checksum of what was uploaded in parts",
		"damage on the way down is found":        "likewise",
	},
}

func TestOtherServersConform(t *testing.T) {
	if os.Getenv("PLAYMETER_TEST_S3") == "" {
		t.Skip("set PLAYMETER_TEST_S3=1 (make test-s3) to try other S3 servers")
	}
	for _, kind := range servers.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			sv := servers.Start(t, kind)
			s, err := Dial(t.Context(), Config{Endpoint: sv.Endpoint, AccessKey: sv.Owner.AccessKey, SecretKey: sv.Owner.SecretKey})
			if err != nil {
				t.Fatal(err)
			}
			conform(t, s, slices.Collect(maps.Keys(lacking[kind]))...)
		})
	}
}
