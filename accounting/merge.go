package accounting

import (
	"container/heap"
	"io"

	"github.com/playmeter/playmeter/schemas"
)

// FragmentReader yields the fragments of one sorted run; io.EOF ends it. What
// Next fills holds until the call after it.
type FragmentReader interface {
	Next(f *schemas.Fragment) error
}

// MergeFragments hands the fragments of several sorted runs to visit in one
// order (schemas.CompareFragments).
func MergeFragments(runs []FragmentReader, visit func(*schemas.Fragment) error) error {
	h := make(fragmentHeap, 0, len(runs))
	for _, r := range runs {
		head := &runHead{run: r}
		if err := r.Next(&head.fragment); err == io.EOF {
			continue
		} else if err != nil {
			return err
		}
		h = append(h, head)
	}
	heap.Init(&h)
	for len(h) > 0 {
		if err := visit(&h[0].fragment); err != nil {
			return err
		}
		err := h[0].run.Next(&h[0].fragment)
		switch {
		case err == io.EOF:
			heap.Pop(&h)
		case err != nil:
			return err
		default:
			heap.Fix(&h, 0)
		}
	}
	return nil
}

type runHead struct {
	run      FragmentReader
	fragment schemas.Fragment
}

type fragmentHeap []*runHead

func (h fragmentHeap) Len() int { return len(h) }
func (h fragmentHeap) Less(i, j int) bool {
	return schemas.CompareFragments(&h[i].fragment, &h[j].fragment) < 0
}
func (h fragmentHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *fragmentHeap) Push(x any)   { *h = append(*h, x.(*runHead)) }
func (h *fragmentHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
