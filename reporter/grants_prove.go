package reporter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// strangers is how many tenants of others each reader is tried with, unless all are asked for.
const strangers = 8

// settleTime is how long a store may take until a new policy holds everywhere.
const settleTime = 3 * time.Second

// prove tries, as each reader whose key is known and as nobody, what the grants allow and what
// they deny. After a new policy was written, what comes out wrong is tried once more a little later.
func (g *grants) prove(ctx context.Context, all, written bool) error {
	specimens, err := g.specimens(ctx)
	if err != nil {
		return err
	}
	none := 0
	for i := range g.tenants {
		if t := &g.tenants[i]; len(t.anyReaders()) > 0 && specimens[t.ID].manifest == "" {
			none++
		}
	}
	if none > 0 {
		g.state.Unproved = append(g.state.Unproved, fmt.Sprintf("getting the reports of tenants that have none yet: %d", none))
	}
	unproved := g.state.Unproved
	for try := 0; ; try++ {
		g.state.Checks, g.state.Unproved = []GrantCheck{}, slices.Clone(unproved)
		if err := g.tryAll(ctx, specimens, all); err != nil {
			return err
		}
		bad := slices.ContainsFunc(g.state.Checks, func(c GrantCheck) bool { return !c.Good() })
		if !bad || try == 1 || !written {
			break
		}
		select {
		case <-time.After(settleTime):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i := range g.state.Checks {
		g.judge(&g.state.Checks[i])
	}
	return nil
}

// judge says in words what is wrong with a check.
func (g *grants) judge(c *GrantCheck) {
	who := who(c.Reader)
	what := fmt.Sprintf("%s %s/%s", c.Action, g.r.Buckets.Reporting.Name(), c.Key)
	switch {
	case c.Good():
	case c.Got == Allowed:
		g.problem("%s can %s and must not", who, what)
	case c.Got == Denied:
		g.problem("%s cannot %s, though it is granted", who, what)
	}
}

// who names a reader in messages.
func who(reader string) string {
	if reader == "" {
		return "everybody, without a key,"
	}
	return "reader " + reader
}

// specimen is what there is of a tenant to be tried.
type specimen struct {
	manifest string
	reports  map[schemas.Report]string
}

// specimens finds an object of each kind for each tenant that has one.
func (g *grants) specimens(ctx context.Context) (map[schemas.Tenant]specimen, error) {
	out := make(map[schemas.Tenant]specimen)
	for i := range g.tenants {
		id := g.tenants[i].ID
		heads, err := g.r.heads(ctx, id)
		if err != nil {
			return nil, err
		}
		s := specimen{reports: make(map[schemas.Report]string)}
		for _, c := range heads { // the newest month that has one wins
			folder := schemas.ReportFolder(c.Tenant, c.Period)
			s.manifest = folder + schemas.ManifestFile
			for _, m := range c.Current.Reports {
				s.reports[m.Report] = folder + m.Object
			}
		}
		out[id] = s
	}
	return out, nil
}

func (g *grants) tryAll(ctx context.Context, specimens map[schemas.Tenant]specimen, all bool) error {
	nobody := g.r.Store.Config()
	nobody.AccessKey, nobody.SecretKey = "", ""
	if err := g.tryAs(ctx, "", nobody, specimens, all); err != nil {
		return err
	}
	for _, reader := range g.state.Readers {
		if exists := g.r.Access.Exists; exists != nil {
			if ok, err := exists(reader); err != nil || !ok {
				continue // which has been told
			}
		}
		if g.r.Access.Credentials == nil {
			g.unproved(reader, "its key is not known here")
			continue
		}
		cfg, known, err := g.r.Access.Credentials(reader)
		switch {
		case err != nil:
			g.unproved(reader, err.Error())
		case !known:
			g.unproved(reader, "its key is not known here: give access_key and secret_key under readers")
		default:
			if err := g.tryAs(ctx, reader, cfg, specimens, all); err != nil {
				return err
			}
		}
	}
	return nil
}

// unproved says what could not be tried as a reader, or as nobody.
func (g *grants) unproved(reader, why string) {
	text := fmt.Sprintf("reader %s: %s", reader, why)
	if reader == "" {
		text = "what can be had without a key: " + why
	}
	g.state.Unproved = append(g.state.Unproved, text)
}

// tryAs tries what one reader can do.
func (g *grants) tryAs(ctx context.Context, reader string, cfg bucket.Config, specimens map[schemas.Tenant]specimen, all bool) error {
	store, err := bucket.Connect(cfg)
	if err != nil {
		return err
	}
	p := &prober{g: g, reader: reader, bucket: store.Bucket(g.r.Buckets.Reporting.Name()), probe: ".probe-" + rand.Text()}
	if p.list(ctx, "", false); p.failed {
		return ctx.Err()
	}
	others := 0
	for i := range g.tenants {
		t := &g.tenants[i]
		any := reader != "" && slices.Contains(t.anyReaders(), reader)
		if !any {
			if others++; others > strangers && !all {
				continue
			}
		}
		p.list(ctx, string(t.ID)+"/", any && g.state.Dialect.ListsByPrefix())
		s := specimens[t.ID]
		p.get(ctx, s.manifest, any)
		for _, report := range schemas.Reports {
			p.get(ctx, s.reports[report], reader != "" && slices.Contains(t.Readers[report], reader))
		}
		p.put(ctx, string(t.ID)+"/"+p.probe)
		p.delete(ctx, string(t.ID)+"/"+p.probe)
		if p.failed {
			return ctx.Err() // said once
		}
		if p.gone() {
			g.unproved(reader, "the store does not take its key: was it removed, or made anew?")
			g.state.Checks = slices.DeleteFunc(g.state.Checks, func(c GrantCheck) bool { return c.Reader == reader })
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// prober tries things as one reader.
type prober struct {
	g       *grants
	reader  string
	bucket  *bucket.Bucket
	probe   string // a name that no object has
	refused bool   // the key is none
	failed  bool   // something could not be tried
}

func (p *prober) gone() bool { return p.refused && p.reader != "" }

// note keeps what came of a try. What is not there proves nothing.
func (p *prober) note(action, key string, allowed bool, err error) {
	c := GrantCheck{Reader: p.reader, Action: action, Key: key, Want: Denied}
	if allowed {
		c.Want = Allowed
	}
	switch {
	case err == nil:
		c.Got = Allowed
	case errors.Is(err, bucket.ErrNotExist):
		return
	case errors.Is(err, bucket.ErrKey):
		p.refused = true
		return
	case errors.Is(err, bucket.ErrDenied):
		c.Got = Denied
	default: // it says nothing of rights
		p.g.unproved(p.reader, err.Error())
		p.failed = true
		return
	}
	p.g.state.Checks = append(p.g.state.Checks, c)
}

func (p *prober) get(ctx context.Context, key string, allowed bool) {
	if key == "" {
		return
	}
	_, err := p.bucket.GetRange(ctx, key, "", 0, 1)
	p.note("get", key, allowed, err)
}

func (p *prober) list(ctx context.Context, prefix string, allowed bool) {
	var failed error
	for _, err := range p.bucket.List(ctx, prefix, "") {
		failed = err
		break
	}
	p.note("list", prefix, allowed, failed)
}

// put must never be allowed; what it has written nevertheless is removed.
func (p *prober) put(ctx context.Context, key string) {
	_, err := p.bucket.Create(ctx, key, []byte("playmeter tried whether this can be written, and it can"))
	p.note("put", key, false, err)
	if err == nil {
		if err := p.g.r.Buckets.Reporting.Delete(ctx, key); err != nil {
			p.g.r.Log.Warn("what was written to try a reader's rights could not be removed", "object", key, "err", err)
		}
	}
}

// delete tries it with a name that no object has.
func (p *prober) delete(ctx context.Context, key string) {
	p.note("delete", key, false, p.bucket.Delete(ctx, key))
}

// Summary is one line of what came of the grants.
func (s *GrantsState) Summary() string {
	switch {
	case len(s.Problems) > 0:
		return s.Err().Error()
	case len(s.Readers) == 0:
		return "no reader is granted anything"
	}
	return fmt.Sprintf("readers: %d; things tried: %d, all as granted; not proved: %d", len(s.Readers), len(s.Checks), len(s.Unproved))
}
