package bucket

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// A Config says where an object store is and who we are there.
type Config struct {
	// Endpoint is a URL, http:// or https://, host and port, no path.
	Endpoint string
	// Region is that of the buckets; empty means us-east-1.
	Region string
	// AccessKey and SecretKey are what the store gave us. Both empty:
	// requests are sent unsigned.
	AccessKey, SecretKey string
	// Certificate is a PEM file: with it the server is trusted that shows the first
	// certificate there, and no other. Empty: one that the system's authorities vouch for.
	Certificate string
}

const redacted = "[redacted]"

// String shows everything but the secret.
func (c Config) String() string {
	return fmt.Sprintf("{Endpoint:%s Region:%s AccessKey:%s SecretKey:%s}", c.Endpoint, c.Region, c.AccessKey, redacted)
}

// GoString is String: %#v shows no secret either.
func (c Config) GoString() string { return "bucket.Config" + c.String() }

// Format is String for every verb, those that take a struct apart included.
func (c Config) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		io.WriteString(f, c.GoString())
		return
	}
	io.WriteString(f, c.String())
}

// LogValue logs everything but the secret.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("endpoint", c.Endpoint),
		slog.String("region", c.Region),
		slog.String("access_key", c.AccessKey),
		slog.String("secret_key", redacted),
	)
}

// MarshalJSON writes everything but the secret.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{
		"endpoint": c.Endpoint, "region": c.Region, "access_key": c.AccessKey, "secret_key": redacted,
	})
}

// Validate lists every problem.
func (c Config) Validate() error {
	var errs []error
	u, err := url.Parse(c.Endpoint)
	switch {
	case c.Endpoint == "":
		errs = append(errs, errors.New("endpoint: missing; for example https://s3.example.com"))
	case err != nil:
		errs = append(errs, fmt.Errorf("endpoint: %w", err))
	case u.Scheme != "http" && u.Scheme != "https":
		errs = append(errs, fmt.Errorf("endpoint: must begin with http:// or https://, got %q", c.Endpoint))
	case u.Host == "":
		errs = append(errs, fmt.Errorf("endpoint: names no host: %q", c.Endpoint))
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		errs = append(errs, errors.New("endpoint: only scheme, host and port, without path, query or user"))
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		errs = append(errs, errors.New("access_key, secret_key: one is missing; give both or neither"))
	}
	return errors.Join(errs...)
}
