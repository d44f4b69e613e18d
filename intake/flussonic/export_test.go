package flussonic

import "github.com/playmeter/playmeter/schemas"

// Result is all that a body came to.
type Result struct {
	Events  []schemas.Event // in the body's order
	Places  []int           // of the events in the body, from 0
	Refused []refused
	Ignored int
}

type refused struct {
	Index int
	Refused
}

// DecodeAll gathers what Decode visits.
func DecodeAll(body []byte, o Options) (r Result, err error) {
	err = Decode(body, o, func(x Element) error {
		switch {
		case x.Event != nil:
			r.Events, r.Places = append(r.Events, *x.Event), append(r.Places, x.Index)
		case x.Refused != nil:
			r.Refused = append(r.Refused, refused{x.Index, *x.Refused})
		default:
			r.Ignored++
		}
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	return r, nil
}
