package accounting

import "github.com/playmeter/playmeter/schemas"

// FragmentReader yields the fragments of one sorted run; io.EOF ends it. What
// Next fills holds until the call after it.
type FragmentReader interface {
	Next(f *schemas.Fragment) error
}

// MergeFragments hands the fragments of several sorted runs to visit in one
// order (schemas.CompareFragments).
func MergeFragments(runs []FragmentReader, visit func(*schemas.Fragment) error) error {
	heads := make([]*runHead, len(runs))
	for i, r := range runs {
		heads[i] = &runHead{run: r}
	}
	return schemas.Merge(heads,
		func(h *runHead) error { return h.run.Next(&h.fragment) },
		func(a, b *runHead) bool { return schemas.CompareFragments(&a.fragment, &b.fragment) < 0 },
		func(h *runHead) error { return visit(&h.fragment) })
}

type runHead struct {
	run      FragmentReader
	fragment schemas.Fragment
}
