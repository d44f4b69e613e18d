package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// console is where people are spoken to. On a terminal its last line may be a
// progress bar, which steps aside for everything that is written.
type console struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	width    int
	bar      string // what the last line shows now
}

func newConsole(f *os.File) *console {
	c := &console{w: f, terminal: term.IsTerminal(int(f.Fd())), width: 80}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		c.width = w
	}
	return c
}

const eraseLine = "\r\x1b[2K"

// Write puts text above the bar.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar == "" {
		return c.w.Write(p)
	}
	io.WriteString(c.w, eraseLine)
	n, err := c.w.Write(p)
	io.WriteString(c.w, c.bar)
	return n, err
}

// show replaces the bar; empty removes it.
func (c *console) show(bar string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.terminal || bar == c.bar {
		return
	}
	c.bar = cutText(bar, c.width-1)
	io.WriteString(c.w, eraseLine+c.bar)
}
