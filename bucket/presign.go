package bucket

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"
)

// MaxLink is the longest time for which a link can hold. Source: S3, signature version 4.
const MaxLink = 7 * 24 * time.Hour

// Link is an URL with which anybody can get an object until expires have passed: it bears our
// signature, and leaves no trace of who used it. It is a secret, and nothing is asked of
// the store to make it: so the object need not be there.
//
//   - expires is in whole seconds, from 1 s to MaxLink.
//   - The result's time is when the link ends, by this machine's clock.
//   - Errors: a store that is used without keys has no links.
func (b *Bucket) Link(ctx context.Context, key string, expires time.Duration) (string, time.Time, error) {
	expires = expires.Truncate(time.Second)
	if expires < time.Second || expires > MaxLink {
		return "", time.Time{}, b.wrap("make a link to", key, fmt.Errorf("it cannot hold for %s: from 1s to %s", expires, MaxLink))
	}
	from := b.store.core
	if b.store.public != nil {
		from = b.store.public
	}
	u, err := from.PresignedGetObject(ctx, b.name, key, expires, nil)
	if err != nil {
		return "", time.Time{}, b.wrap("make a link to", key, err)
	}
	began, err := time.Parse("20060102T150405Z", u.Query().Get("X-Amz-Date"))
	if err != nil {
		return "", time.Time{}, b.wrap("make a link to", key, err)
	}
	return u.String(), began.Add(expires), nil
}

// SetPublic says under which URL others reach the store, where that is not the one that we use: links lead
// there. It is called before first use.
func (s *Store) SetPublic(endpoint string) error {
	cfg := s.cfg
	cfg.Endpoint = endpoint
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("object store, as others reach it: %w", err)
	}
	core, err := newCore(cfg, nil, s.attempts) // it signs, and asks for nothing
	if err != nil {
		return fmt.Errorf("object store, as others reach it: %w", err)
	}
	s.public, s.publicEndpoint = core, endpoint
	return nil
}

// Public is the URL under which others reach the store.
func (s *Store) Public() string {
	if s.public != nil {
		return s.publicEndpoint
	}
	return s.cfg.Endpoint
}

// OnlyHere tells whether the store's address is one that this machine alone can reach.
func (s *Store) OnlyHere() bool {
	u, err := url.Parse(s.Public())
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
