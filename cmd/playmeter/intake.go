package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/playmeter/playmeter/intake"
)

// openLog opens the log of posted events, and has every run put what waits there into the usage bucket first. A
// daemon has it to itself; a command that finds none needs none.
func (s *site) openLog(ctx context.Context, daemon bool) (err error) {
	cfg := logOf(s.config)
	cfg.Own = daemon
	if _, err := os.Stat(cfg.Dir); cfg.URL == "" && !daemon && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if s.log, err = intake.Open(ctx, cfg, s.reporter.Log); err != nil {
		return err
	}
	s.reporter.Before = func(ctx context.Context) error {
		if err := s.log.Flush(ctx, s.reporter.Buckets.Usage, s.tellFile); err != nil {
			return fmt.Errorf("%w; a report would lack them, so none is made", err)
		}
		return nil
	}
	return nil
}

// tellFile says that posted events are in a usage file now.
func (s *site) tellFile(f intake.File) {
	s.reporter.Log.Info("posted events are in a usage file", "object", f.Key, "rows", f.Events, "bytes", f.Bytes)
}
