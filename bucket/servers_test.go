package bucket

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The suite also runs against servers that others have made, as "make test-s3"
// does: PLAYMETER_TEST_S3=1. Each is built from its Go module, which takes
// minutes the first time, and kept in the user's cache folder.

type server struct {
	name, module, version string
	command               func(program, addr, dir string) *exec.Cmd
}

const testAccess, testSecret = "playmeter-test", "playmeter-test-secret"

var servers = []server{
	{"versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0", func(program, addr, dir string) *exec.Cmd {
		return exec.Command(program, "--quiet", "--access", testAccess, "--secret", testSecret, "--port", addr, "posix", dir)
	}},
	{"minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c", func(program, addr, dir string) *exec.Cmd {
		cmd := exec.Command(program, "server", "--quiet", "--address", addr, dir)
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+testAccess, "MINIO_ROOT_PASSWORD="+testSecret, "MINIO_BROWSER=off")
		return cmd
	}},
}

func TestOtherServersConform(t *testing.T) {
	if os.Getenv("PLAYMETER_TEST_S3") == "" {
		t.Skip("set PLAYMETER_TEST_S3=1 (make test-s3) to build and try other S3 servers")
	}
	for _, sv := range servers {
		t.Run(sv.name, func(t *testing.T) {
			addr := freePort(t)
			run(t, sv.command(install(t, sv), addr, t.TempDir()), "http://"+addr)
			s, err := Dial(t.Context(), Config{Endpoint: "http://" + addr, AccessKey: testAccess, SecretKey: testSecret})
			if err != nil {
				t.Fatal(err)
			}
			conform(t, s)
		})
	}
}

// install builds a server's program, and skips the test where that fails:
// without a network, say.
func install(t *testing.T, sv server) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	bin := filepath.Join(cache, "playmeter-test", sv.version)
	program := filepath.Join(bin, sv.name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	cmd := exec.Command("go", "install", sv.module+"@"+sv.version)
	cmd.Dir = t.TempDir() // outside of our module
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%s cannot be built here: %v\n%s", sv.name, err, out)
	}
	return program
}

// run starts a server, and ends it with the test.
func run(t *testing.T, cmd *exec.Cmd, endpoint string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 300 {
		if resp, err := http.Get(endpoint + "/no-such-bucket-at-all"); err == nil {
			resp.Body.Close()
			if resp.StatusCode < 500 {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not answer:\n%s", cmd.Path, out.String())
}
