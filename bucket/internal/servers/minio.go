package servers

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	minioModule = module{"minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"}
	mcModule    = module{"mc", "github.com/minio/mc", "v0.0.0-20250313080218-cf909e1063a9"}
)

// startMinIO starts a server over a folder.
func startMinIO(t testing.TB) *Server {
	t.Helper()
	program, mc, dir := install(t, minioModule), install(t, mcModule), t.TempDir()
	objects := mkdir(t, dir, "objects")
	endpoint := listen(t, dir, "minio", func(addr string) *exec.Cmd {
		cmd := exec.Command(program, "server", "--quiet", "--address", addr, objects)
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+ownerAccess, "MINIO_ROOT_PASSWORD="+ownerSecret, "MINIO_BROWSER=off")
		return cmd
	})
	owner := Credentials{AccessKey: ownerAccess, SecretKey: ownerSecret, Principal: "arn:aws:iam:::user/" + ownerAccess}
	return &Server{Endpoint: endpoint, Owner: owner, users: minioUsers{mc, mkdir(t, dir, "mc"), endpoint}}
}

// minioUsers are kept by mc, MinIO's client. Bucket policies take any principal
// and heed none but "*": what a user may do is in a policy attached to it.
type minioUsers struct{ program, dir, endpoint string }

func (m minioUsers) admin(args ...string) error {
	u, err := url.Parse(m.endpoint)
	if err != nil {
		return err
	}
	u.User = url.UserPassword(ownerAccess, ownerSecret)
	_, err = output([]string{"MC_HOST_test=" + u.String()}, "", m.program, append([]string{"--config-dir", m.dir, "admin"}, args...)...)
	return err
}

func (m minioUsers) add(name string) (Credentials, error) {
	c := Credentials{AccessKey: name, SecretKey: secretOf(name), Principal: "arn:aws:iam:::user/" + name}
	return c, m.admin("user", "add", "test", c.AccessKey, c.SecretKey)
}

func (m minioUsers) remove(name string) error { return m.admin("user", "remove", "test", name) }

// allow keeps the policy under the user's name: attached once, it can be replaced.
func (m minioUsers) allow(name, policy string) error {
	file := filepath.Join(m.dir, name+".json")
	_, err := os.Stat(file)
	attached := err == nil
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		return err
	}
	if err := m.admin("policy", "create", "test", name, file); err != nil || attached {
		return err
	}
	return m.admin("policy", "attach", "test", name, "--user", name)
}
