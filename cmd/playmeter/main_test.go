package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/playmeter/playmeter/statistics"
)

func TestMain(m *testing.M) {
	statistics.Main() // this program is also the process of the statistics
	testscript.Main(m, map[string]func(){"playmeter": main})
}

// TestScript plays the stories of testdata/script.
func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("stories take a while")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// A free port each, so that stories do not meet.
			e.Setenv("PLAYMETER_LISTEN_HTTP", "127.0.0.1:0")
			e.Setenv("PLAYMETER_LISTEN_S3", "127.0.0.1:0")
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": cmdCode, "tenants": cmdTenants, "ready": cmdReady, "addsup": cmdAddsUp, "nosecret": cmdNoSecret,
			"damage": cmdDamage, "mode": cmdMode, "s3": cmdS3, "terminate": cmdTerminate, "hangup": cmdHangup, "streamer": cmdStreamer,
		},
	})
}
