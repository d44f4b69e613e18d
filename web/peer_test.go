package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestClientOf(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("2001:db8:1::/48")}
	tests := []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no proxy", "192.0.2.1:4711", nil, "192.0.2.1"},
		{"somebody who is no proxy is not believed", "192.0.2.1:4711", []string{"198.51.100.7"}, "192.0.2.1"},
		{"a proxy names its client", "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"what the client wrote itself is not believed", "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.7"}, "198.51.100.7"},
		{"proxies behind proxies are passed", "127.0.0.1:1", []string{"203.0.113.9, 198.51.100.7, 10.1.2.3", "10.0.0.9"}, "198.51.100.7"},
		{"all of them are proxies", "127.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"nothing is said", "10.0.0.1:1", nil, "10.0.0.1"},
		{"an empty line", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"nonsense ends it", "10.0.0.1:1", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"an address with a port", "10.0.0.1:1", []string{"198.51.100.7:80"}, "198.51.100.7"},
		{"IPv6", "[2001:db8:1::1]:1", []string{"2001:db8:2::7"}, "2001:db8:2::7"},
		{"IPv6 with a port", "[2001:db8:1::1]:1", []string{"[2001:db8:2::7]:80"}, "2001:db8:2::7"},
		{"a mapped address is the IPv4 one", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"a zone is left out", "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"no address", "pipe", nil, "invalid IP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.remote
			for _, line := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			if got := clientOf(r, proxies).String(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzClientOf(f *testing.F) {
	f.Add("127.0.0.1:1", "1.2.3.4, 10.0.0.1")
	f.Add("[::1]:1", "[::ffff:1.2.3.4]:80,,unknown")
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", forwarded)
		got := clientOf(r, proxies)
		if peer := parseAddress(remote); !trusted(peer, proxies) && got != peer {
			t.Errorf("%q is believed that it is %s", remote, got)
		}
		neighbourhood(got)
	})
}
