package accounting

import (
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// clockSlack is how far an event may lie after the moment its file was stored before the
// node's clock is said to run ahead.
const clockSlack = 2 * time.Minute

// maxAhead bounds how many nodes a file may be noted for.
const maxAhead = 100

// clocks notes when each node's newest event was.
type clocks map[string]int64

func (c clocks) note(d *schemas.Dict, node uint32, last int64) {
	if last > c[d.Text(node)] {
		c[d.Text(node)] = last
	}
}

func (c clocks) join(d clocks) {
	for node, last := range d {
		c[node] = max(c[node], last)
	}
}

// ahead lists the nodes whose newest event lies well after the file was stored, and by how
// many ns: the file proves that their clocks run ahead.
func (c clocks) ahead(stored time.Time) map[string]int64 {
	if stored.IsZero() {
		return nil
	}
	var out map[string]int64
	for node, last := range c {
		by := last - stored.UnixNano()
		if by <= int64(clockSlack) {
			continue
		}
		if out == nil {
			out = make(map[string]int64)
		}
		if out[node] = by; len(out) > maxAhead {
			delete(out, leastAhead(out))
		}
	}
	return out
}

// leastAhead finds the node that matters least; the name decides between equals.
func leastAhead(ahead map[string]int64) string {
	least := ""
	for node, by := range ahead {
		if least == "" || by < ahead[least] || by == ahead[least] && node > least {
			least = node
		}
	}
	return least
}
