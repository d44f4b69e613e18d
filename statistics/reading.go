package statistics

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// A reading is several questions about one state of the database.
type reading struct {
	d     *Database
	p     *process
	id    string
	begun bool
}

func (d *Database) newReading(ctx context.Context) (*reading, error) {
	p, err := d.engine(ctx)
	if err != nil {
		return nil, err
	}
	return &reading{d: d, p: p, id: rand.Text()}, nil
}

// read answers a question, in its turn.
func (r *reading) read(ctx context.Context, s statement, limit int) (*answer, error) {
	q := &question{Mode: modeRead, Statements: []statement{s}, Limit: limit, Snapshot: r.id, Begin: !r.begun}
	r.begun = true
	return r.d.inTurn(ctx, r.p, q)
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

// inTurn puts a question to an engine when it is its turn; nil: to the one that runs then.
func (d *Database) inTurn(ctx context.Context, p *process, q *question) (*answer, error) {
	waiting := time.NewTimer(patience)
	defer waiting.Stop()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-waiting.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p == nil {
		var err error
		if p, err = d.engine(ctx); err != nil {
			return nil, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	a, err := p.ask(limited, q)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return nil, fmt.Errorf("%w: it takes more than %s", ErrTooMuch, longest)
	}
	return a, err
}
