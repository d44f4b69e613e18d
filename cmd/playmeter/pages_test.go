package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestPages looks at every page in a real browser, as people do: signs in, picks months, sets filters, sorts, pages,
// downloads, and runs. What it reads there it compares with what "playmeter sql" says of the same sessions.
//
//   - A daemon with a month of a demo serves them, and one tenant more whose viewers mean harm.
//   - On every page that is opened, anything that the browser complains of is a failure: messages on its console, exceptions,
//     what the Content-Security-Policy forbids, requests to others, dialogs.
func TestPages(t *testing.T) {
	w := newPagesWorld(t, 300_000)
	for _, part := range []struct {
		name string
		test func(*testing.T, *pagesWorld)
	}{
		{"sign-in", testSignIn},
		{"dashboard", testDashboard},
		{"sessions", testSessions},
		{"filters", testFilters},
		{"hostile texts", testHostile},
		{"roles", testRoles},
		{"reports", testReports},
		{"downloads", testDownloads},
		{"without scripts", testWithoutScripts},
		{"keyboard", testKeyboard},
		{"looks", testLooks},
		{"exact values", testExact},
		{"runs", testRuns},
		{"run in flight", testRunInFlight},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, w) })
	}
}

// axePath is where "make test-e2e" puts axe-core, in the version and with the digest that
// testdata/pages/package-lock.json names.
func axePath() string {
	return filepath.Join("..", "..", "bin", "e2e", "pages", "node_modules", "axe-core", "axe.min.js")
}

// needBrowser skips a test where there is no browser. Where CI=true it fails then.
func needBrowser(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes minutes")
	}
	if os.Getenv("PLAYMETER_E2E") == "" {
		t.Skip(`needs Chromium and axe-core; "make test-e2e" runs it`)
	}
	_, missing := chromiumPath()
	if _, err := os.Stat(axePath()); err != nil {
		missing = errors.Join(missing, fmt.Errorf("axe-core: %w", err))
	}
	if missing == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("cannot look at the pages: %v", missing)
	}
	t.Skipf("cannot look at the pages; make test-e2e installs what it may:\n%v", missing)
}
