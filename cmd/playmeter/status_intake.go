package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/web"
)

// statusAnswer is all that status has to say.
type statusAnswer struct {
	*reporter.Status
	// Intake is what waits in the log of posted events; nil: nothing was ever posted.
	Intake *intake.State `json:"intake,omitempty"`
	// Sources are what came of the configured sources of logs, as far as they were looked at.
	Sources []intake.SourceState `json:"sources,omitempty"`
}

// lookAtIntake asks what waits there.
func (s *statusAnswer) lookAtIntake(ctx context.Context, from *site) error {
	if err := from.openLog(ctx, false); err != nil {
		return err
	}
	if from.log != nil {
		state, err := from.log.State(ctx)
		if err != nil {
			return err
		}
		s.Intake = &state
	}
	return s.lookAtSources(ctx, from)
}

// lookAtSources asks what came of the configured sources.
func (s *statusAnswer) lookAtSources(ctx context.Context, from *site) error {
	for i := range from.config.Sources {
		state, err := intake.ReadSource(ctx, from.reporter.Buckets.Metering, from.config.Sources[i].Name)
		if errors.Is(err, bucket.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		s.Sources = append(s.Sources, state)
	}
	return nil
}

func intakeSection(s *intake.State) section {
	var out section
	if s == nil {
		return out
	}
	if s.Posts > 0 {
		out.add("intake: %s wait to be put into a usage file, for %s at most", web.Bytes(int64(s.Bytes)), time.Since(s.Oldest).Round(time.Second))
		out.next = "Every run puts them there first, the daemon as intake.every says."
	}
	if s.Trouble != "" {
		out.add("intake: %s", s.Trouble)
	}
	return out
}

func sourcesSection(all []intake.SourceState) section {
	var out section
	for i := range all {
		s := &all[i]
		out.add("source %s: %s of %s lines, %s, looked at %s", s.Source, count(int(s.Events), "event"), humanize.Comma(s.Lines), count(int(s.Logs), "log"), s.Looked.Format(time.RFC3339))
		if s.Trouble != "" {
			out.add("  cannot be read: %s", s.Trouble)
		}
		for _, log := range s.UnreadableLogs() {
			out.add("  cannot be read, and is tried again: %s: %s", log, s.Unreadable[log])
		}
		for _, why := range slices.Sorted(maps.Keys(s.Skipped)) {
			if why.Bad() {
				out.add("  %s left out: %s (%s)", count(int(s.Skipped[why]), "line"), why, reasonWords[why])
			}
		}
	}
	return out
}
