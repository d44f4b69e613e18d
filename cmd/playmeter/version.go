package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// softwareVersion is what manifests and "playmeter version" name: the module's
// version, or the commit that was built.
func softwareVersion() string {
	version, commit, changed := buildInfo()
	if version == "" || version == "(devel)" {
		version = "devel"
		if commit != "" {
			version += "+" + commit[:min(12, len(commit))]
		}
		if changed {
			version += "+changed"
		}
	}
	return version
}

func buildInfo() (version, commit string, changed bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", "", false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	return info.Main.Version, commit, changed
}

func versionCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Say which version this is", GroupID: "more", Args: cobra.NoArgs,
		Example: "  playmeter version\n  playmeter version --json",
	}
	c.RunE = a.do(func(context.Context, []string) error {
		_, commit, changed := buildInfo()
		if a.json {
			return a.printJSON(map[string]any{"name": "playmeter", "version": softwareVersion(), "commit": commit, "changed": changed, "go": runtime.Version()})
		}
		fmt.Fprintf(a.out, "playmeter %s (%s, %s/%s)\n", softwareVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	})
	a.jsonFlag(c)
	return c
}
