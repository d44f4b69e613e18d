package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/intake/flussonic"
)

func flussonicCheckCommand(a *app) *cobra.Command {
	var l flussonicLogin
	c := &cobra.Command{
		Use: "check URL", Short: "Show what a server has sent here, sent again and given up", Args: oneServer,
		Long: `Reads our event sink from a server, and how many events it has sent, sent again and
dropped.

What was sent again was refused here, or did not get here, at first; nothing is
counted twice. What was dropped is lost: the figures of a session are cumulative, so
its next event makes up for one that was dropped, but not where it was the last. The
command ends with 3 then.`,
		Example: `  playmeter flussonic check https://admin@streamer.example.com --password-file streamer.password
  playmeter flussonic check http://127.0.0.1:8081 --json`,
	}
	l.flags(c)
	a.jsonFlag(c)
	c.RunE = a.do(func(ctx context.Context, args []string) error { return a.checkFlussonic(ctx, args[0], l) })
	return c
}

func (a *app) checkFlussonic(ctx context.Context, address string, l flussonicLogin) error {
	server, err := a.flussonicServer(address, l)
	if err != nil {
		return err
	}
	state, err := server.Sink(ctx, l.name)
	switch {
	case errors.Is(err, flussonic.ErrNoSink):
		return fmt.Errorf("%w; \"%s flussonic install %s\" puts it there", err, program(), shellWord(server.Address()))
	case errors.Is(err, flussonic.ErrOldServer):
		return fmt.Errorf("%w; \"%s flussonic install %s --dry-run\" prints the block for flussonic.conf; such a server has no counters to show", err, program(), shellWord(server.Address()))
	case err != nil:
		return unknownLogin(err)
	}
	if a.json {
		err = a.printJSON(struct {
			Server string `json:"server"`
			*flussonic.SinkState
		}{server.Address(), state})
	} else {
		err = a.showSink(server, state)
	}
	if err != nil {
		return err
	}
	if missing := state.Missing(); len(missing) > 0 {
		a.say("warning: the sink leaves out %s; \"%s flussonic install\" puts that right", strings.Join(missing, ", "), program())
	}
	if state.Dropped != nil && *state.Dropped > 0 {
		a.say("warning: the server has dropped %d events: sessions whose last event is among them are counted up to the one before", *state.Dropped)
		return errAside
	}
	return nil
}

// showSink prints a sink as people read it.
func (a *app) showSink(server *flussonic.Server, s *flussonic.SinkState) error {
	events, signed := strings.Join(s.Events, ", "), "no"
	if events == "" {
		events = "all"
	}
	if s.Signed {
		signed = "yes"
	}
	for _, line := range [][2]string{{"server", server.Address()}, {"sink", s.Name}, {"posts to", s.URL}, {"events", events}, {"signed", signed},
		{"sent", counted(s.Sent)}, {"sent again", counted(s.Resent)}, {"dropped", counted(s.Dropped)}} {
		if _, err := fmt.Fprintf(a.out, "%-11s %s\n", line[0], printable(line[1])); err != nil {
			return err
		}
	}
	return nil
}

func counted(n *int64) string {
	if n == nil {
		return "the server does not say"
	}
	return fmt.Sprint(*n)
}
