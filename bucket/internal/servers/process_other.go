//go:build !linux

package servers

import "os/exec"

// dieWithParent is something that only Linux can do.
func dieWithParent(*exec.Cmd) {}
