package gateway

import (
	"fmt"
	"net"
	"strconv"
	"sync"
)

// The ports that FreePort gives are below those that systems give to connections
// (RFC 6335 6; Linux begins at 32768): one of them may be taken between the look
// and the use. They are in blocks, and a process takes its ports from a block of its own.
const (
	firstPort = 20000
	blockSize = 1000
	blocks    = 12
)

// block is this process's, held until it ends by listening on its first port.
var block struct {
	sync.Mutex
	held net.Listener
	used int // ports given since the first; it begins again at the end of the block
}

// FreePort is a TCP port that nobody listens on now, and that nobody else is given
// before this process has had the rest of its block. To look is not enough: Caddy
// shares a port that another Caddy has (SO_REUSEPORT), without a word, and a
// connection goes to either.
func FreePort() (int, error) {
	block.Lock()
	defer block.Unlock()
	var err error
	for first := firstPort; block.held == nil; first += blockSize {
		if first == firstPort+blocks*blockSize {
			return 0, fmt.Errorf("no block of ports is free: %w", err)
		}
		block.held, err = listen(first)
	}
	first := block.held.Addr().(*net.TCPAddr).Port
	for range blockSize - 1 {
		port := first + 1 + block.used%(blockSize-1)
		block.used++
		var free net.Listener
		if free, err = listen(port); err == nil {
			return port, free.Close()
		}
	}
	return 0, err
}

// listen is on every address of this machine: a port that is taken on one of them is
// not free.
func listen(port int) (net.Listener, error) { return net.Listen("tcp", ":"+strconv.Itoa(port)) }
