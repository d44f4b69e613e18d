package web

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// CheckLoopback refuses an address that others than this machine can reach.
func CheckLoopback(listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if !isLoopback(host) {
		return fmt.Errorf("%s can be reached from elsewhere, and the pages have no sign-in yet: listen on 127.0.0.1:%s (or [::1]:%s), and reach it through an SSH tunnel or a proxy that signs people in", listen, port, port)
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

// onlyLoopback refuses requests that were made for another host.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !isLoopback(host) {
			http.Error(w, "Without a sign-in these pages answer to 127.0.0.1, [::1] and localhost only. A proxy in front must send one of them as Host.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
