package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdStreamer starts what speaks as a Flussonic server's API does, for a story: streamer NAME VARIABLE [old].
// VARIABLE is its address. Its user is admin with the password that the file NAME holds. A sink that is called
// "lossy" has dropped events.
func cmdStreamer(ts *testscript.TestScript, _ bool, args []string) {
	password := strings.TrimSpace(ts.ReadFile(args[0]))
	var mu sync.Mutex
	sinks := map[string]map[string]any{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name, one := strings.CutPrefix(r.URL.Path, "/streamer/api/v3/event_sinks/")
		user, given, _ := r.BasicAuth()
		switch {
		case user != "admin" || given != password:
			w.WriteHeader(http.StatusUnauthorized)
		case len(args) > 2:
			http.NotFound(w, r)
		case r.Method == http.MethodPut && one:
			body, _ := io.ReadAll(r.Body)
			sink := map[string]any{}
			if json.Unmarshal(body, &sink) != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			sink["stats"] = map[string]any{"events_sent": 120, "events_resent": 3, "events_dropped": strings.Count(name, "lossy") * 7}
			sinks[name] = sink
			w.Write(body)
		case one && sinks[name] == nil:
			http.NotFound(w, r)
		case one:
			json.NewEncoder(w).Encode(sinks[name])
		default:
			json.NewEncoder(w).Encode(sinks)
		}
	}))
	ts.Defer(srv.Close)
	ts.Setenv(args[1], srv.URL)
	ts.Setenv(args[1]+"_HOST", strings.TrimPrefix(srv.URL, "http://"))
}
