package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ConfigError is everything that is wrong with a configuration.
type ConfigError struct {
	File     string
	Problems []ConfigProblem // by line; those of the environment and of flags last
}

// ConfigProblem is one mistake: where it stands, in which setting, and what to
// do about it.
type ConfigProblem struct {
	Where string // "playmeter.yaml:12", "environment PLAYMETER_GEOIP", "flag --data-dir"
	Line  int    // of the file, from 1; 0 where it does not stand in the file
	Key   string // such as reports.grace or tenants[0].id; may be empty
	Text  string
}

func (e *ConfigError) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

func (p ConfigProblem) String() string {
	if p.Key == "" {
		return p.Where + ": " + p.Text
	}
	return p.Where + ": " + p.Key + ": " + p.Text
}

// place is where a setting was given.
type place struct {
	where string
	line  int
}

// notes collects problems and remembers where settings stand.
type notes struct {
	file     string
	places   map[string]place
	problems []ConfigProblem
}

// problem notes a mistake in a setting; the first in each counts, so that
// nothing is complained of twice.
func (n *notes) problem(key, format string, args ...any) {
	at := n.placeOf(key)
	if slices.ContainsFunc(n.problems, func(p ConfigProblem) bool { return key != "" && p.Key == key && p.Line == at.line }) {
		return
	}
	n.problems = append(n.problems, ConfigProblem{at.where, at.line, key, fmt.Sprintf(format, args...)})
}

// problemAt notes a mistake that is no setting's.
func (n *notes) problemAt(line int, format string, args ...any) {
	n.problems = append(n.problems, ConfigProblem{fmt.Sprintf("%s:%d", n.file, line), line, "", fmt.Sprintf(format, args...)})
}

// placeOf is where a setting stands, or else what it is part of.
func (n *notes) placeOf(key string) place {
	for k := key; k != ""; k = k[:max(strings.LastIndexAny(k, ".["), 0)] {
		if at, ok := n.places[k]; ok {
			return at
		}
	}
	return place{where: n.file}
}

func (n *notes) note(key string, line int) {
	n.places[key] = place{fmt.Sprintf("%s:%d", n.file, line), line}
}

func (n *notes) err() error {
	if len(n.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(n.problems, func(a, b ConfigProblem) int {
		return cmp.Compare(uint(a.Line-1), uint(b.Line-1)) // line 0, which is no line, comes last
	})
	return &ConfigError{n.file, n.problems}
}
