package main

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/playmeter/playmeter/web"
)

// progress shows how far long work is: a bar on a terminal, elsewhere a log
// line every few seconds.
type progress struct {
	console *console
	log     *slog.Logger

	mu    sync.Mutex
	works map[string]*work // by label: several may be under way at once
}

// work is what is known of one label.
type work struct{ began, shown time.Time }

const (
	barEvery = 100 * time.Millisecond
	logEvery = 5 * time.Second
	barWidth = 24
)

// at tells how far the work named by label is; a total of zero is not known. It
// may be called from several goroutines.
func (p *progress) at(label string, done, total int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	w := p.works[label]
	if w == nil {
		w = &work{began: now, shown: now}
		if p.works == nil {
			p.works = make(map[string]*work)
		}
		p.works[label] = w
	}
	every := logEvery
	if p.console.terminal {
		every = barEvery
	}
	// Work that is over at once is worth no line.
	if now.Sub(w.shown) < every {
		return
	}
	w.shown = now
	if p.console.terminal {
		p.console.show(drawBar(label, done, total, unit, now.Sub(w.began)))
	} else {
		p.log.Info(label, "done", amount(done, unit), "of", amount(total, unit))
	}
}

// end takes the bar away.
func (p *progress) end() {
	p.console.show("")
	p.mu.Lock()
	p.works = nil
	p.mu.Unlock()
}

func drawBar(label string, done, total int64, unit string, took time.Duration) string {
	if total <= 0 {
		return fmt.Sprintf("%s  %s", label, amount(done, unit))
	}
	share := min(float64(done)/float64(total), 1)
	full := int(share * barWidth)
	bar := strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
	line := fmt.Sprintf("%s  %s %3.0f%%  %s of %s", label, bar, share*100, amount(done, unit), amount(total, unit))
	if took > 3*time.Second && share > 0.02 && share < 1 {
		left := time.Duration(float64(took) * (1 - share) / share)
		line += fmt.Sprintf("  %s left", left.Round(time.Second))
	}
	return line
}

// amount is a number of units for people to read.
func amount(n int64, unit string) string {
	if unit == "bytes" {
		return web.Bytes(max(n, 0))
	}
	return humanize.Comma(n) + " " + unit
}
