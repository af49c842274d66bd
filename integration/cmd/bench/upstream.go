package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// upstream is the least that a proxy can stand in front of: it reads a request
// and answers the same few bytes. What it costs is the same for both sites, and
// the less it costs the more a difference between them shows.
type upstream struct {
	// URL is http, on loopback.
	URL string

	listener net.Listener
	serving  sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]struct{}
	closed   bool
}

var upstreamAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"answer\":true}")

func startUpstream(ctx context.Context) (*upstream, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	u := &upstream{URL: "http://" + listener.Addr().String(), listener: listener, open: map[net.Conn]struct{}{}}
	u.serving.Go(u.accept)
	return u, nil
}

func (u *upstream) accept() {
	for {
		c, err := u.listener.Accept()
		if err != nil {
			return // closed
		}
		u.mu.Lock()
		if u.closed {
			u.mu.Unlock()
			_ = c.Close() // nobody waits for it any more
			return
		}
		u.open[c] = struct{}{}
		u.serving.Go(func() { u.serve(c) })
		u.mu.Unlock()
	}
}

// serve ends with the connection; a request that is not answered then fails at
// the proxy, and the load with it.
func (u *upstream) serve(c net.Conn) {
	reader := bufio.NewReaderSize(c, 16<<10)
	for {
		_, length, err := readHead(reader)
		if err == nil {
			_, err = reader.Discard(length)
		}
		if err == nil {
			_, err = c.Write(upstreamAnswer)
		}
		if err != nil {
			break
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, c)
	_ = c.Close() // nothing was written since the last answer
}

// Close ends all connections and waits for them.
func (u *upstream) Close() error {
	err := u.listener.Close()
	u.mu.Lock()
	u.closed = true
	for c := range u.open {
		err = errors.Join(err, c.Close())
	}
	u.open = map[net.Conn]struct{}{}
	u.mu.Unlock()
	u.serving.Wait()
	return err
}
