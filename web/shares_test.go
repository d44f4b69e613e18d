package web

import "testing"

func TestSharesAreBoundedInAllAndOfOne(t *testing.T) {
	s := newShares[string](4, 2)
	var done []func()
	for i, step := range []struct {
		holder   string
		ok, own  bool
		all, has int
	}{
		{"a", true, false, 1, 1},
		{"a", true, false, 2, 2},
		{"a", false, true, 2, 2},
		{"b", true, false, 3, 1},
		{"c", true, false, 4, 1},
		{"d", false, false, 4, 0},
		{"a", false, true, 4, 2}, // its own bound is told first
	} {
		give, own := s.take(step.holder)
		if give != nil {
			done = append(done, give)
		}
		if all, has := s.taken(step.holder); (give != nil) != step.ok || own != step.own || all != step.all || has != step.has {
			t.Errorf("step %d: %s took: %v, own bound: %v; %d taken, %d of these its own", i, step.holder, give != nil, own, all, has)
		}
	}
	done[0]()
	if give, _ := s.take("a"); give == nil {
		t.Error("what was given back cannot be taken")
	} else {
		done[0] = give
	}
	for _, give := range done {
		give()
	}
	if all, _ := s.taken(""); all != 0 || len(s.of) != 0 {
		t.Errorf("%d are left: %v", all, s.of)
	}
}
