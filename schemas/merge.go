package schemas

import "io"

// Merge visits the rows of sorted runs in one order.
//
//   - runs: each before its first row; the slice is used up.
//   - next moves a run to its next row; io.EOF ends it.
//   - less orders the rows that two runs stand at; visit is shown the run with the least.
func Merge[R any](runs []R, next func(R) error, less func(a, b R) bool, visit func(R) error) error {
	h := runs[:0]
	for _, r := range runs {
		switch err := next(r); {
		case err == io.EOF:
		case err != nil:
			return err
		default:
			h = append(h, r)
		}
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		sink(h, i, less)
	}
	for len(h) > 0 {
		if err := visit(h[0]); err != nil {
			return err
		}
		switch err := next(h[0]); {
		case err == io.EOF:
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
		case err != nil:
			return err
		}
		sink(h, 0, less)
	}
	return nil
}

// sink restores the heap below i.
func sink[R any](h []R, i int, less func(a, b R) bool) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(h) && less(h[child], h[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
