package reporter

import (
	"testing"
	"time"
)

func TestAFileThatWasPutBackCountsOnceItIsGone(t *testing.T) {
	s := newSite(t, acme())
	for n, want := range []int64{2, 5, 2, 5, 2} {
		s.putEvents("a.parquet", play("n1", 10*(n%2), "acme", "film", "s1", time.Hour, 2+3*(n%2)))
		s.wantEvents(s.month(), want, 0)
	}
	s.deleteUsage("a.parquet")
	s.wantEvents(s.month(), 2, 0)
	s.Reporter = s.otherProcess()
	s.wantEvents(s.month(), 2, 0)
	c, err := s.Counted(t.Context(), "a.parquet")
	if err != nil || c.Rows != 2 || !c.Gone {
		t.Errorf("what counts: %+v, %v", c, err)
	}
}
