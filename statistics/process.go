package statistics

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is an engine that runs beside us.
type process struct {
	command *exec.Cmd
	hold    io.Closer // of its standard input: closed, it ends
	url     string
	secret  string
	client  *http.Client
	ended   chan struct{}
	err     error // why, once it has
}

const endedEarly = "it ended before it had begun"

// startPatience is how long an engine may take to open its database, which may have to go over what it wrote last.
const startPatience = 2 * time.Minute

// errStart tells that the database of a folder does not open. It says so itself, unless its process ended before it could.
type errStart struct {
	text  string
	ended bool
	busy  bool // another process has it open: there is nothing wrong with it
}

func (e errStart) Error() string { return "start the database of the statistics: " + e.text }

// startProcess starts an engine. Errors: an errStart where the database does not open.
func startProcess(ctx context.Context, s settings, log *slog.Logger) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{secret: rand.Text() + rand.Text(), ended: make(chan struct{})}
	s.Secret = p.secret
	p.command = exec.Command(program)
	p.command.Args = []string{"playmeter-statistics"}
	p.command.Env = []string{engineMark + "=1", "PATH=" + os.Getenv("PATH"), "GOMEMLIMIT=256MiB", "TZ=UTC"}
	p.command.Dir = s.Folder
	p.command.Stderr = &lastWords{log: log}
	in, err := p.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start the process of the statistics: %w", err)
	}
	p.hold = in
	greeting := make(chan hello, 1)
	go p.watch(out, greeting)
	if err := json.NewEncoder(in).Encode(s); err != nil {
		p.kill()
		return nil, fmt.Errorf("start the process of the statistics: %w", err)
	}
	return p.greet(ctx, greeting)
}

// watch hears the engine out, and sees it end.
func (p *process) watch(out io.Reader, greeting chan<- hello) {
	var h hello
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&h); err != nil {
		h.Error = endedEarly
	}
	greeting <- h
	_, _ = io.Copy(io.Discard, out)
	p.err = p.command.Wait()
	close(p.ended)
}

func (p *process) greet(ctx context.Context, greeting <-chan hello) (*process, error) {
	patience := time.NewTimer(startPatience)
	defer patience.Stop()
	select {
	case h := <-greeting:
		if h.Error != "" {
			p.kill()
			return nil, errStart{h.Error, h.Error == endedEarly, h.Busy}
		}
		p.url = h.URL
		p.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true, IdleConnTimeout: time.Minute}}
		return p, nil
	case <-patience.C:
		p.kill()
		return nil, errStart{text: "it does not answer", ended: true}
	case <-ctx.Done():
		p.kill()
		return nil, ctx.Err()
	}
}

// answers tells whether an engine does, be it only that it is there.
func (p *process) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	_, err := p.ask(ctx, &question{Mode: modeEnd})
	return err == nil
}

// running tells whether the engine has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends an engine at once.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	_ = p.hold.Close()
	<-p.ended
}

// close ends an engine, which then writes down what it still holds.
func (p *process) close() {
	_ = p.hold.Close()
	select {
	case <-p.ended:
	case <-time.After(closePatience + time.Second):
		p.kill()
	}
	p.client.CloseIdleConnections()
}

// ask puts a question to an engine.
//
//   - Errors: ErrDown where it ended or does not answer, ErrTooMuch, those of ctx, and what the database says.
func (p *process) ask(ctx context.Context, q *question) (*answer, error) {
	return ask(ctx, p.client, p.url, p.secret, q)
}

func ask(ctx context.Context, client *http.Client, url, secret string, q *question) (*answer, error) {
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(q); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, &body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	res, err := client.Do(r)
	if err != nil {
		return nil, down(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: the database answers %s", ErrDown, res.Status)
	}
	var a answer
	if err := gob.NewDecoder(res.Body).Decode(&a); err != nil {
		return nil, down(ctx, err)
	}
	return &a, a.err(ctx)
}

// down words what a process that does not answer means.
func down(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: its process ended, and is started again", ErrDown)
}

func (a *answer) err(ctx context.Context) error {
	switch {
	case a.Reason == reasonNone:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case a.Reason == reasonTooMuch:
		return fmt.Errorf("%w: %s", ErrTooMuch, firstLine(a.Error))
	case a.Reason == reasonBusy:
		return ErrBusy
	case a.Reason == reasonWritten:
		return fmt.Errorf("%w: %s", ErrSQL, a.Error)
	}
	return errors.New(a.Error)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// lastWords logs what an engine writes on its standard error: how it crashed.
type lastWords struct {
	log  *slog.Logger
	left int
}

// Write is io.Writer's.
func (l *lastWords) Write(b []byte) (int, error) {
	if l.left < 20 {
		l.left++
		l.log.Warn("statistics", "process", strings.TrimSpace(string(b[:min(len(b), 500)])))
	}
	return len(b), nil
}
