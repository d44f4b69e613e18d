package statistics

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// A reading is several questions about one state of the database.
type reading struct {
	d     *Database
	p     *process
	turns chan struct{} // whose turn it waits for
	id    string
	begun bool
}

func (d *Database) newReading(ctx context.Context, turns chan struct{}) (*reading, error) {
	p, err := d.engine(ctx)
	if err != nil {
		return nil, err
	}
	return &reading{d: d, p: p, turns: turns, id: rand.Text()}, nil
}

// read answers a question, in its turn.
func (r *reading) read(ctx context.Context, s statement, limit int) (*answer, error) {
	q := &question{Mode: modeRead, Statements: []statement{s}, Limit: limit, Snapshot: r.id, Begin: !r.begun}
	r.begun = true
	return r.d.inTurn(ctx, r.turns, r.p, q)
}

// end gives the state up.
func (r *reading) end() {
	if !r.begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _ = r.p.ask(ctx, &question{Mode: modeEnd, Snapshot: r.id}) // else it ends by itself, in a while
}

// inTurn puts a question to an engine when it is its turn; nil: to the one that runs then, and once more where that ended
// meanwhile.
func (d *Database) inTurn(ctx context.Context, turns chan struct{}, p *process, q *question) (*answer, error) {
	wait, longest := patience, longest
	if turns == d.exports {
		wait, longest = longestExport, longestExport
	}
	waiting := time.NewTimer(wait)
	defer waiting.Stop()
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-waiting.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p != nil {
		return d.askFor(ctx, longest, p, q)
	}
	for try := 0; ; try++ {
		p, err := d.engine(ctx)
		if err != nil {
			return nil, err
		}
		a, err := d.askFor(ctx, longest, p, q)
		if !errors.Is(err, ErrDown) || try > 0 {
			return a, err
		}
		select { // it has ended, or is about to
		case <-p.ended:
		case <-time.After(time.Second):
			return nil, err
		}
	}
}

// askFor asks for so long. An engine that does not even say that it is there by then is ended: the next question starts
// another.
func (d *Database) askFor(ctx context.Context, longest time.Duration, p *process, q *question) (*answer, error) {
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	a, err := p.ask(limited, q)
	if err == nil || ctx.Err() != nil || limited.Err() == nil {
		return a, err
	}
	if !p.answers() {
		d.o.Log.Warn("statistics", "state", "the database does not answer, and is ended")
		p.kill()
		return nil, fmt.Errorf("%w: their process did not answer", ErrDown)
	}
	return nil, fmt.Errorf("%w: it takes more than %s", ErrTooMuch, longest)
}
