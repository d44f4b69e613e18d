package bucket

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	defaultRegion = "us-east-1"
	// attempts is how often a request is sent in all; minio-go waits up to 0.2,
	// 0.4, 0.8 and 1 s after each. Its own default, 10, makes a person wait for
	// ten seconds to learn that the daemon is not running.
	attempts = 4
)

// A Store is an object store. It is safe for concurrent use.
type Store struct {
	cfg      Config
	attempts int
	core     *minio.Core
	http     *http.Client

	public         *minio.Core // of the address that others use; nil: the same
	publicEndpoint string
}

// Dial connects to the store of cfg and asks whether it is there. It does not
// ask whether the keys are accepted, because what they allow is the store's to
// say, request by request.
func Dial(ctx context.Context, cfg Config) (*Store, error) {
	s, err := newStore(cfg, attempts)
	if err != nil {
		return nil, err
	}
	if _, err := s.Now(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Connect is Dial without asking whether the store is there. Its requests are
// sent but twice: it is for trying what a key may do.
func Connect(cfg Config) (*Store, error) { return newStore(cfg, 2) }

func newStore(cfg Config, attempts int) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	transport, err := transportFor(cfg, u.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	core, err := newCore(cfg, transport, attempts)
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", cfg.Endpoint, err)
	}
	return &Store{cfg: cfg, attempts: attempts, core: core, http: &http.Client{
		Transport: transport,
		Timeout:   10 * time.Second,
		// The clock is asked of the server itself, not of where it sends browsers.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func newCore(cfg Config, transport http.RoundTripper, attempts int) (*minio.Core, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	return minio.NewCore(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""),
		Secure:       u.Scheme == "https",
		Transport:    transport,
		Region:       cfg.Region,
		BucketLookup: minio.BucketLookupPath,
		MaxRetries:   attempts,
	})
}

// transports are shared by all stores of the process, by whether they use TLS:
// so connections are, and the embedded store can have those to itself closed.
var transports = map[bool]func() (*http.Transport, error){
	false: sync.OnceValues(func() (*http.Transport, error) { return newTransport(false) }),
	true:  sync.OnceValues(func() (*http.Transport, error) { return newTransport(true) }),
}

// newTransport is minio-go's, with other patience: it gives up on a connection
// sooner, and waits longer for the answer to a large PUT, which the store
// gives only when the object is on its disk.
func newTransport(secure bool) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	t.DialContext = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	t.ResponseHeaderTimeout = 10 * time.Minute
	t.MaxIdleConnsPerHost = 64
	return t, nil
}

// Config is what the store was dialled with.
func (s *Store) Config() Config { return s.cfg }

// Now is the store's clock, to the second: the Date of an answer. It is what
// leases are judged by, because the clocks of workers may differ. Any answer
// will do, so it needs no permission.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var err error
	for try := range s.attempts {
		if try > 0 && !sleep(ctx, 100*time.Millisecond<<try) {
			break
		}
		var now time.Time
		if now, err = s.askTime(ctx); err == nil {
			return now, nil
		}
	}
	return time.Time{}, s.wrap("ask the time of", s.cfg.Endpoint, err)
}

// ask sends a request that needs no key, and gives the headers of the answer, whatever that is.
func (s *Store) ask(ctx context.Context) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.cfg.Endpoint, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return resp.Header, nil
}

func (s *Store) askTime(ctx context.Context) (time.Time, error) {
	header, err := s.ask(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the answer carries no usable Date: %w", err)
	}
	return now.UTC(), nil
}

// sleep waits, and says false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Bucket is the bucket of that name, which need not exist yet.
func (s *Store) Bucket(name string) *Bucket { return &Bucket{store: s, name: name} }

// A Bucket holds objects by key. It is safe for concurrent use.
type Bucket struct {
	store *Store
	name  string
}

// Info is what a store says of an object.
type Info struct {
	Key string
	// ETag names these very bytes of the object, without quotes.
	ETag string
	Size int64
	// Modified is the store's time; it is zero in what writes return, save Copy.
	Modified time.Time
}

// Name is the bucket's name.
func (b *Bucket) Name() string { return b.name }

// Ensure creates the bucket when it is missing.
func (b *Bucket) Ensure(ctx context.Context) error {
	there, err := b.store.core.BucketExists(ctx, b.name)
	if err != nil {
		return b.wrap("look for bucket", "", err)
	}
	if there {
		return nil
	}
	err = b.store.core.MakeBucket(ctx, b.name, minio.MakeBucketOptions{Region: b.store.cfg.Region})
	if err == nil {
		return nil
	}
	// Someone else may have been faster, or our first answer was lost.
	if there, _ := b.store.core.BucketExists(ctx, b.name); there {
		return nil
	}
	return b.wrap("create bucket", "", err)
}

// wrap names the object, or the bucket when key is empty.
func (b *Bucket) wrap(op, key string, err error) error {
	what := b.name
	if key != "" {
		what += "/" + key
	}
	return b.store.wrap(op, what, err)
}
