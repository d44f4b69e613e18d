// Package house holds the plan of the house against its imports.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/playmeter/playmeter"

// floors are the packages from the ground up: a package imports only packages
// of lower floors.
var floors = map[string]int{
	"schemas": 0, "crypto": 0, "bucket": 0,
	"accounting/enrichment": 1, "accounting": 2, "accounting/sample": 2,
	"intake/elements": 0,
	"intake/logs":     3, "intake/flussonic": 3,
	"reporter": 4, "statistics": 4, "intake": 4,
	"web":           5,
	"cmd/playmeter": 6,
}

// helpers are packages that only tests import; they stand beside the house.
var helpers = map[string]bool{"reporter/internal/oracle": true, "bucket/internal/servers": true}

// doors are the dependencies that one package alone may import, or one file of it.
var doors = map[string]string{
	"github.com/parquet-go/parquet-go":        "schemas",
	"github.com/minio/minio-go/v7":            "bucket",
	"github.com/versity/versitygw":            "bucket",
	"filippo.io/age":                          "crypto",
	"github.com/robfig/cron/v3":               "reporter/schedule.go",
	"github.com/duckdb/duckdb-go/v2":          "statistics",
	"github.com/ua-parser/uap-go":             "accounting/enrichment",
	"github.com/oschwald/maxminddb-golang/v2": "accounting/enrichment",
	"github.com/nats-io":                      "intake",
	"github.com/cloudevents/sdk-go/v2":        "",
	"github.com/bmatcuk/doublestar/v4":        "intake/flussonic",
	"github.com/spf13/cobra":                  "cmd/playmeter",
	"github.com/goccy/go-yaml":                "cmd/playmeter",
	"github.com/prometheus/client_golang":     "web",
	"github.com/klauspost/compress/gzhttp":    "web/packed.go",
	"github.com/apache/arrow-go/v18":          "",
	"github.com/xitongsys/parquet-go":         "",
}

// TestNoArrowRunsUp fails when a package imports one of its own floor or above.
func TestNoArrowRunsUp(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || helpers[f.pkg] {
			continue
		}
		floor, known := floors[f.pkg]
		if !known {
			t.Errorf("%s: package %s has no floor: give it one", f.path, f.pkg)
			continue
		}
		for _, imported := range f.imports {
			below, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			if helpers[below] {
				t.Errorf("%s imports %s, which is for tests", f.path, below)
			} else if floors[below] >= floor {
				t.Errorf("%s imports %s: an arrow that does not run down", f.path, below)
			}
		}
	}
}

// TestOneDoorPerDependency fails when a dependency is taken elsewhere than at its door. Tests
// may use any: independent writers and oracles are what they are for.
func TestOneDoorPerDependency(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || helpers[f.pkg] {
			continue
		}
		for _, imported := range f.imports {
			for dependency, door := range doors {
				if imported != dependency && !strings.HasPrefix(imported, dependency+"/") {
					continue
				}
				if f.pkg != door && f.path != door {
					t.Errorf("%s imports %s, whose one door is %q", f.path, imported, door)
				}
			}
		}
	}
}

// TestEveryPackageExplainsItself fails when a package has no comment, or a file is so long
// that it can hardly have one subject.
func TestEveryPackageExplainsItself(t *testing.T) {
	explained := make(map[string]bool)
	all := make(map[string]bool)
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		all[f.pkg] = true
		explained[f.pkg] = explained[f.pkg] || f.comment
		if f.lines > 600 {
			t.Errorf("%s has %d lines: which one subject is that?", f.path, f.lines)
		}
	}
	for pkg := range all {
		if !explained[pkg] {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

type goFile struct {
	path, pkg string
	test      bool
	comment   bool
	lines     int
	imports   []string
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "playmeter-data") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || name == "house_test.go" {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		f := goFile{path: filepath.ToSlash(name), pkg: path.Dir(filepath.ToSlash(name)), test: strings.HasSuffix(name, "_test.go"),
			comment: parsed.Doc != nil, lines: set.File(parsed.Pos()).LineCount()}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found %d Go files: the walk does not see the house", len(files))
	}
	return files
}
