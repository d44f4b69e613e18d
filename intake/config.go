package intake

import (
	"time"

	"github.com/playmeter/playmeter/crypto"
)

// Config says where events are kept until they are in a usage file.
type Config struct {
	// Dir is the folder of the embedded log, absolute. It is not used with a URL.
	Dir string
	// Own tells that the log of the folder is to be kept by this process, for as long as it runs; else another
	// process that has it open is asked.
	Own bool
	// URL names NATS servers to use instead (nats://host:4222, several separated by commas), Credentials the
	// file of a user's credentials there, and User, Password or Token what else they may ask for.
	URL         string
	Credentials string
	User        string
	Password    crypto.Secret
	Token       crypto.Secret
	// Stream is the name of the stream of events, and the first word of its subjects. Replicas are
	// the copies that a cluster keeps of it.
	Stream   string
	Replicas int

	// Every is how long events wait at most before they are put into a usage file, Bytes how many bytes of the
	// log one takes at most.
	Every time.Duration
	Bytes int64
	// Most is how many bytes the log holds at most, and Reserve how many bytes of its disk stay free.
	Most    int64
	Reserve int64
}

// What is configured where nothing else is said.
const (
	DefaultStream  = "playmeter"
	DefaultEvery   = time.Minute
	DefaultBytes   = 64 << 20
	DefaultMost    = 4 << 30
	DefaultReserve = 512 << 20
)

// subjects of the two streams.
func (c *Config) events() string    { return c.Stream + ".events" }
func (c *Config) decisions() string { return c.Stream + ".files" }

func (c *Config) withDefaults() Config {
	out := *c
	if out.Stream == "" {
		out.Stream = DefaultStream
	}
	out.Replicas = max(out.Replicas, 1)
	if out.Every <= 0 {
		out.Every = DefaultEvery
	}
	if out.Bytes <= 0 {
		out.Bytes = DefaultBytes
	}
	if out.Most <= 0 {
		out.Most = DefaultMost
	}
	return out
}
