package reporter

import (
	"cmp"
	"slices"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// nearNames picks, from the names that a person may have meant, at most n, the nearest first:
// those that hold the word, then those that differ in few letters.
func nearNames(word string, names []string, n int) []string {
	type near struct {
		name string
		far  int
	}
	var found []near
	limit := max(2, len(word)/5)
	for _, name := range names {
		far := limit + 1
		switch {
		case len(word) >= 3 && (strings.Contains(name, word) || len(name) >= 3 && strings.Contains(word, name)):
			far = 0
		case max(len(word), len(name)) <= schemas.MaxID:
			far = letters(word, name, limit)
		}
		if far <= limit {
			found = append(found, near{name, far})
		}
	}
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name)) })
	var out []string
	for _, f := range found[:min(n, len(found))] {
		out = append(out, f.name)
	}
	return out
}

// letters is how many bytes have to be put in, taken out or exchanged to make b of a; above
// limit, any number that is.
func letters(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], cost
			least = min(least, cost)
		}
		if least > limit {
			return limit + 1
		}
	}
	return row[len(b)]
}
