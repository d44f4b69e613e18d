package flussonic

import (
	"errors"
	"fmt"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/playmeter/playmeter/schemas"
)

// Rule says what is known of the streams that it matches and their server does not say.
type Rule struct {
	// Match is a pattern of names of streams, such as "films/**": * and ? match within a part of
	// a name, between two /; ** any number of parts, none included; [a-z] a character; {a,b} one of several.
	Match string

	// Server is a pattern of host names of servers (of their ids, where a server has no name). Empty: all.
	Server string

	// Tenant is whose streams they are. Empty: the tenant that the sender is bound to.
	Tenant schemas.Tenant

	// Width and Height are the size of the picture, which puts the view time into a tier. 0: not known.
	Width, Height int32

	// DRM says whether they are protected. nil: not known, which counts as clear.
	DRM *bool
}

// Rules are looked through in their order: the first that matches decides, and it alone.
type Rules []Rule

// maxEdge is the longest edge of a picture that anyone has.
const maxEdge = 100_000

// Validate lists everything that is wrong with the rules, by the place in the list, from 0.
func (r Rules) Validate() error {
	var errs []error
	for i := range r {
		for _, err := range r[i].problems() {
			errs = append(errs, fmt.Errorf("[%d].%w", i, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Rule) problems() []error {
	var errs []error
	if r.Match == "" {
		errs = append(errs, errors.New(`match: is missing; ** matches every stream`))
	} else if !doublestar.ValidatePattern(r.Match) {
		errs = append(errs, fmt.Errorf(`match: %q is no pattern; write it like films/** or news_*`, r.Match))
	}
	if !doublestar.ValidatePattern(r.Server) {
		errs = append(errs, fmt.Errorf("server: %q is no pattern; write it like edge-*.example.com", r.Server))
	}
	if r.Tenant != "" {
		if _, err := schemas.ParseTenant(string(r.Tenant)); err != nil {
			errs = append(errs, fmt.Errorf("tenant: %w", err))
		}
	}
	if (r.Width == 0) != (r.Height == 0) {
		errs = append(errs, errors.New("width, height: give both, or neither"))
	}
	if r.Width < 0 || r.Height < 0 || r.Width > maxEdge || r.Height > maxEdge {
		errs = append(errs, fmt.Errorf("width, height: must be from 1 to %d", maxEdge))
	}
	return errs
}

// find is the first rule that matches a stream of a server; nil where none does.
func (r Rules) find(stream, server string) *Rule {
	for i := range r {
		if matches(r[i].Match, stream) && (r[i].Server == "" || matches(r[i].Server, server)) {
			return &r[i]
		}
	}
	return nil
}

// matches is false for a pattern that is none.
func matches(pattern, name string) bool {
	ok, err := doublestar.Match(pattern, name)
	return err == nil && ok
}
