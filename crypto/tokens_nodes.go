package crypto

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of the nodes that a token names.
const (
	maxTokenNodes     = 32
	maxTokenNodeBytes = 1_024 // all of them together
)

// SpeaksFor tells whether usage of a node may be posted with the token, as far as the token names nodes.
func (t *Token) SpeaksFor(node string) bool {
	if len(t.Nodes) == 0 {
		return true
	}
	return slices.ContainsFunc(t.Nodes, func(pattern string) bool {
		ok, err := path.Match(pattern, node)
		return err == nil && ok
	})
}

// CheckNodes lists what is wrong with the patterns of nodes of a token that is to be made.
func CheckNodes(patterns []string) error {
	if len(patterns) > maxTokenNodes || len(strings.Join(patterns, "")) > maxTokenNodeBytes {
		return fmt.Errorf("at most %d patterns of %d bytes in all; several nodes can share one, such as edge-acme-*", maxTokenNodes, maxTokenNodeBytes)
	}
	var errs []error
	for i, pattern := range patterns {
		_, err := path.Match(pattern, "")
		switch {
		case pattern == "" || slices.Contains(patterns[:i], pattern):
			errs = append(errs, fmt.Errorf("%q is empty or named twice", pattern))
		case err != nil || !utf8.ValidString(pattern) || strings.ContainsFunc(pattern, unicode.IsControl):
			errs = append(errs, fmt.Errorf("%q is no pattern; write a node's id, or one like edge-acme-*", pattern))
		}
	}
	return errors.Join(errs...)
}
