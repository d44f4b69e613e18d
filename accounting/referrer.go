package accounting

import (
	"net/url"
	"strings"
)

// secretParameters are the query parameters that referrers lose (SPEC 5).
var secretParameters = map[string]bool{"token": true, "access_token": true, "authorization": true, "auth": true,
	"sig": true, "signature": true, "key": true, "password": true}

// cleanReferrer cuts the parameters that carry secrets (R17). It is applied before a
// referrer is compared or stored.
func cleanReferrer(ref string) string {
	head, rest, ok := strings.Cut(ref, "?")
	if !ok || strings.Contains(head, "#") {
		return ref
	}
	query, fragment := rest, ""
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		query, fragment = rest[:i], rest[i:]
	}
	var kept []string
	all := strings.Split(query, "&")
	for _, pair := range all {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if !secretParameters[strings.ToLower(name)] {
			kept = append(kept, pair)
		}
	}
	if len(kept) == len(all) {
		return ref
	}
	if left := strings.Join(kept, "&"); left != "" {
		head += "?" + left
	}
	return head + fragment
}
