package accounting

import "github.com/playmeter/playmeter/schemas"

// An Examiner tells which rows a tally would reject, and why, without counting anything: for whoever takes events in
// and wants to say so at once. It is not for several goroutines at once.
type Examiner struct{ part part }

// Examine appends to reasons, for each row of the batch, why it would be rejected: ReasonNone where it would not be.
func (x *Examiner) Examine(b *schemas.Batch, reasons []schemas.Reason) []schemas.Reason {
	p := &x.part
	if b.Dict != p.dict {
		p.dict, p.facts = b.Dict, facts{}
	}
	var c columns
	p.absent.fill(&c, b)
	for i := range b.Len {
		p.facts.grow(b.Dict.Len()) // the object of a version hash is a new text
		var e event
		reasons = append(reasons, p.check(&c, i, &e))
	}
	return reasons
}
