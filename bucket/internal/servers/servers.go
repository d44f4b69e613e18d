// Package servers starts real S3 services for tests: each in a process of its
// own, with an owner and as many further users as a test wants, and ended with
// the test.
//
//   - [Versitygw] and [MinIO] are built from their Go modules, which takes
//     minutes the first time, and kept in the user's cache folder.
//   - [Ceph] is the distribution's packages: one monitor, one object storage
//     daemon that keeps everything in memory, one gateway.
//
// Where a service cannot be had, the test is skipped and says what is missing.
// MinIO and Ceph are started only where PLAYMETER_TEST_S3 is set, as "make
// test-s3" does. Nothing here imports package bucket, so that its own tests can
// use this.
package servers

import (
	"os"
	"testing"
)

// A Kind is one of the services.
type Kind string

// The services, in the order of what they ask of a machine.
const (
	Versitygw Kind = "versitygw"
	MinIO     Kind = "minio"
	Ceph      Kind = "ceph"
)

// Kinds are all of them.
var Kinds = []Kind{Versitygw, MinIO, Ceph}

// Credentials are an account of a service.
type Credentials struct {
	AccessKey, SecretKey string
	// Principal is how the service's bucket policies name the account.
	Principal string
}

// A Server is a running service.
type Server struct {
	Kind Kind
	// Endpoint is its URL, without a path.
	Endpoint string
	// Owner may do everything, and owns the buckets that it makes.
	Owner Credentials

	t     testing.TB
	users users
}

// users is how a service keeps its accounts.
type users interface {
	add(name string) (Credentials, error)
	remove(name string) error
	// allow replaces what the account's own policy allows it.
	allow(name, policy string) error
}

// Start starts a service, waits until it answers, and ends it with the test.
func Start(t testing.TB, kind Kind) *Server {
	t.Helper()
	if kind != Versitygw && os.Getenv("PLAYMETER_TEST_S3") == "" {
		t.Skipf("set PLAYMETER_TEST_S3=1 (make test-s3) to try %s", kind)
	}
	start := map[Kind]func(testing.TB) *Server{Versitygw: startVersitygw, MinIO: startMinIO, Ceph: startCeph}[kind]
	if start == nil {
		t.Fatalf("no service is called %q; there are %q", kind, Kinds)
	}
	s := start(t)
	s.Kind, s.t = kind, t
	return s
}

// AddUser makes an account that may do nothing by itself. Its name is letters
// and digits, at least three of them.
func (s *Server) AddUser(name string) Credentials {
	s.t.Helper()
	c, err := s.users.add(name)
	if err != nil {
		s.t.Fatalf("add user %s to %s: %v", name, s.Kind, err)
	}
	return c
}

// RemoveUser ends an account.
func (s *Server) RemoveUser(name string) {
	s.t.Helper()
	if err := s.users.remove(name); err != nil {
		s.t.Fatalf("remove user %s from %s: %v", name, s.Kind, err)
	}
}

// SetUserPolicy gives an account of MinIO a policy of its own, in the place of
// the one it had: a JSON document without principals.
func (s *Server) SetUserPolicy(name, policy string) {
	s.t.Helper()
	if err := s.users.allow(name, policy); err != nil {
		s.t.Fatalf("set the policy of user %s on %s: %v", name, s.Kind, err)
	}
}

const ownerAccess, ownerSecret = "playmeter-test", "playmeter-test-secret"

// secretOf is the secret key of a user: a test has no secrets.
func secretOf(name string) string { return name + "-has-a-secret" }
