package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes of SPEC 8.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
	exitAside  = 3 // done, but something was set aside or rejected
)

// usageError is what the person who typed the command can put right.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errAside ends a command that did its work and has said already what it set
// aside or rejected.
var errAside = errors.New("")

// exitCode is what a command's error comes to. What went wrong before the
// command began is wrong usage.
func (a *app) exitCode(err error) int {
	var usage usageError
	var config *ConfigError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errAside):
		return exitAside
	case !a.began, errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	}
	return exitFailed
}

// explain is the message of an error; empty where everything has been said.
func explain(err error) string {
	switch {
	case err == nil, errors.Is(err, errAside):
		return ""
	case errors.Is(err, context.Canceled):
		return "interrupted; nothing half done is shown as done, and the same command takes the work up again"
	}
	return err.Error()
}

// interruptible is a context that the first SIGINT or SIGTERM ends. The second
// ends the process, whatever it is doing: all that is stored is stored whole.
func (a *app) interruptible() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	return ctx
}
