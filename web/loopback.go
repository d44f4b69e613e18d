package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// CheckLoopback refuses an address that others than this machine can reach, unless there is a token, so
// that everybody must sign in.
func CheckLoopback(listen string, tokens bool) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if !tokens && !isLoopback(host) {
		return fmt.Errorf(`%s can be reached from elsewhere, and nobody can sign in yet: make a token with "playmeter token add", or listen on 127.0.0.1:%s (or [::1]:%s)`, listen, port, port)
	}
	return nil
}

func isLoopback(host string) bool {
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// fromHere tells whether a request comes from this machine and was made for it: the address, and the
// Host, so that no page on the internet gets at us through somebody's browser.
func fromHere(r *http.Request, client netip.Addr) bool {
	return isLoopback(hostOf(r)) && client.IsLoopback() && parseAddress(r.RemoteAddr).IsLoopback()
}

// hostOf is the name that a request was made for, without a port.
func hostOf(r *http.Request) string {
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		return h
	}
	return r.Host
}

func notFromHere() *problem {
	return newProblem(http.StatusForbidden, `Without a token these pages answer to 127.0.0.1, [::1] and localhost only, and on this machine only. "playmeter token add" makes a token; then everybody signs in. A proxy in front must send one of these names as Host.`)
}
