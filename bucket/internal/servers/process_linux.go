package servers

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the program also where the test is killed before it can.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
