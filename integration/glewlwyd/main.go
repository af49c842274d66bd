// Command glewlwyd runs Debian's glewlwyd, an authorization server in C, for
// end-to-end tests. The server itself speaks plain HTTP on a loopback port, over
// a database that is new each time; this program configures it through its
// administration API and stands before it as edge: TLS, the record of requests,
// faults, the control listener. It approves every authorization request: never
// put it before users.
//
//	glewlwyd -config file.json -root folder
//
// The file is authserverprocess.Config, the folder is what debianpackage.Unpack
// made of the packages glewlwyd and sqlite3. One line on stdout says where it
// listens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/caddy-dcr/caddy-dcr/integration/edge"
)

func main() {
	file := flag.String("config", "", "JSON configuration file")
	root := flag.String("root", "", "folder with the unpacked packages")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file, *root); err != nil {
		fmt.Fprintln(os.Stderr, "glewlwyd:", err)
		os.Exit(1)
	}
}

var errEnded = errors.New("the server ended by itself")

func run(ctx context.Context, file, root string) error {
	config, err := edge.ReadConfig(file)
	if err != nil {
		return err
	}
	if config.AccessTokens == "opaque" {
		return fmt.Errorf("%s: access_tokens: glewlwyd makes no opaque ones", file)
	}
	mount, err := mountAt(config.Issuer)
	if err != nil {
		return err
	}
	// Beside the file, so that whoever kills this program can remove both.
	dir, err := os.MkdirTemp(filepath.Dir(file), "glewlwyd-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	child, err := startChild(ctx, root, dir, mount)
	if err != nil {
		return err
	}
	defer child.stop()
	admin := &admin{url: child.url + "/" + mount.api}
	proxy, err := configure(ctx, admin, config, mount, child.url)
	if err != nil {
		return fmt.Errorf("configure: %w", err)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-child.exited
		cancel(errEnded)
	}()
	if err := edge.Serve(ctx, config, proxy, admin.registered(staticIDs(config)), nil); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), errEnded) {
		return errEnded
	}
	return nil
}
