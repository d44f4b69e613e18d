package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

// app is what all commands share: the streams and the flags.
type app struct {
	in  io.Reader
	out io.Writer // data, and nothing else
	err *console  // everything that is said to people

	configFile, dataDir, logFormat, logLevel string
	listenHTTP, listenS3                     string // of serve and demo
	assets                                   string // of serve: a folder in the place of the embedded pages
	daemon                                   bool   // it speaks as a daemon does
	level                                    slog.LevelVar
	json                                     bool

	began bool   // the command itself has started
	cwd   string // the working directory when the configuration was first read
	hint  string // whose --help to look at
}

// do makes a cobra command of a function.
func (a *app) do(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		a.began = true
		if err := a.checkLogFlags(); err != nil {
			return err
		}
		return f(c.Context(), args)
	}
}

// jsonFlag gives a command --json.
func (a *app) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.json, "json", false, "print the answer as JSON, for programs")
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// say tells the person at the terminal something that is no data.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// checkLogFlags finds mistakes in the flags before anything is done.
func (a *app) checkLogFlags() error {
	if a.logFormat != "text" && a.logFormat != "json" {
		return usagef("--log-format %q: write text or json", a.logFormat)
	}
	var level slog.Level
	if a.logLevel != "" && level.UnmarshalText([]byte(a.logLevel)) != nil {
		return usagef("--log-level %q: write debug, info, warn or error", a.logLevel)
	}
	return nil
}

// log is where the work of a command is told.
func (a *app) log() *slog.Logger {
	a.setLevel()
	o := &slog.HandlerOptions{Level: &a.level}
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, o))
	}
	return slog.New(slog.NewTextHandler(a.err, o))
}

// setLevel decides what is worth a line, also for loggers that are in use.
func (a *app) setLevel() {
	level := slog.LevelInfo
	if a.err.terminal && !a.daemon {
		level = slog.LevelWarn // the bar says the rest
	}
	if a.logLevel != "" {
		level.UnmarshalText([]byte(a.logLevel)) // was checked
	}
	a.level.Set(level)
}

func (a *app) progress() *progress { return &progress{console: a.err, log: a.log()} }

// config reads the configuration; paths in it are absolute afterwards, because
// the embedded store changes the working directory.
func (a *app) config() (*Config, error) {
	path, explicit := a.configPath()
	if a.cwd != "" { // it is read again
		path = a.abs(path)
	}
	flags := map[string]string{}
	for key, text := range map[string]string{"data_dir": a.dataDir, "listen.http": a.listenHTTP, "listen.s3": a.listenS3} {
		if text != "" {
			flags[key] = text
		}
	}
	if a.cwd == "" {
		var err error
		if a.cwd, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	c, err := LoadConfig(path, explicit, os.Environ(), flags, configChecks)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{err}
	} else if err != nil {
		return nil, err
	}
	for _, p := range c.paths() {
		if *p != "" {
			*p = a.abs(*p)
		}
	}
	for _, w := range c.Warnings() {
		a.say("warning: %s", w)
	}
	return c, nil
}

// abs is where a path leads that was given when the program began: the embedded store has changed the
// working directory since.
func (a *app) abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.cwd, path)
}

func (a *app) configPath() (path string, explicit bool) {
	if a.configFile != "" {
		return a.configFile, true
	}
	if path = os.Getenv(EnvPrefix + "CONFIG"); path != "" {
		return path, true
	}
	return DefaultConfigFile, false
}

var configChecks = ConfigChecks{
	Schedule:  reporter.CheckSchedule,
	Recipient: func(s string) error { _, err := crypto.ParseRecipient(s); return err },
	Reader:    crypto.CheckReaderName,
	Recipients: func(all []string) error {
		keys := make([]crypto.Recipient, 0, len(all))
		for _, s := range all {
			if r, err := crypto.ParseRecipient(s); err == nil { // others are told of one by one
				keys = append(keys, r)
			}
		}
		return crypto.CheckRecipients(keys)
	},
}

// program is how this program was called, for commands to copy.
func program() string {
	if strings.ContainsRune(os.Args[0], filepath.Separator) {
		return shellWord(os.Args[0])
	}
	return "playmeter"
}

// flagsFor repeats the flags that name this installation, for a command to copy.
func (a *app) flagsFor() string {
	var b strings.Builder
	for _, f := range []struct{ name, value string }{{"config", a.configFile}, {"data-dir", a.dataDir}} {
		if f.value != "" {
			b.WriteString(" --" + f.name + " " + shellWord(f.value))
		}
	}
	return b.String()
}

// textFlag is a flag that says what is wrong with its text.
type textFlag struct {
	text, kind string
	set        func(string) error
}

func (f *textFlag) String() string { return f.text }
func (f *textFlag) Type() string   { return f.kind }
func (f *textFlag) Set(s string) error {
	f.text = s
	return f.set(s)
}

// monthFlag is --month.
func monthFlag(c *cobra.Command, to *schemas.Period, help string) {
	c.Flags().Var(&textFlag{kind: "YYYY-MM", set: func(s string) (err error) { *to, err = schemas.ParsePeriod(s); return err }}, "month", help)
}

// store opens the object store that the configuration names: the daemon's, where
// one serves the data directory, else our own for as long as it is open.
func (a *app) store(ctx context.Context, c *Config, listen string) (*bucket.Store, io.Closer, error) {
	if !c.ObjectStore.Embedded() {
		s, err := bucket.Dial(ctx, storeOf(c))
		if err != nil {
			return nil, nil, fmt.Errorf("object_store: %w", err)
		}
		return s, io.NopCloser(nil), nil
	}
	cfg := bucket.EmbeddedConfig{Dir: c.DataDir, Listen: listen, Accounts: storeAccounts{crypto.OpenReaders(c.keysDir())}}
	if listen != "" {
		cfg.TLS = c.Listen.s3TLS()
	}
	return bucket.Open(ctx, cfg)
}

// s3TLS is with what the embedded store speaks HTTPS: on loopback with nothing, where names in a certificate
// would not fit.
func (l Listen) s3TLS() bucket.TLSFiles {
	if web.CheckLoopback(l.S3, false) == nil {
		return bucket.TLSFiles{}
	}
	return bucket.TLSFiles(l.TLS)
}

// storeOf is the S3 service that the configuration names; of the embedded store it is nothing.
func storeOf(c *Config) bucket.Config {
	return bucket.Config{Endpoint: c.ObjectStore.Endpoint, Region: c.ObjectStore.Region,
		AccessKey: c.ObjectStore.AccessKey.Reveal(), SecretKey: c.ObjectStore.SecretKey.Reveal()}
}
