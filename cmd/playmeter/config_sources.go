package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/intake/logs"
	"github.com/playmeter/playmeter/schemas"
)

// SourceSettings is a place where somebody else, such as a CDN, drops access logs. The daemon imports each once.
type SourceSettings struct {
	// What it is called in keys of usage files, in the log and in "playmeter status": a-z 0-9 -
	Name string `yaml:"name"`

	// The bucket, and what the logs' keys begin with.
	Bucket string `yaml:"bucket"`
	Prefix string `yaml:"prefix"`

	// The S3 service of the bucket, where it is another than object_store. Better ${NAME} than the text of a key.
	Endpoint  string        `yaml:"endpoint"`
	Region    string        `yaml:"region"`
	AccessKey crypto.Secret `yaml:"access_key"`
	SecretKey crypto.Secret `yaml:"secret_key"`

	// As of "playmeter import": a preset, or a name under logs.
	Format string `yaml:"format"`

	// Whose usage it is, where the logs do not say.
	Tenant schemas.Tenant `yaml:"tenant"`

	// The node that wrote the logs, instead of what they say.
	Node string `yaml:"node"`

	// A folder with the playlists (.m3u8, .mpd) of what is played, for the lengths of segments. Relative as data_dir is.
	Playlists string `yaml:"playlists"`

	// How often it is looked at. Default: 5m
	Every time.Duration `yaml:"every"`
}

// defaultLook is how often a source is looked at.
const defaultLook = 5 * time.Minute

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,61}$`)

// checkSources notes what is wrong with sources.
func (c *Config) checkSources(n *notes) {
	seen := map[string]bool{}
	for i := range c.Sources {
		s, key := &c.Sources[i], fmt.Sprintf("sources[%d]", i)
		switch {
		case !sourceName.MatchString(s.Name):
			n.problem(key+".name", "%q is no name; write up to 62 of a-z 0-9 -", s.Name)
		case seen[s.Name]:
			n.problem(key+".name", "%q is the name of another source, too", s.Name)
		}
		seen[s.Name] = true
		if !bucketName.MatchString(s.Bucket) {
			n.problem(key+".bucket", "%q is no name of a bucket", s.Bucket)
		}
		if s.Endpoint == "" && s.Bucket == c.Buckets.Usage {
			n.problem(key+".bucket", "is where usage files are; let logs be dropped into another bucket")
		}
		if _, err := c.logFormat(s.Format); err != nil {
			n.problem(key+".format", "%q is not known; write the name of a preset, or of a format under logs", s.Format)
		}
		if s.Every != 0 && s.Every < time.Second {
			n.problem(key+".every", "%s is too short; write 1s or more", s.Every)
		}
		if s.Endpoint != "" {
			checkEndpoint(n, key+".endpoint", s.Endpoint)
		} else if s.AccessKey != "" || s.SecretKey != "" {
			n.problem(key+".endpoint", "is missing; name the service, or leave its keys out for object_store's")
		}
	}
}

// newSources opens the places of a configuration.
func newSources(ctx context.Context, s *site) (*intake.Sources, error) {
	out := &intake.Sources{Usage: s.reporter.Buckets.Usage, Metering: s.reporter.Buckets.Metering, Log: s.reporter.Log}
	for i := range s.config.Sources {
		one, err := newSource(ctx, s, &s.config.Sources[i])
		if err != nil {
			return nil, fmt.Errorf("sources[%d]: %w", i, err)
		}
		out.List = append(out.List, one)
	}
	return out, nil
}

func newSource(ctx context.Context, s *site, c *SourceSettings) (*intake.Source, error) {
	format, err := s.config.logFormat(c.Format)
	if err != nil {
		return nil, err
	}
	store := s.store
	if c.Endpoint != "" {
		if store, err = bucket.Connect(bucket.Config{Endpoint: c.Endpoint, Region: c.Region, AccessKey: c.AccessKey.Reveal(), SecretKey: c.SecretKey.Reveal()}); err != nil {
			return nil, err
		}
	} else if s.config.ObjectStore.Embedded() {
		if err := store.Bucket(c.Bucket).Ensure(ctx); err != nil {
			return nil, err
		}
	}
	out := &intake.Source{Name: c.Name, Logs: store.Bucket(c.Bucket), Prefix: c.Prefix, Every: c.Every, Format: format, Options: logs.Options{Tenant: c.Tenant, Node: c.Node}}
	if out.Every == 0 {
		out.Every = defaultLook
	}
	if c.Playlists != "" {
		out.Playlists = os.DirFS(c.Playlists)
	}
	return out, nil
}
