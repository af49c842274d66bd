package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/debianpackage"
)

const (
	startWithin = 20 * time.Second
	stopWithin  = 5 * time.Second
	// startAttempts, because a free port may be taken before glewlwyd takes it.
	startAttempts = 3
)

// child is the running glewlwyd.
type child struct {
	url    string // http://127.0.0.1:port
	cmd    *exec.Cmd
	exited chan struct{}
}

// startChild starts glewlwyd over a new database in dir.
func startChild(ctx context.Context, root, dir string, m mount) (*child, error) {
	database := filepath.Join(dir, "glewlwyd.db")
	if err := createDatabase(ctx, root, database); err != nil {
		return nil, err
	}
	var errs []error
	for range startAttempts {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "glewlwyd.conf")
		if err := os.WriteFile(file, settings(root, database, port, m), 0o600); err != nil {
			return nil, err
		}
		c, err := startOnce(ctx, root, file, "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// createDatabase makes the tables as the package's installation would.
func createDatabase(ctx context.Context, root, database string) error {
	script, err := os.Open(filepath.Join(root, "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"))
	if err != nil {
		return err
	}
	defer script.Close()
	// Nobody needs the tables after a power cut.
	command := exec.CommandContext(ctx, filepath.Join(root, "usr/bin/sqlite3"), "-bail", "-cmd", "PRAGMA synchronous=OFF", database)
	command.Env = environment(root)
	command.Stdin = script
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("create the database: %w\n%s", err, out)
	}
	return nil
}

// startOnce returns when the port is open, which is some time after glewlwyd has
// written that it started.
func startOnce(ctx context.Context, root, file, address string) (*child, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	c := &child{url: "http://" + address, cmd: exec.Command(filepath.Join(root, "usr/bin/glewlwyd"), "--config-file", file), exited: make(chan struct{})}
	c.cmd.Env = environment(root)
	c.cmd.Stdout, c.cmd.Stderr = os.Stderr, os.Stderr // stdout is for the ready line
	endWithParent(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.exited)
	}()
	for {
		if connection, err := net.Dial("tcp", address); err == nil {
			connection.Close()
			return c, nil
		}
		select {
		case <-c.exited:
			return nil, fmt.Errorf("the server ended: %s", c.cmd.ProcessState)
		case <-ctx.Done():
			c.stop()
			return nil, fmt.Errorf("wait for the server to listen: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(stopWithin):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

func environment(root string) []string {
	return append(os.Environ(), "LD_LIBRARY_PATH="+debianpackage.LibraryPath(root))
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
