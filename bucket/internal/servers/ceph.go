package servers

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cephPrograms are what a cluster needs.
var cephPrograms = []string{"ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool"}

// cephConfig is the least that a cluster of one is content with. There is no
// manager: nobody asks it for statistics. Sockets for administrators are off,
// because their paths would be longer than a socket's may be.
const cephConfig = `[global]
fsid = %[1]s
mon host = %[2]s
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = %[3]s/keyring
log to file = false
log to stderr = true
err to stderr = true
mon cluster log to file = false
admin socket =
pid file =
crash dir = %[3]s
paxos propose interval = 0.05
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
mon data = %[3]s/mon
osd data = %[3]s/osd
host = localhost
`

// A cephCluster is one monitor, one object storage daemon, one gateway.
type cephCluster struct {
	t    testing.TB
	dir  string
	fsid string
	mons string // addresses of the monitor, one for each version of the protocol
}

// startCeph starts a cluster, all of it in a folder of the test.
func startCeph(t testing.TB) *Server {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("ceph is tried as root only")
	}
	for _, program := range cephPrograms {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common", program)
		}
	}
	c := &cephCluster{t: t, dir: t.TempDir(), fsid: newUUID()}
	c.configure()
	c.startMonitor()
	c.startStorage()
	owner, err := c.add("owner")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := listen(t, c.dir, "radosgw", func(addr string) *exec.Cmd {
		return exec.Command("radosgw", "--conf", c.path("ceph.conf"), "--name", "client.rgw", "--foreground",
			"--rgw-frontends", "beast tcp_nodelay=1 endpoint="+addr)
	})
	return &Server{Endpoint: endpoint, Owner: owner, users: c}
}

func (c *cephCluster) path(name string) string { return filepath.Join(c.dir, name) }

// configure writes the configuration, and keys for all that will run.
func (c *cephCluster) configure() {
	c.t.Helper()
	c.mons = fmt.Sprintf("[v2:%s,v1:%s]", freeAddress(c.t), freeAddress(c.t))
	config := fmt.Sprintf(cephConfig, c.fsid, c.mons, c.dir)
	if err := os.WriteFile(c.path("ceph.conf"), []byte(config), 0o600); err != nil {
		c.t.Fatal(err)
	}
	mkdir(c.t, c.dir, "mon")
	mkdir(c.t, c.dir, "osd")
	c.run("ceph-authtool", "--create-keyring", c.path("keyring"), "--gen-key", "--name", "mon.", "--cap", "mon", "allow *")
	c.run("ceph-authtool", c.path("keyring"), "--gen-key", "--name", "client.admin", "--cap", "mon", "allow *", "--cap", "osd", "allow *")
	c.run("ceph-authtool", c.path("keyring"), "--gen-key", "--name", "client.rgw", "--cap", "mon", "allow rwx", "--cap", "osd", "allow rwx")
	c.run("ceph-authtool", "--create-keyring", c.path("osd/keyring"), "--gen-key", "--name", "osd.0")
}

// startMonitor waits until the monitor makes decisions, alone as it is.
func (c *cephCluster) startMonitor() {
	c.t.Helper()
	c.run("monmaptool", "--create", "--fsid", c.fsid, "--addv", "a", c.mons, c.path("monmap"))
	c.run("ceph-mon", "--conf", c.path("ceph.conf"), "--mkfs", "--id", "a", "--monmap", c.path("monmap"), "--keyring", c.path("keyring"))
	mon := begin(c.t, c.dir, "ceph-mon", exec.Command("ceph-mon", "--conf", c.path("ceph.conf"), "--id", "a", "--foreground"))
	err := mon.await(func() error {
		_, err := c.ceph("", "quorum_status")
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// startStorage makes the one storage daemon known, and waits until it is up.
func (c *cephCluster) startStorage() {
	c.t.Helper()
	id := newUUID()
	key := strings.TrimSpace(c.run("ceph-authtool", c.path("osd/keyring"), "--name", "osd.0", "--print-key"))
	if _, err := c.ceph(fmt.Sprintf(`{"cephx_secret": %q}`, key), "osd", "new", id, "0", "-i", "-"); err != nil {
		c.t.Fatal(err)
	}
	c.run("ceph-osd", "--conf", c.path("ceph.conf"), "--keyring", c.path("osd/keyring"), "--id", "0", "--mkfs", "--osd-uuid", id)
	osd := begin(c.t, c.dir, "ceph-osd", exec.Command("ceph-osd", "--conf", c.path("ceph.conf"),
		"--keyring", c.path("osd/keyring"), "--id", "0", "--foreground"))
	err := osd.await(func() error {
		out, err := c.ceph("", "osd", "stat", "--format", "json")
		if err != nil {
			return err
		}
		var stat struct {
			Up int `json:"num_up_osds"`
		}
		if err := json.Unmarshal([]byte(out), &stat); err != nil {
			return err
		}
		if stat.Up != 1 {
			return errors.New("the storage daemon is not up")
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// run runs one of Ceph's tools, which must work.
func (c *cephCluster) run(program string, args ...string) string {
	c.t.Helper()
	out, err := output(nil, "", program, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// ceph asks the monitor.
func (c *cephCluster) ceph(stdin string, args ...string) (string, error) {
	fixed := []string{"--conf", c.path("ceph.conf"), "--connect-timeout", "20"}
	return output(nil, stdin, "ceph", append(fixed, args...)...)
}

// Accounts are kept by radosgw-admin. A policy names one by an ARN.

func (c *cephCluster) admin(args ...string) error {
	_, err := output(nil, "", "radosgw-admin", append([]string{"--conf", c.path("ceph.conf"), "--name", "client.rgw"}, args...)...)
	return err
}

func (c *cephCluster) add(name string) (Credentials, error) {
	creds := Credentials{AccessKey: name + "-key", SecretKey: secretOf(name), Principal: "arn:aws:iam:::user/" + name}
	return creds, c.admin("user", "create", "--uid", name, "--display-name", name,
		"--access-key", creds.AccessKey, "--secret-key", creds.SecretKey)
}

// remove takes the buckets of the account with it: Ceph lets users make some.
func (c *cephCluster) remove(name string) error {
	return c.admin("user", "rm", "--uid", name, "--purge-data")
}

func (*cephCluster) allow(string, string) error {
	return errors.New("radosgw-admin sets no policies of accounts; set the bucket's")
}

// newUUID is a random one.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
