package bucket

import (
	"context"
	"errors"
	"net/http"

	"github.com/minio/minio-go/v7"
)

// SetPolicy replaces the bucket's policy, a JSON document in the store's own
// dialect; empty removes it. When it returns nil the policy is durable.
func (b *Bucket) SetPolicy(ctx context.Context, policy string) error {
	err := b.store.core.SetBucketPolicy(ctx, b.name, policy)
	var answer minio.ErrorResponse
	if policy == "" && errors.As(err, &answer) && answer.StatusCode == http.StatusOK {
		err = nil // Ceph removes a policy with another kind of success than minio-go knows
	}
	return b.wrap("set the policy of bucket", "", err)
}

// Policy is the bucket's policy; empty where it has none.
func (b *Bucket) Policy(ctx context.Context) (string, error) {
	policy, err := b.store.core.Client.GetBucketPolicy(ctx, b.name)
	return policy, b.wrap("get the policy of bucket", "", err)
}
