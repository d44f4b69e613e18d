package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// hlsPath is where "make test-e2e" puts the player, in the version and with the digest that
// testdata/playback/package-lock.json names.
func hlsPath() string {
	return filepath.Join("..", "..", "bin", "e2e", "node_modules", "hls.js", "dist", "hls.min.js")
}

// A viewing is one session as player.js plays it.
type viewing struct {
	ID      string  `json:"id"`
	Object  string  `json:"object"`
	Way     string  `json:"way"`   // how the viewer goes through the title: see player.js
	Level   int     `json:"level"` // which quality to begin with, lowest first; -1: the player chooses, always
	Headers bool    `json:"headers"`
	Version int     `json:"version"` // of CMCD
	Rate    float64 `json:"rate"`
	Ahead   float64 `json:"ahead"`  // seconds to buffer
	Behind  float64 `json:"behind"` // seconds to keep
}

// A record is what the player says of a viewing.
type record struct {
	Fragments []loadedFragment `json:"fragments"`
	Requests  []madeRequest    `json:"requests"`
	Errors    []string         `json:"errors"`
	Remarks   []string         `json:"remarks"`
	Played    float64          `json:"played"` // seconds, where the viewer was when he left
}

// A loadedFragment is an event FRAG_LOADED of hls.js.
type loadedFragment struct {
	URL       string `json:"url"`
	Type      string `json:"type"` // main or audio
	Sequence  int    `json:"sn"`
	Bytes     int64  `json:"bytes"`
	Encrypted bool   `json:"encrypted"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
}

// A madeRequest is a request of hls.js and how it ended: loaded, aborted, onError or onTimeout.
type madeRequest struct {
	URL   string `json:"url"`
	End   string `json:"end"`
	Bytes int64  `json:"bytes"`
	Told  bool   `json:"told"` // it bears CMCD: not all of hls.js's requests do
}

// makePage writes the player's page to root.
func makePage(t *testing.T, root string) {
	t.Helper()
	player, err := os.ReadFile(hlsPath())
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(root, "hls.min.js"), player)
	for _, name := range []string{"player.html", "player.js"} {
		data, err := os.ReadFile(filepath.Join("testdata", "playback", name))
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, filepath.Join(root, name), data)
	}
}

// startBrowser starts a Chromium without a window. It ends with the test.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	program, err := chromiumPath()
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("mute-audio", true), chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(time.Minute),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it does not run as root with one
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	browser, _ := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		closing, cancel := context.WithTimeout(browser, 20*time.Second)
		defer cancel()
		chromedp.Cancel(closing)
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return browser
}

// play shows the player's page in a new tab and has it play.
func (v viewing) play(t *testing.T, browser context.Context, server string) record {
	t.Helper()
	tab, cancel := chromedp.NewContext(browser)
	defer cancel()
	if err := chromedp.Do(tab, chromedp.Navigate(server+"/player.html")); err != nil {
		t.Fatalf("open the player: %v", err)
	}
	playing, stop := context.WithTimeout(tab, 3*time.Minute)
	defer stop()
	r, err := chromedp.Run(playing, chromedp.Evaluate[record]("play("+asJSON(t, v)+")", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("play %s: %v", v.ID, err)
	}
	if len(r.Errors) > 0 {
		t.Fatalf("the player of %s complains: %q", v.ID, r.Errors)
	}
	return r
}

func chromiumPath() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("chromium is not installed")
}
