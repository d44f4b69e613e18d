package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// Tokens are what people and programs sign in with.
type Tokens interface {
	// Any tells whether there are any: only then must one sign in.
	Any() (bool, error)
	// Check finds the token of a text. Errors: crypto.ErrTokenUnknown, ErrTokenExpired, ErrTokenRevoked; with
	// the last two the token comes along where its secret was right.
	Check(ctx context.Context, text string, now time.Time) (crypto.Token, error)
	// Find finds the token of an id, for browsers that have shown its text before. Errors: as Check.
	Find(id string, now time.Time) (crypto.Token, error)
}

// caller is who asks.
type caller struct {
	token   crypto.Token // what they signed in with
	local   bool         // there are no tokens, and they are on this machine: they may do everything
	signed  bool         // they signed in
	refusal error        // why their token is not taken, where a signature may still tell who they are
	address netip.Addr
}

// known tells whether it is known who asks.
func (c *caller) known() bool { return c.local || c.signed }

func (c *caller) admin() bool { return c.local || c.signed && c.token.Role == crypto.RoleAdmin }

// sees tells whether a tenant is theirs.
func (c *caller) sees(t schemas.Tenant) bool {
	return c.admin() || c.signed && c.token.Role == crypto.RoleTenant && c.token.Tenant == string(t)
}

// reads tells whether a report of the tenants that they see is theirs.
func (c *caller) reads(report schemas.Report) bool {
	if report == schemas.ReportDiff {
		report = schemas.ReportUsage
	}
	return c.admin() || c.signed && c.token.Role == crypto.RoleTenant && slices.Contains(c.token.Reports, string(report))
}

// identify finds out who asks. A route that asks nobody who they are still keeps to this machine as long as
// there are no tokens.
func (v *service) identify(r *http.Request, rt *route) (caller, error) {
	c := caller{address: clientOf(r, v.Proxies)}
	tokens, err := v.anyToken()
	if err != nil {
		return c, unavailable(err, "The list of tokens cannot be read, so nobody can sign in. The daemon's log says more.")
	}
	if !tokens {
		if !fromHere(r, c.address) {
			return c, notFromHere()
		}
		c.local = true
		return c, nil
	}
	text, given, ok := credentials(r)
	if rt.signed && !given {
		text, given, ok = queryToken(r)
	}
	if rt.people(r) && !given {
		if c.token, c.signed, err = v.browserToken(r); c.signed || err != nil {
			return c, err
		}
	}
	switch {
	case rt.who == everybody, rt.who == anybody && !given, rt.signed && !given && v.maySign(r):
		return c, nil
	case !given:
		v.Metrics.failedSignIn("missing")
		return c, unauthorized(false, `Sign in with a token: "Authorization: Bearer TOKEN", or any name and the token as the password. "playmeter token add" makes one.`)
	}
	c.token, err = v.check(r.Context(), text, ok, c.address)
	c.signed = err == nil
	if err != nil && rt.signed && v.maySign(r) {
		c.refusal = err
		return c, nil
	}
	return c, err
}

func (v *service) anyToken() (bool, error) {
	if v.Tokens == nil {
		return false, nil
	}
	return v.Tokens.Any()
}

// maxToken bounds the text of a token, in bytes.
const maxToken = 512

// credentials reads the token off a request; given tells whether there is something, ok whether it can be one.
func credentials(r *http.Request) (text string, given, ok bool) {
	lines := r.Header.Values("Authorization")
	if len(lines) == 0 {
		return "", false, false
	}
	scheme, text, _ := strings.Cut(lines[0], " ")
	switch {
	case len(lines) > 1:
		return "", true, false
	case strings.EqualFold(scheme, "Basic"):
		_, text, _ = r.BasicAuth()
	case !strings.EqualFold(scheme, "Bearer"):
		return "", true, false
	}
	text = strings.TrimSpace(text)
	return text, true, canBeToken(text)
}

func canBeToken(text string) bool {
	odd := func(c rune) bool { return c <= ' ' || c > '~' }
	return text != "" && len(text) <= maxToken && !strings.ContainsFunc(text, odd)
}

// queryToken reads the token off the query, for senders that can be told no more than where to post.
func queryToken(r *http.Request) (text string, given, ok bool) {
	text = r.URL.Query().Get("token")
	return text, text != "", canBeToken(text)
}

// check finds the token of a text, unless too many attempts of this client, or of all, have failed
// lately: that is looked at before argon2 is spent. Tokens that were good before are always looked at.
func (v *service) check(ctx context.Context, text string, ok bool, from netip.Addr) (crypto.Token, error) {
	f := v.fingerprint(text)
	if ok && v.limits.isProven(f) {
		token, err := v.Tokens.Check(ctx, text, v.Now())
		if err == nil {
			return token, nil
		} else if !isTokenError(err) {
			return token, v.cannotCheck(err)
		}
		v.limits.disprove(f)
	}
	c := v.limits.client(from)
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return crypto.Token{}, unavailable(ctx.Err(), "Too many attempts to sign in are waiting.")
	}
	if d := wait(c.failed, v.Now()); d > 0 {
		return crypto.Token{}, v.tooManyFailed(d, "Too many attempts to sign in from your address have failed.")
	}
	if !ok {
		c.failed.AllowN(v.Now(), 1)
		v.Metrics.failedSignIn("malformed")
		return crypto.Token{}, unauthorized(true, `That is no token. Write "Authorization: Bearer TOKEN", or any name and the token as the password.`)
	}
	if !v.limits.unproven.AllowN(v.Now(), 1) {
		return crypto.Token{}, v.tooManyFailed(wait(v.limits.unproven, v.Now()), "Too many attempts to sign in are made at present.")
	}
	token, err := v.checkUnproven(ctx, text)
	switch {
	case err == nil:
		v.limits.prove(f)
		return token, nil
	case isTokenError(err):
		c.failed.AllowN(v.Now(), 1)
		return token, v.notTaken(err)
	}
	return token, v.cannotCheck(err)
}

// checkUnproven looks at a token, some at a time.
func (v *service) checkUnproven(ctx context.Context, text string) (crypto.Token, error) {
	select {
	case v.limits.checks <- struct{}{}:
		defer func() { <-v.limits.checks }()
		return v.Tokens.Check(ctx, text, v.Now())
	case <-ctx.Done():
		return crypto.Token{}, ctx.Err()
	}
}

func (v *service) cannotCheck(err error) *problem {
	return unavailable(err, "The token cannot be looked up just now: ask again later. The daemon's log says more.")
}

func (v *service) tooManyFailed(after time.Duration, what string) *problem {
	v.Metrics.failedSignIn("limited")
	return retryAfter(newProblem(http.StatusTooManyRequests, "%s Wait as long as Retry-After says.", what), after)
}

func isTokenError(err error) bool {
	return errors.Is(err, crypto.ErrTokenUnknown) || errors.Is(err, crypto.ErrTokenExpired) || errors.Is(err, crypto.ErrTokenRevoked)
}

// notTaken says why a token is not taken.
func (v *service) notTaken(err error) *problem {
	switch {
	case errors.Is(err, crypto.ErrTokenExpired):
		v.Metrics.failedSignIn("expired")
		return refuse(unauthorized(true, "The token has expired: ask who gave it to you for another."))
	case errors.Is(err, crypto.ErrTokenRevoked):
		v.Metrics.failedSignIn("revoked")
		return refuse(unauthorized(true, "The token was revoked: ask who gave it to you for another."))
	}
	v.Metrics.failedSignIn("unknown")
	return unauthorized(true, "The token is not known here. Look whether it is whole, and whether it is for this installation.")
}

// fingerprint is of use in this process alone.
func (v *service) fingerprint(text string) (f fingerprint) {
	h := hmac.New(sha256.New, v.secret)
	h.Write([]byte(text))
	h.Sum(f[:0])
	return f
}

// newSecret makes the key of fingerprints.
func newSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return secret
}
