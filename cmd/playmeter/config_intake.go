package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/intake/flussonic"
	"github.com/playmeter/playmeter/schemas"
)

// Size is a number of bytes.
type Size int64

func (s *Size) set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<50 {
		return fmt.Errorf("%q is no size; write a number with its unit, such as 64MB or 4GiB", text)
	}
	*s = Size(n)
	return nil
}

// IntakeSettings say what becomes of events that are posted.
type IntakeSettings struct {
	// How long events wait at most before they are put into a usage file. Before each run they all are. Default: 60s
	Every time.Duration `yaml:"every"`

	// How much of the log, packed as it is, goes into one usage file at most. Default: 64MB
	Size Size `yaml:"size"`

	// How much the log holds at most; senders are then told to wait. Default: 4GiB
	Most Size `yaml:"most"`

	// How much of the log's disk stays free; senders are then told to wait. Default: 512MiB
	Reserve Size `yaml:"reserve"`

	// NATS servers that keep the log, where several machines take events in. Left out: the daemon keeps it, in
	// the folder intake of data_dir.
	NATS NATSSettings `yaml:"nats"`

	// Keys that Flussonic servers sign their posts with. A post that is signed with one needs no token.
	SignKeys []SignKey `yaml:"sign_keys"`

	// Whose the streams of Flussonic servers are, and what they are like. The first that matches holds.
	Streams []StreamRule `yaml:"streams"`
}

// NATSSettings name a NATS cluster with JetStream.
type NATSSettings struct {
	// Its servers, such as nats://nats-1:4222,nats://nats-2:4222
	URL string `yaml:"url"`

	// The stream that is made there for events; a second one has "-files" behind it. Default: playmeter
	Stream string `yaml:"stream"`

	// How many servers keep a copy of each event. Default: 1
	Replicas int `yaml:"replicas"`

	// What the servers ask for: a file of credentials, user and password, or a token. Better ${NAME} than the text.
	Credentials string        `yaml:"credentials"`
	User        string        `yaml:"user"`
	Password    crypto.Secret `yaml:"password"`
	Token       crypto.Secret `yaml:"token"`
}

// SignKey is a server's sign_key.
type SignKey struct {
	// As in the server's event_sink. Better ${NAME} than the text.
	Key crypto.Secret `yaml:"key"`

	// Whose servers sign with it; their streams can be no other tenant's. Default: the rules of streams say
	Tenant schemas.Tenant `yaml:"tenant"`
}

// StreamRule is what is known of some streams.
type StreamRule struct {
	// Their names: * and ? match within a part of a name, between two /; ** any number of parts; {a,b} one of
	// several, such as films/** or {news,sports}_*
	Match string `yaml:"match"`

	// The host names of their servers, likewise. Default: all
	Server string `yaml:"server"`

	// Whose they are. Default: the tenant of the token, of the key, or of ?tenant=
	Tenant schemas.Tenant `yaml:"tenant"`

	// The size of the picture, so that view time counts into a tier. Default: unclassified
	Width  int32 `yaml:"width"`
	Height int32 `yaml:"height"`

	// Whether they are protected: on or off. Default: off
	DRM Switch `yaml:"drm"`
}

// Switch is on, off, or not given.
type Switch struct{ value *bool }

func (s *Switch) set(text string) error {
	var v bool
	s.value = &v
	return setSwitch(&v, text)
}

// check notes what is wrong.
func (i *IntakeSettings) check(n *notes) {
	if i.Every < time.Second {
		n.problem("intake.every", "%s is too short; write 1s or more", i.Every)
	}
	if i.Size < 1<<20 || i.Size > 1<<30 {
		n.problem("intake.size", "must be from 1MiB to 1GiB")
	}
	if i.Most < 2*i.Size {
		n.problem("intake.most", "must be at least twice intake.size")
	}
	i.NATS.check(n)
	for k, s := range i.SignKeys {
		if s.Key == "" {
			n.problem(fmt.Sprintf("intake.sign_keys[%d].key", k), "is missing; write ${NAME} and set that to the server's sign_key")
		}
	}
	if err := i.rules().Streams.Validate(); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			key, what, _ := strings.Cut(line, ": ")
			n.problem("intake.streams"+key, "%s", what)
		}
	}
}

func (s *NATSSettings) check(n *notes) {
	if s.URL == "" {
		if s.Credentials != "" || s.User != "" || s.Password != "" || s.Token != "" {
			n.problem("intake.nats.url", "is missing; name the servers, such as nats://nats-1:4222, or leave intake.nats out")
		}
		return
	}
	for _, text := range strings.Split(s.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		switch {
		case err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls":
			n.problem("intake.nats.url", "%q is no address of a server; write nats:// or tls:// and its host", withoutUser(text))
		case u.User != nil:
			n.problem("intake.nats.url", "must not hold a user; write user and password, token, or credentials")
		}
	}
	if strings.ContainsAny(s.Stream, ".*> \t/\\") {
		n.problem("intake.nats.stream", "%q is no name of a stream; write one word", s.Stream)
	}
	if s.Replicas < 1 || s.Replicas > 5 {
		n.problem("intake.nats.replicas", "must be from 1 to 5")
	}
}

// rules are what the intake needs to know of senders.
func (i *IntakeSettings) rules() *intake.Rules {
	var r intake.Rules
	for _, s := range i.Streams {
		r.Streams = append(r.Streams, flussonic.Rule{Match: s.Match, Server: s.Server, Tenant: s.Tenant, Width: s.Width, Height: s.Height, DRM: s.DRM.value})
	}
	for _, k := range i.SignKeys {
		r.Signers = append(r.Signers, intake.Signer{Key: k.Key, Tenant: k.Tenant})
	}
	return &r
}

// fixed is what a running daemon does not take over: all but the rules.
func (i IntakeSettings) fixed() IntakeSettings {
	i.SignKeys, i.Streams = nil, nil
	return i
}

// logOf is where posted events are kept.
func logOf(c *Config) intake.Config {
	i := &c.Intake
	return intake.Config{Dir: filepath.Join(c.DataDir, "intake"),
		URL: i.NATS.URL, Credentials: i.NATS.Credentials, User: i.NATS.User, Password: i.NATS.Password, Token: i.NATS.Token,
		Stream: i.NATS.Stream, Replicas: i.NATS.Replicas,
		Every: i.Every, Bytes: int64(i.Size), Most: int64(i.Most), Reserve: int64(i.Reserve)}
}

// defaultIntake is what holds where nothing is said.
var defaultIntake = IntakeSettings{Every: intake.DefaultEvery, Size: 64_000_000, Most: intake.DefaultMost, Reserve: intake.DefaultReserve,
	NATS: NATSSettings{Stream: intake.DefaultStream, Replicas: 1}}
