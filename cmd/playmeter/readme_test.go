package main

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme types what the README says can be typed.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program several times")
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, story, _ := strings.Cut(string(text), "\n## One event, one report\n")
	story, _, _ = strings.Cut(story, "\n## ")
	script := "set -e\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(story, -1) {
		script += block[1]
	}
	if strings.Count(script, "playmeter ") < 4 {
		t.Fatalf("too little to type:\n%s", script)
	}
	c := exec.Command("sh", "-c", script)
	c.Dir = t.TempDir()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(filepath.Join(c.Dir, "usage.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, name := range rows[0] {
		for column, want := range map[string]string{"usage.playout.video_md_clear_sec": "6.006", "usage.playout.bytes": "4504500"} {
			if name == column && (rows[1][i] != want || rows[2][i] != want || !strings.Contains(story, want)) {
				t.Errorf("%s is %s and %s, want %s as the README says", column, rows[1][i], rows[2][i], want)
			}
		}
	}
}
