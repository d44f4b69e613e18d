package flussonic

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/playmeter/playmeter/crypto"
)

// Login is how to sign in to a server's API: as a user with a password, or with a bearer token. The zero
// Login does without.
type Login struct {
	User     string
	Password crypto.Secret
	Bearer   crypto.Secret
}

// Server is the API of a Flussonic Media Server.
//
//   - An answer is waited for 15 seconds and read up to a megabyte.
//   - A redirect is not followed: the password is for the address that was given and for no other.
//   - No error holds a secret.
type Server struct {
	base  *url.URL
	login Login
	http  *http.Client
}

const (
	answerTime = 15 * time.Second
	answerMost = 1 << 20
)

// Errors of a server that one may want to ask for.
var (
	// ErrNoSink is a server without a sink of that name.
	ErrNoSink = errors.New("there is no event sink of that name")
	// ErrOldServer is a server whose API has no event sinks.
	ErrOldServer = errors.New("the server's API has no event sinks (404)")
	// ErrRefused is a server that wants another user or password, or does not let this one.
	ErrRefused = errors.New("the server refuses the sign-in")
)

// NewServer is the server at an address such as https://streamer.example.com:8443. The address may name the user;
// a password in it is refused.
func NewServer(address string, login Login) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the server's address: write it like https://streamer.example.com or http://admin@127.0.0.1:8080")
	}
	if u.User != nil {
		if _, has := u.User.Password(); has {
			return nil, errors.New("the server's address: has a password in it, where others can read it; take it out, and put it into a file or the environment")
		}
		if login.User == "" {
			login.User = u.User.Username()
		}
		u.User = nil
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return &Server{base: u, login: login, http: &http.Client{
		Timeout:       answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Address is where the server is, without a user.
func (s *Server) Address() string { return s.base.String() }

const sinksPath = "/streamer/api/v3/event_sinks"

// Sink reads a sink and its counters.
//
// Errors: ErrNoSink, ErrOldServer, ErrRefused, or what else went wrong.
func (s *Server) Sink(ctx context.Context, name string) (*SinkState, error) {
	if !sinkNamePattern.MatchString(name) {
		return nil, fmt.Errorf("the sink's name %q: must be 1 to 64 of A-Z a-z 0-9 _ . -", name)
	}
	body, err := s.ask(ctx, http.MethodGet, sinksPath+"/"+name, nil)
	if errors.Is(err, errNotFound) {
		if _, err = s.ask(ctx, http.MethodGet, sinksPath, nil); err == nil {
			return nil, fmt.Errorf("read event sink %s of %s: %w", name, s.Address(), ErrNoSink)
		}
	}
	if err != nil {
		return nil, s.explain("read event sink "+name+" of", err)
	}
	state, err := parseSink(name, body)
	if err != nil {
		return nil, fmt.Errorf("read event sink %s of %s: %w", name, s.Address(), err)
	}
	return state, nil
}

// Install puts a sink into the server and reads back what is in force. created tells whether there was none of
// that name. To do it again changes nothing.
//
// Errors: as of Sink; one that says what differs, where the server did not take it over.
func (s *Server) Install(ctx context.Context, k Sink) (in *SinkState, created bool, err error) {
	body, err := k.body()
	if err != nil {
		return nil, false, err
	}
	if _, err = s.Sink(ctx, k.name()); errors.Is(err, ErrNoSink) {
		created = true
	} else if err != nil {
		return nil, false, err
	}
	if _, err = s.ask(ctx, http.MethodPut, sinksPath+"/"+k.name(), body, k.Token, k.SignKey); err != nil {
		return nil, false, s.explain("put event sink "+k.name()+" into", err)
	}
	if in, err = s.Sink(ctx, k.name()); err != nil {
		return nil, false, fmt.Errorf("read back what is in force: %w", err)
	}
	if d := k.differs(in); d != "" {
		return in, created, fmt.Errorf("the server took event sink %s, but not as it was given: %s", k.name(), d)
	}
	return in, created, nil
}

var errNotFound = errors.New("not found (404)")

// ask sends one request and reads its answer. Secrets are kept out of errors, those of the login anyhow.
func (s *Server) ask(ctx context.Context, method, path string, body []byte, secrets ...crypto.Secret) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	switch {
	case s.login.Bearer != "":
		req.Header.Set("Authorization", "Bearer "+s.login.Bearer.Reveal())
	case s.login.User != "" || s.login.Password != "":
		req.SetBasicAuth(s.login.User, s.login.Password.Reveal())
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerMost+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(answer) > answerMost {
		return nil, fmt.Errorf("the answer is larger than %d bytes", answerMost)
	}
	return answer, s.status(resp, answer, append(secrets, s.login.secrets()...))
}

// secrets are what an answer must not repeat of a login.
func (l *Login) secrets() []crypto.Secret {
	all := []crypto.Secret{l.Password, l.Bearer}
	if l.Password != "" {
		pair := l.User + ":" + l.Password.Reveal()
		all = append(all, crypto.Secret(base64.StdEncoding.EncodeToString([]byte(pair))))
	}
	return all
}

// status is what is wrong with an answer.
func (s *Server) status(resp *http.Response, answer []byte, secrets []crypto.Secret) error {
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusNotFound:
		return errNotFound
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("%w (%d): it wants the user and password of its edit_auth", ErrRefused, code)
	case code >= 300 && code < 400:
		to := "another address"
		if u, err := resp.Location(); err == nil {
			to = redactURL((&url.URL{Scheme: u.Scheme, Host: u.Host}).String())
		}
		return fmt.Errorf("it answers with a redirect to %s, where the password is not sent: give that address, if it is the server's", to)
	default:
		return fmt.Errorf("it answers %d: %s", code, said(answer, secrets))
	}
}

// said is the beginning of an answer, without what is secret and what would steer a terminal.
func said(answer []byte, secrets []crypto.Secret) string {
	text := strings.ToValidUTF8(string(answer), "\uFFFD")
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret.Reveal(), "[redacted]")
			text = strings.ReplaceAll(text, url.QueryEscape(secret.Reveal()), "[redacted]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return "nothing more"
	}
	return cutText(text, 300)
}

// explain says what was being done and what to do next.
func (s *Server) explain(doing string, err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err // it repeats the address
	}
	switch {
	case errors.Is(err, errNotFound):
		err = ErrOldServer
	case errors.Is(err, syscall.ECONNREFUSED):
		err = fmt.Errorf("nothing listens there; does the server run, and is this its HTTP port? (%w)", err)
	case errors.Is(err, context.DeadlineExceeded) || at != nil && at.Timeout():
		err = fmt.Errorf("no answer within %s; is this its HTTP port, and does a firewall let us through?", answerTime)
	}
	return fmt.Errorf("%s %s: %w", doing, s.Address(), err)
}
