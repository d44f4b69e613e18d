// Command playmeter meters streaming usage and makes sealed reports of it: see
// "playmeter help", README.md and docs.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/statistics"
)

func main() {
	statistics.Main() // where this is the process of the statistics, and not ours
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(reporter.SoftMemory)
	}
	a := &app{in: os.Stdin, out: os.Stdout, err: newConsole(os.Stderr)}
	err := newRoot(a).ExecuteContext(a.interruptible())
	code := a.exitCode(err)
	if message := explain(err); message != "" {
		fmt.Fprintln(a.err, "playmeter: "+message)
	}
	if code == exitUsage && a.hint != "" {
		fmt.Fprintf(a.err, "See \"%s --help\".\n", a.hint)
	}
	os.Exit(code)
}
