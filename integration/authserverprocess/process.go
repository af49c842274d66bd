package authserverprocess

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// stopWithin bounds how long Stop waits before it kills, and how long it waits for what a
// process that has ended still writes.
const stopWithin = 10 * time.Second

// A Process is a running authorization server. Its methods may be used at once.
type Process struct {
	Kind   Kind
	Config Config // as it was started, with the defaults filled in
	Ready         // the addresses that it listens on

	cmd    *exec.Cmd
	stdin  io.Closer
	dir    string
	log    *tail
	exited chan struct{} // closed when the process has ended
	err    error         // how; read after exited
	killed atomic.Bool
}

// Start starts a server and returns when it accepts connections. ctx bounds the
// start only: the server lives until Stop or Kill, or ends with this process.
func Start(ctx context.Context, kind Kind, config Config) (*Process, error) {
	argv, err := command(kind)
	if err != nil {
		return nil, err
	}
	if config.Listen == "" {
		config.Listen = "127.0.0.1:0"
	}
	if config.ControlListen == "" {
		config.ControlListen = "127.0.0.1:0"
	}
	config.StopAtStdinEnd = true
	if config.SigningKey, err = takeSigningKey(config.SigningKey); err != nil {
		return nil, err
	}

	dir, err := os.MkdirTemp("", "authserver-")
	if err != nil {
		return nil, err
	}
	p := &Process{Kind: kind, Config: config, dir: dir, log: &tail{}, exited: make(chan struct{})}
	if err := p.start(ctx, argv); err != nil {
		if p.cmd != nil && p.cmd.Process != nil {
			_ = p.Kill()
		}
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w\n%s", kind, err, p.Log())
	}
	return p, nil
}

func (p *Process) start(ctx context.Context, argv []string) error {
	raw, err := json.Marshal(p.Config)
	if err != nil {
		return err
	}
	file := filepath.Join(p.dir, "config.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil { // it holds secrets
		return err
	}

	p.cmd = exec.Command(argv[0], append(argv[1:], "-config", file)...)
	p.cmd.Stderr = p.log
	p.cmd.WaitDelay = stopWithin // a child that has outlived it may hold stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	// Not StdoutPipe: Wait would close it under the reader.
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	p.cmd.Stdout = writer
	err = p.cmd.Start()
	writer.Close()
	if err != nil {
		return err
	}
	key := p.Config.SigningKey
	go func() {
		p.err = p.cmd.Wait()
		releaseSigningKey(key)
		close(p.exited)
	}()

	line := make(chan []byte, 1)
	go func() {
		raw, _ := bufio.NewReader(reader).ReadBytes('\n')
		line <- raw
	}()
	select {
	case raw := <-line:
		if err := json.Unmarshal(raw, &p.Ready); err != nil || p.Listen == "" {
			return fmt.Errorf("no ready line, but %q", raw)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stop asks the server to end, waits, and reports how it ended. After Kill it
// does nothing.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		_ = p.Kill()
		return fmt.Errorf("%s did not stop within %s\n%s", p.Kind, stopWithin, p.Log())
	}
	_ = p.stdin.Close()
	_ = os.RemoveAll(p.dir)
	if p.err != nil && !p.killed.Load() {
		return fmt.Errorf("%s: %w\n%s", p.Kind, p.err, p.Log())
	}
	return nil
}

// Kill ends the server as a crash would, and waits.
func (p *Process) Kill() error {
	p.killed.Store(true)
	err := p.cmd.Process.Kill()
	<-p.exited
	_ = p.stdin.Close()
	_ = os.RemoveAll(p.dir)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// URL is where the gateway reaches the server: https, its own address, its prefix.
func (p *Process) URL() string { return "https://" + p.Listen + p.Config.Prefix }

// Log returns the last 64 KiB that the server wrote to stderr.
func (p *Process) Log() string { return p.log.String() }

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - 64<<10; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
