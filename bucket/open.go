package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// patience is how long Open waits for another process that has the folder but
// does not answer: it may be just starting, or just ending.
const patience = 5 * time.Second

// Open gives the store of a folder, whoever serves it: where another process
// does, that process is dialled and closing does nothing; else the store is
// opened here, and closing ends it.
func Open(ctx context.Context, cfg EmbeddedConfig) (*Store, io.Closer, error) {
	deadline := time.Now().Add(patience)
	for {
		e, err := OpenEmbedded(ctx, cfg)
		if err == nil {
			s, err := Dial(ctx, e.Config())
			if err != nil {
				return nil, nil, errors.Join(err, e.Close())
			}
			return s, e, nil
		}
		if !errors.Is(err, ErrLocked) {
			return nil, nil, err
		}
		if running, ok := Running(cfg.Dir); ok {
			if s, err := Dial(ctx, running); err == nil {
				return s, io.NopCloser(nil), nil
			}
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%w, but its object store does not answer; end that process, or wait for it", err)
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return nil, nil, ctx.Err()
		}
	}
}

// Running is the gateway of the process that serves dir, if there is one. It is
// what that process wrote down, so it may have ended since.
func Running(dir string) (Config, bool) {
	dir, err := filepath.Abs(dir)
	if err != nil || !locked(dir) {
		return Config{}, false
	}
	endpoint, certificate, err := readEndpoint(dir)
	if err != nil {
		return Config{}, false
	}
	key, err := readCredentials(dir)
	if err != nil {
		return Config{}, false
	}
	return Config{Endpoint: endpoint, Region: defaultRegion, AccessKey: key.AccessKey, SecretKey: key.SecretKey, Certificate: certificate}, true
}
