package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientOf is who asks: the address at the other end of the connection, or, where that is a proxy that
// is trusted, the one that it names in X-Forwarded-For. Of several the rightmost that is not trusted
// itself: what stands left of it, anybody can have written.
func clientOf(r *http.Request, proxies []netip.Prefix) netip.Addr {
	client := parseAddress(r.RemoteAddr)
	if !trusted(client, proxies) {
		return client
	}
	var hops []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		hops = append(hops, strings.Split(line, ",")...)
	}
	for i := len(hops) - 1; i >= 0; i-- {
		hop := parseAddress(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break // nobody knows who was before
		}
		client = hop
		if !trusted(client, proxies) {
			break
		}
	}
	return client
}

func trusted(a netip.Addr, proxies []netip.Prefix) bool {
	for _, p := range proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddress reads an address with or without a port; the zero Addr is none.
func parseAddress(text string) netip.Addr {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// neighbourhood is what one client is taken for: an IPv4 address, or the /64 network of an IPv6 address,
// any of whose addresses one machine can take.
func neighbourhood(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of no address
	}
	return p
}
