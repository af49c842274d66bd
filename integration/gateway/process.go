package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running gateway. It ends with Stop or Kill.
type Process struct {
	binary string
	dir    string
	env    []string
	file   string

	mu     sync.Mutex
	cmd    *exec.Cmd
	log    bytes.Buffer
	exited chan error
}

// Files that a Process leaves in its folder, beside the Caddyfile.
const (
	// LogFile is what Caddy logs.
	LogFile = "gateway.log"
	// EnvironmentFile holds the variables, for a shell to read.
	EnvironmentFile = "gateway.env"
)

// Start runs a Caddyfile, which is written into dir, and returns when Caddy says
// that it serves. env are further variables, the secrets. What Caddy keeps
// beside the store is in dir too.
func Start(ctx context.Context, binary, dir, caddyfile string, env []string) (*Process, error) {
	p := &Process{binary: binary, dir: dir, file: filepath.Join(dir, "Caddyfile")}
	own := append([]string{"XDG_DATA_HOME=" + filepath.Join(dir, "data"), "XDG_CONFIG_HOME=" + filepath.Join(dir, "config")}, env...)
	p.env = append(os.Environ(), own...)
	if err := os.WriteFile(p.file, []byte(caddyfile), 0o600); err != nil {
		return nil, err
	}
	var exports strings.Builder
	for _, variable := range own {
		name, value, _ := strings.Cut(variable, "=")
		fmt.Fprintf(&exports, "export %s=%s\n", name, Quote(value))
	}
	if err := os.WriteFile(filepath.Join(dir, EnvironmentFile), []byte(exports.String()), 0o600); err != nil {
		return nil, err
	}
	return p, p.Restart(ctx)
}

// Quote makes one word of a shell command.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Shown is how a person runs a command of this Caddy, in the Process's folder.
func (p *Process) Shown(args ...string) string {
	binary, err := filepath.Rel(p.dir, p.binary)
	if err != nil {
		binary = p.binary
	}
	return fmt.Sprintf(". ./%s && %s %s", EnvironmentFile, binary, strings.Join(args, " "))
}

// Restart runs the gateway again after Stop or Kill.
func (p *Process) Restart(ctx context.Context) error { return p.RestartWith(ctx) }

// RestartWith does so with further variables, for this run alone.
func (p *Process) RestartWith(ctx context.Context, env ...string) error {
	// Caddy's own way to tell a parent that it is up: it sends back what it reads.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	secret := []byte(rand.Text())
	cmd := exec.Command(p.binary, "run", "--config", p.file, "--pingback", listener.Addr().String())
	cmd.Env, cmd.Dir = append(slices.Clone(p.env), env...), p.dir
	cmd.Stdin = bytes.NewReader(secret)
	file, err := os.OpenFile(filepath.Join(p.dir, LogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	output := io.MultiWriter(p, file)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return errors.Join(err, file.Close())
	}
	exited := make(chan error, 1)
	go func() { err := cmd.Wait(); exited <- errors.Join(err, file.Close()) }()
	p.mu.Lock()
	p.cmd, p.exited = cmd, exited
	p.mu.Unlock()

	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("the gateway does not serve %s after its start", startWithin))
	defer cancel()
	up := make(chan error, 1)
	go func() { up <- await(listener, secret) }()
	select {
	case err = <-up:
	case err = <-exited:
		exited <- err
		err = fmt.Errorf("caddy ended: %w", err)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, p.Log()), p.Kill())
	}
	return nil
}

func await(listener net.Listener, secret []byte) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		got, err := io.ReadAll(io.LimitReader(conn, 1024))
		if err = errors.Join(err, conn.Close()); err == nil && bytes.Equal(got, secret) {
			return nil
		}
	}
}

// Write takes Caddy's log.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// Log is what Caddy has logged since Start.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Command runs another command of the same Caddy, in its folder, with its variables. It
// ends it after commandWithin.
func (p *Process) Command(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandWithin, fmt.Errorf("not done after %s", commandWithin))
	defer cancel()
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("caddy %s: %w\n%s", strings.Join(args, " "), errors.Join(err, context.Cause(ctx)), out)
	}
	return string(out), nil
}

// Dir is the folder that it runs in.
func (p *Process) Dir() string { return p.dir }

// Pid is the process's.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Bounds of what the gateway does.
const (
	startWithin   = 2 * time.Minute
	commandWithin = 2 * time.Minute
	stopWithin    = 30 * time.Second
	endWithin     = 5 * time.Minute // by itself
)

// Stop ends the gateway as a service manager does, and waits for it.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM, stopWithin) }

// Kill ends it as a power failure does.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL, stopWithin) }

// Wait returns when the gateway has ended by itself. It waits five minutes, or until ctx
// ends.
func (p *Process) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	select {
	case err := <-exited:
		exited <- err
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the gateway has not ended: %w", ctx.Err())
	}
}

func (p *Process) end(signal os.Signal, within time.Duration) error {
	p.mu.Lock()
	cmd, exited := p.cmd, p.exited
	p.mu.Unlock()
	if err := cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-exited:
		exited <- err
		return nil
	case <-timer.C:
		return errors.Join(errors.New("the gateway did not end in time"), cmd.Process.Kill())
	}
}
