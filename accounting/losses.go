package accounting

import (
	"cmp"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// NodeLoss is what a node's sequence numbers tell of a stretch of hours.
type NodeLoss struct {
	// Missing is how many numbers were never met, and Hours in which hour the number after
	// them was.
	Missing int64
	Hours   map[schemas.Hour]int64
	// Conflicts is how many rows bear a number that another row of the node bears at another time.
	Conflicts int64
	// Scattered: the numbers of some hour do not follow one another; nothing is said of its losses.
	Scattered bool
}

// Losses finds the gaps in every node's numbers (SPEC 2.1).
//
//   - Shape: hours ascending; those before from serve to know where the numbers stood, those from
//     until on are left out.
//   - A number below those met before that fills no gap is a counter that began anew, and loses
//     nothing.
func Losses(hours []*schemas.LedgerHour, from, until schemas.Hour) map[string]*NodeLoss {
	nodes := make(map[string]*nodeCounter)
	for _, h := range hours {
		if h.Hour >= until {
			break
		}
		for i := range h.Nodes {
			n := &h.Nodes[i]
			c := nodes[n.Node]
			if c == nil {
				c = &nodeCounter{from: from, loss: NodeLoss{Hours: make(map[schemas.Hour]int64)}}
				nodes[n.Node] = c
			}
			c.add(h.Hour, n)
		}
	}
	out := make(map[string]*NodeLoss)
	for id, c := range nodes {
		if c.met {
			out[id] = c.finish()
		}
	}
	return out
}

// nodeCounter follows a node's counter through time.
type nodeCounter struct {
	from schemas.Hour
	met  bool // in an hour from from on
	loss NodeLoss
	high int64 // of the present count; -1: none yet
	open bool
	gaps []gap // of the present count, ascending
	runs []schemas.SeqRun
	rows int64
}

// gap is numbers not met yet, and the hour of the number after them.
type gap struct {
	lo, hi int64
	hour   schemas.Hour
}

func (c *nodeCounter) add(hour schemas.Hour, n *schemas.NodeHour) {
	if hour >= c.from {
		c.met = true
		c.loss.Scattered = c.loss.Scattered || n.Scattered
		if !n.Scattered {
			c.rows += n.Pairs
			c.runs = append(c.runs, n.Runs...)
		}
	}
	if n.Scattered {
		c.close()
		c.open = false
		return
	}
	runs := slices.Concat(n.Runs, n.Rejected)
	slices.SortFunc(runs, func(a, b schemas.SeqRun) int { return cmp.Or(cmp.Compare(a.Start, b.Start), compareRuns(a, b)) })
	for _, r := range runs {
		c.run(hour, r)
	}
}

// run takes the numbers that come next in time.
func (c *nodeCounter) run(hour schemas.Hour, r schemas.SeqRun) {
	switch {
	case !c.open:
		c.open, c.high = true, r.Hi
	case r.Lo > c.high:
		if r.Lo > c.high+1 {
			c.gaps = append(c.gaps, gap{c.high + 1, r.Lo - 1, hour})
		}
		c.high = r.Hi
	case c.fill(r), r.Hi > c.high:
		c.high = max(c.high, r.Hi)
	default: // the counter began anew
		c.close()
		c.high = r.Hi
	}
}

// fill takes the numbers of a run out of the gaps and tells whether there were any.
func (c *nodeCounter) fill(r schemas.SeqRun) bool {
	i, _ := slices.BinarySearchFunc(c.gaps, r.Lo, func(g gap, lo int64) int { return cmp.Compare(g.hi, lo) })
	j := i
	var left []gap
	for ; j < len(c.gaps) && c.gaps[j].lo <= r.Hi; j++ {
		g := c.gaps[j]
		if g.lo < r.Lo {
			left = append(left, gap{g.lo, r.Lo - 1, g.hour})
		}
		if g.hi > r.Hi {
			left = append(left, gap{r.Hi + 1, g.hi, g.hour})
		}
	}
	if i == j {
		return false
	}
	c.gaps = slices.Replace(c.gaps, i, j, left...)
	return true
}

// close counts the gaps of a count that has ended.
func (c *nodeCounter) close() {
	for _, g := range c.gaps {
		if g.hour >= c.from {
			c.loss.Missing += g.hi - g.lo + 1
			c.loss.Hours[g.hour] += g.hi - g.lo + 1
		}
	}
	c.gaps = c.gaps[:0]
}

func (c *nodeCounter) finish() *NodeLoss {
	c.close()
	slices.SortFunc(c.runs, compareRuns)
	distinct := int64(0)
	for _, r := range joinRuns(c.runs) {
		distinct += r.Hi - r.Lo + 1
	}
	c.loss.Conflicts = c.rows - distinct
	return &c.loss
}
