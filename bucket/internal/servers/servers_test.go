package servers_test

import (
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/playmeter/playmeter/bucket/internal/servers"
)

// TestUsersComeAndGo fails when an account that was made may do something by itself, is not
// known to policies under its principal, or outlives its removal.
func TestUsersComeAndGo(t *testing.T) {
	onEachService(t, func(t *testing.T, s service) {
		owner, a := s.client(t, s.owner), s.add("anna")
		const key = "k"
		if err := owner.MakeBucket(t.Context(), "things", minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.Client.PutObject(t.Context(), "things", key, strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		get := func(c servers.Credentials) error {
			_, err := s.client(t, c).StatObject(t.Context(), "things", key, minio.StatObjectOptions{})
			return err
		}
		if err := get(a); !refused(err) {
			t.Errorf("without any policy: %v", err)
		}
		statement := map[string]any{"Effect": "Allow", "Action": []string{"s3:GetObject"}, "Resource": []string{"arn:aws:s3:::things/*"}}
		if s.name == string(servers.MinIO) {
			s.allow("anna", document(t, statement))
		} else {
			statement["Principal"] = map[string]any{"AWS": []string{a.Principal}}
			if err := owner.SetBucketPolicy(t.Context(), "things", document(t, statement)); err != nil {
				t.Fatal(err)
			}
		}
		if err := get(a); err != nil {
			t.Errorf("with a policy: %v", err)
		}
		wrong := a
		wrong.SecretKey += "x"
		if err := get(wrong); !refused(err) {
			t.Errorf("with another secret: %v", err)
		}
		if err := get(s.add("bert")); !refused(err) {
			t.Errorf("another account: %v", err)
		}
		s.remove("anna")
		if err := get(a); !refused(err) {
			t.Errorf("after its removal: %v", err)
		}
	})
}

// TestMinIONeedsPoliciesOfUsers fails once MinIO heeds the principals of bucket policies: then its dialect is
// no other than the rest.
func TestMinIONeedsPoliciesOfUsers(t *testing.T) {
	s := servers.Start(t, servers.MinIO)
	of := service{endpoint: s.Endpoint}
	owner, a := of.client(t, s.Owner), s.AddUser("anna")
	if err := owner.MakeBucket(t.Context(), "things", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Client.PutObject(t.Context(), "things", "k", strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, principal := range []string{a.AccessKey, a.Principal, "*"} {
		statement := map[string]any{"Effect": "Allow", "Action": []string{"s3:GetObject"}, "Resource": []string{"arn:aws:s3:::things/*"},
			"Principal": map[string]any{"AWS": []string{principal}}}
		if err := owner.SetBucketPolicy(t.Context(), "things", document(t, statement)); err != nil {
			t.Fatal(err)
		}
		if _, err := of.client(t, a).StatObject(t.Context(), "things", "k", minio.StatObjectOptions{}); !refused(err) {
			t.Errorf("a bucket policy for %s: %v", principal, err)
		}
	}
}
