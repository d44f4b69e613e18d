package web

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// Site is what is shown. Its fields are set before first use.
type Site struct {
	Version string
	Started time.Time
	Store   string // where the object store answers
	// Ready tells what keeps the daemon from doing its work; nil when nothing does.
	Ready func(context.Context) error
	// Runs are the next runs, soonest first.
	Runs    func(now time.Time) []NextRun
	Metrics *Metrics
	Now     func() time.Time

	// Tokens are what one signs in with. While there are none, or this is nil, everybody on this machine may do
	// everything, and nobody else anything.
	Tokens Tokens
	// Proxies are the networks of proxies whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Reports is asked for what was published; only its buckets and tenants are used.
	Reports *reporter.Reporter
	// Intake takes what nodes post; nil: nothing is taken.
	Intake *intake.Intake
	// Audit is where it is put on record who fetched what: without it nothing is handed out.
	Audit *Audit
	Log   *slog.Logger

	// Watch is told of runs by the daemon; nil: nothing is known of them.
	Watch *Watch
	// RunNow begins a run of the tenants named, or of all, in the background, and returns at once. Errors:
	// reporter.ErrRunning. nil: none can be begun here.
	RunNow func([]schemas.Tenant, schemas.Period) error
	// Inflow tells what comes in besides usage files; nil: nothing is told of it.
	Inflow func(context.Context) (Inflow, error)
	// Go does work that outlasts the answer to who asked for it, until the daemon ends; nil: until the process does.
	Go func(func(context.Context))

	// Statistics are asked by the pages Dashboard and Sessions; nil: these say that there are none.
	Statistics Statistics

	// Assets are read at each request in the place of the embedded pages, styles and scripts: for those who work on
	// them. nil: the embedded ones.
	Assets fs.FS
}

// NextRun is when a tenant's reports are made next.
type NextRun struct {
	Tenant   schemas.Tenant
	Name     string
	Schedule string
	At       time.Time
}

// Handler answers every route there is. It is called once: its limits are its own.
func (s *Site) Handler() http.Handler {
	return headers(s.service().mux())
}

// service is the site at work.
func (s *Site) service() *service {
	return &service{Site: s, limits: newLimits(), secret: newSecret(), browsers: newBrowsers()}
}

// contentPolicy lets a page take scripts, styles, pictures and data from here alone, and run nothing that stands in it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// permissionsPolicy turns off what pages could ask of a browser: they need none of it.
const permissionsPolicy = "accelerometer=(), autoplay=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), " +
	"magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"

// headers keeps what is served from being framed, sniffed, scripted or kept by others.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", permissionsPolicy)
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Authorization")
		next.ServeHTTP(w, r)
	})
}

func (v *service) health(w http.ResponseWriter, _ *request) error {
	fmt.Fprintln(w, "ok")
	return nil
}

// readyTime is how long the object store may take to answer.
const readyTime = 3 * time.Second

// ready says what is wrong to administrators alone.
func (v *service) ready(w http.ResponseWriter, q *request) error {
	err := v.isReady(q.Context())
	switch {
	case err != nil && q.caller.admin():
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, "not ready", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "ready")
	}
	return nil
}

// lastLook is what the last look at the daemon's state came to: strangers may ask, and the object store is
// not to be asked as often as they do. Who asks during a look waits for what it comes to.
type lastLook struct {
	group singleflight.Group
	at    time.Time // when it had ended
	err   error
}

// lookEvery is how old it may be.
const lookEvery = time.Second

func (v *service) isReady(ctx context.Context) error {
	_, err, _ := v.look.group.Do("", func() (any, error) { // one at a time
		if v.look.at.IsZero() || v.Now().Sub(v.look.at) >= lookEvery {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
			defer cancel()
			v.look.err = v.Ready(ctx)
			v.look.at = v.Now()
		}
		return nil, v.look.err
	})
	return err
}

func (v *service) metrics(w http.ResponseWriter, q *request) error {
	v.Metrics.handler().ServeHTTP(w, q.Request)
	return nil
}
