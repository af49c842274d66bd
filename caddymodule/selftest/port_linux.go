package selftest

import (
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// isHeld: see freePort.
const isHeld = true

// freePort is one of 127.0.0.1 that nobody listens at, and that the system gives to nobody else
// until held is closed: a socket holds it that does not listen. Caddy can listen at it
// meanwhile, because it too sets SO_REUSEPORT.
func freePort() (port int, held io.Closer, err error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(socket), "port")
	local, err := unix.Sockaddr(nil), errors.Join(
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)),
		os.NewSyscallError("bind", unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())})),
	)
	if err == nil {
		local, err = unix.Getsockname(socket)
	}
	if err != nil {
		return 0, nil, errors.Join(err, file.Close())
	}
	return local.(*unix.SockaddrInet4).Port, file, nil
}
