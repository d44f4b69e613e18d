package main

import (
	"errors"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
)

// access is what this installation knows of the readers of its reports.
func access(c *Config, store bucket.Config) reporter.Access {
	if c.ObjectStore.Embedded() {
		return embeddedAccess(crypto.OpenReaders(c.keysDir()), store)
	}
	a := reporter.Access{Dialect: c.ObjectStore.Dialect, Principals: make(map[string]string)}
	keys := make(map[string]bucket.Config)
	for _, r := range c.Readers {
		if r.Principal != "" {
			a.Principals[r.Name] = r.Principal
		}
		if r.AccessKey != "" {
			cfg := store
			cfg.AccessKey, cfg.SecretKey = r.AccessKey.Reveal(), r.SecretKey.Reveal()
			keys[r.Name] = cfg
		}
	}
	a.Credentials = func(reader string) (bucket.Config, bool, error) {
		cfg, known := keys[reader]
		return cfg, known, nil
	}
	return a
}

// embeddedAccess knows all readers, and their keys.
func embeddedAccess(readers *crypto.Readers, store bucket.Config) reporter.Access {
	secret := func(reader string) (crypto.Secret, bool, error) {
		s, ok, err := readers.Secret(reader)
		if errors.Is(err, crypto.ErrReaderUnknown) {
			return "", false, nil
		}
		return s, ok, err
	}
	return reporter.Access{
		Dialect: bucket.DialectVersity,
		Exists: func(reader string) (bool, error) {
			_, ok, err := secret(reader)
			return ok, err
		},
		Credentials: func(reader string) (bucket.Config, bool, error) {
			s, ok, err := secret(reader)
			cfg := store
			cfg.AccessKey, cfg.SecretKey = reader, s.Reveal()
			return cfg, ok, err
		},
	}
}
