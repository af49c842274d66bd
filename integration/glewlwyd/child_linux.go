package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// The signal comes when the thread ends that started the child, and only the
// main one lives as long as the process.
func init() { runtime.LockOSThread() }

// endWithParent has the kernel kill the child when this program is killed, which
// is what a test does to the server.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
