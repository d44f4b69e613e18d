package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
)

const envHelp = `Prints shell exports with which any S3 client works on the object store: the
keys, the region and the endpoint. They are secrets of the installation: the
key may do everything.`

func envCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "env", Short: "Print shell exports for S3 clients", Long: envHelp, GroupID: "look", Args: cobra.NoArgs,
		Example: `  eval "$(playmeter env)"
  aws s3 ls s3://usage/
  aws s3 cp hour.parquet s3://usage/dt=2026-10-14/hour=09/node1-1.parquet`,
	}
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, _ []string) error {
		cfg, err := a.config()
		if err != nil {
			return err
		}
		store, running, err := a.storeConfig(ctx, cfg)
		if err != nil {
			return err
		}
		if !running {
			a.say("note: the object store answers only while \"playmeter serve\" runs, and it does not run now")
		}
		return a.printEnv(store)
	})
	return c
}

// storeConfig is where the object store is, and whether it answers.
func (a *app) storeConfig(ctx context.Context, c *Config) (cfg bucket.Config, running bool, err error) {
	if !c.ObjectStore.Embedded() {
		return storeOf(c), true, nil
	}
	if cfg, running = bucket.Running(c.DataDir); running {
		return cfg, true, nil
	}
	// The keys are made when the store is first opened.
	if _, err := makeFolders(c); err != nil {
		return cfg, false, err
	}
	store, closer, err := a.store(ctx, c, "")
	if err != nil {
		return cfg, false, err
	}
	cfg = store.Config()
	cfg.Endpoint = endpointOf(c.Listen)
	return cfg, false, closer.Close()
}

// endpointOf is where the daemon's object store will listen; empty where that is not known yet.
func endpointOf(l Listen) string {
	host, port, err := net.SplitHostPort(l.S3)
	if err != nil || port == "0" {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if !l.s3TLS().None() {
		return "https://" + net.JoinHostPort(host, port)
	}
	return "http://" + net.JoinHostPort(host, port)
}

func (a *app) printEnv(s bucket.Config) error {
	pairs := [][2]string{
		{"AWS_ACCESS_KEY_ID", s.AccessKey}, {"AWS_SECRET_ACCESS_KEY", s.SecretKey},
		{"AWS_ENDPOINT_URL", s.Endpoint}, {"AWS_ENDPOINT_URL_S3", s.Endpoint},
		{"AWS_REGION", s.Region}, {"AWS_DEFAULT_REGION", s.Region}, {"AWS_EC2_METADATA_DISABLED", "true"},
	}
	values := map[string]string{}
	for _, p := range pairs {
		if p[1] == "" {
			a.say("note: %s is known only while \"playmeter serve\" runs, because listen.s3 picks a free port", p[0])
			continue
		}
		values[p[0]] = p[1]
		if !a.json {
			io.WriteString(a.out, fmt.Sprintf("export %s=%s\n", p[0], shellQuote(p[1])))
		}
	}
	if a.json {
		return a.printJSON(values)
	}
	return nil
}

// shellQuote writes s so that a shell reads it back as it is.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// shellWord quotes where it must.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return shellQuote(s)
}
