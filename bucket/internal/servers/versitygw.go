package servers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var versitygwModule = module{"versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"}

// startVersitygw starts a gateway over a folder, which keeps its accounts in
// another.
func startVersitygw(t testing.TB) *Server {
	t.Helper()
	program, dir := install(t, versitygwModule), t.TempDir()
	objects, accounts := mkdir(t, dir, "objects"), mkdir(t, dir, "accounts")
	endpoint := listen(t, dir, "versitygw", func(addr string) *exec.Cmd {
		return exec.Command(program, "--quiet", "--access", ownerAccess, "--secret", ownerSecret,
			"--iam-dir", accounts, "--port", addr, "posix", objects)
	})
	owner := Credentials{AccessKey: ownerAccess, SecretKey: ownerSecret, Principal: ownerAccess}
	return &Server{Endpoint: endpoint, Owner: owner, users: versitygwUsers{program, endpoint}}
}

// versitygwUsers are kept by the gateway's own command for administrators. A
// policy names an account by its access key.
type versitygwUsers struct{ program, endpoint string }

func (v versitygwUsers) admin(args ...string) error {
	fixed := []string{"admin", "--access", ownerAccess, "--secret", ownerSecret, "--endpoint-url", v.endpoint}
	_, err := output(nil, "", v.program, append(fixed, args...)...)
	return err
}

func (v versitygwUsers) add(name string) (Credentials, error) {
	c := Credentials{AccessKey: name, SecretKey: secretOf(name), Principal: name}
	return c, v.admin("create-user", "--access", c.AccessKey, "--secret", c.SecretKey, "--role", "user")
}

func (v versitygwUsers) remove(name string) error { return v.admin("delete-user", "--access", name) }

func (versitygwUsers) allow(string, string) error {
	return errors.New("its accounts have no policies of their own; set the bucket's")
}

// mkdir makes a folder in dir.
func mkdir(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
