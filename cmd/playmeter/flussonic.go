package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake/flussonic"
	"github.com/playmeter/playmeter/schemas"
)

const flussonicHelp = `Makes a Flussonic Media Server report its sessions, and looks how that goes.

URL is the address of the server, such as https://admin@streamer.example.com. The
user is the one of its edit_auth. The password is read from --password-file, or from
the environment, FLUSSONIC_PASSWORD; it never stands on the command line.`

// passwordEnv is where the password of a server is read from, where no file is named. It does not begin like
// our settings, because it is none.
const passwordEnv = "FLUSSONIC_PASSWORD"

func flussonicCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "flussonic", Short: "Make Flussonic servers report their sessions", Long: flussonicHelp, GroupID: "in", Args: cobra.NoArgs,
		Example: `  playmeter flussonic install https://admin@streamer.example.com --to https://playmeter.example.com:8080 --token-file node.token
  playmeter flussonic check https://admin@streamer.example.com`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(flussonicInstallCommand(a), flussonicCheckCommand(a))
	return c
}

// flussonicLogin is how the flags say to sign in.
type flussonicLogin struct{ user, passwordFile, bearerFile, name string }

func (l *flussonicLogin) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&l.user, "user", "", "`NAME` of the user, where URL does not name one")
	f.StringVar(&l.passwordFile, "password-file", "", "`FILE` that holds the user's password (default: the environment, "+passwordEnv+")")
	f.StringVar(&l.bearerFile, "bearer-file", "", "`FILE` that holds a bearer token to sign in with in the place of a user")
	f.StringVar(&l.name, "name", flussonic.SinkName, "`NAME` of the event sink in the server")
	c.MarkFlagsMutuallyExclusive("bearer-file", "password-file")
	c.MarkFlagsMutuallyExclusive("bearer-file", "user")
}

// server is the server at an address, and how to sign in there.
func (a *app) flussonicServer(address string, l flussonicLogin) (*flussonic.Server, error) {
	login := flussonic.Login{User: l.user, Password: crypto.Secret(os.Getenv(passwordEnv))}
	var err error
	if l.bearerFile != "" {
		login.Password = ""
		if login.Bearer, err = a.secretFile("--bearer-file", l.bearerFile); err != nil {
			return nil, err
		}
	}
	if l.passwordFile != "" {
		if login.Password, err = a.secretFile("--password-file", l.passwordFile); err != nil {
			return nil, err
		}
	}
	s, err := flussonic.NewServer(address, login)
	if err != nil {
		return nil, usageError{err}
	}
	if (login.Password != "" || login.Bearer != "") && !flussonic.Private(s.Address()) {
		a.say("warning: the password crosses the network readable, because %s is not HTTPS", s.Address())
	}
	return s, nil
}

// maxSecret is the largest file that is taken for a password, a token or a key.
const maxSecret = 4096

// secretFile reads a file of one line.
func (a *app) secretFile(flag, path string) (crypto.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(data) == 0 || len(data) > maxSecret || bytes.ContainsAny(data, "\r\n\x00") {
		return "", usagef("%s: %s does not hold one line of text", flag, path)
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o004 != 0 {
		a.say("warning: %s can be read by others: chmod 600 it", path)
	}
	return crypto.Secret(data), nil
}

// flussonicInstall is what install is asked for.
type flussonicInstall struct {
	flussonicLogin
	to, tokenFile, keyFile string
	tenant                 schemas.Tenant
	dryRun                 bool
}

func flussonicInstallCommand(a *app) *cobra.Command {
	var o flussonicInstall
	c := &cobra.Command{
		Use: "install URL", Short: "Put an event sink into a server, so that it reports its sessions here", Args: oneServer,
		Long: `Puts an event sink into a server through its API, and reads back what is in force.
From then on the server posts what is played to the intake of this installation. To
do it again changes nothing.

The server signs in with a token of role node (--token-file), or signs what it posts
(--sign-key-file; intake.sign_keys in playmeter.yaml holds the same key), or both.
A tenant is named here (--tenant), by the token, or by rules under intake.streams.

--dry-run changes nothing and asks nobody: it prints the block for flussonic.conf,
with token and key, for servers whose API cannot be reached or is too old.`,
		Example: `  playmeter token add --role node --tenant iten4EXAMPLE streamer-1 > streamer-1.token
  playmeter flussonic install https://admin@streamer.example.com --to https://playmeter.example.com:8080 --tenant iten4EXAMPLE --token-file streamer-1.token
  playmeter flussonic install http://127.0.0.1:8081 --tenant iten4EXAMPLE --dry-run`,
	}
	f := c.Flags()
	o.flussonicLogin.flags(c)
	f.StringVar(&o.to, "to", "", "`URL` of this installation's intake as the server reaches it (default listen.http, where that says it)")
	f.Var(&textFlag{kind: "ID", set: func(s string) (err error) { o.tenant, err = schemas.ParseTenant(s); return err }}, "tenant", "the tenant whose streams the server has")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` that holds the token of role node with which the server posts")
	f.StringVar(&o.keyFile, "sign-key-file", "", "`FILE` that holds the key with which the server signs what it posts")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the block for flussonic.conf and change nothing")
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, args []string) error { return a.installFlussonic(ctx, args[0], o) })
	return c
}

// oneServer wants one argument.
func oneServer(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("say the address of one server, such as https://admin@streamer.example.com")
	}
	return nil
}

func (a *app) installFlussonic(ctx context.Context, address string, o flussonicInstall) error {
	server, err := a.flussonicServer(address, o.flussonicLogin)
	if err != nil {
		return err
	}
	sink, err := a.flussonicSink(o, flussonic.Loopback(server.Address()))
	if err != nil {
		return err
	}
	a.warnOfSink(sink)
	if o.dryRun {
		return a.printBlock(sink)
	}
	state, created, err := server.Install(ctx, sink)
	if errors.Is(err, flussonic.ErrOldServer) {
		return fmt.Errorf("%w; write it into flussonic.conf yourself: the same command with --dry-run prints the block", err)
	} else if err != nil {
		return unknownLogin(err)
	}
	if a.json {
		return a.printJSON(struct {
			Server  string `json:"server"`
			Created bool   `json:"created"`
			*flussonic.SinkState
		}{server.Address(), created, state})
	}
	if err := a.showSink(server, state); err != nil {
		return err
	}
	done := "was there already and is as asked for"
	if created {
		done = "is in force"
	}
	a.say("Event sink %s %s. \"%s flussonic check %s\" shows how it goes.", state.Name, done, program(), shellWord(server.Address()))
	return nil
}

// flussonicSink is the sink that the flags ask for. here says that the server may be on this machine.
func (a *app) flussonicSink(o flussonicInstall, here bool) (flussonic.Sink, error) {
	sink := flussonic.Sink{Name: o.name, To: o.to, Tenant: o.tenant}
	var err error
	if o.tokenFile != "" {
		if sink.Token, err = a.secretFile("--token-file", o.tokenFile); err != nil {
			return sink, err
		}
	}
	if o.keyFile != "" {
		if sink.SignKey, err = a.secretFile("--sign-key-file", o.keyFile); err != nil {
			return sink, err
		}
	}
	if sink.To == "" {
		if sink.To, err = a.intakeAddress(here); err != nil {
			return sink, err
		}
	}
	if err := sink.Validate(); err != nil {
		return sink, usageError{err}
	}
	return sink, nil
}

// intakeAddress is where listen.http says that the intake is, if others can use what it says.
func (a *app) intakeAddress(here bool) (string, error) {
	c, err := a.config()
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(c.Listen.HTTP)
	ip := net.ParseIP(host)
	local := flussonic.Loopback("http://" + c.Listen.HTTP)
	if err != nil || port == "0" || host == "" || ip != nil && ip.IsUnspecified() || local && !here {
		return "", usagef("--to is missing: say where the server reaches this installation, such as --to https://playmeter.example.com:8080; listen.http is %s, which does not say it", c.Listen.HTTP)
	}
	scheme := "http://"
	if c.Listen.TLS.Certificate != "" {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port), nil
}

// warnOfSink tells what of a sink may not be meant.
func (a *app) warnOfSink(s flussonic.Sink) {
	if !flussonic.Private(s.To) {
		a.say("warning: sessions and the token cross the network readable, because the intake's address is not HTTPS")
	}
	if s.Token == "" && s.SignKey == "" {
		a.say("note: neither a token nor a key is given, so the intake takes the posts only from this machine, and only while there is no token at all")
	}
}

func (a *app) printBlock(s flussonic.Sink) error {
	block, err := s.Block()
	if err != nil {
		return err
	}
	if s.Token != "" || s.SignKey != "" {
		a.say("For flussonic.conf; it holds what the server signs in with:")
	} else {
		a.say("For flussonic.conf:")
	}
	_, err = io.WriteString(a.out, block.Reveal())
	return err
}

// unknownLogin says how to sign in where that failed.
func unknownLogin(err error) error {
	if errors.Is(err, flussonic.ErrRefused) {
		return fmt.Errorf("%w; the user stands in URL or --user, the password in --password-file or the environment, %s", err, passwordEnv)
	}
	return err
}
