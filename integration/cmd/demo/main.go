// Demo runs a bank on this machine: a directory, an authorization server that
// knows nothing of Open Banking, and the gateway in front of it. It tells the
// story of a third-party provider as curl commands that a person can repeat.
//
//	DEMO_ONCE=1        ends after the story; exit status 0 only if every step went as it must
//	DEMO_DIR=<folder>  for all files. Default: .demo in the repository
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

func main() {
	binary := flag.String("caddy", filepath.Join(checkout.Root(), "caddy"), "Caddy with the plugin")
	dir := flag.String("dir", cmp.Or(os.Getenv("DEMO_DIR"), filepath.Join(checkout.Root(), ".demo")), "folder for all files; it is emptied first")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *dir, os.Getenv("DEMO_ONCE") != ""); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, dir string, once bool) (err error) {
	if err := clean(dir); err != nil {
		return err
	}
	began := time.Now()
	progress := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "demo: %5.1fs %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	progress("building the authorization server and starting everything (the first time takes a minute)")
	stage, err := story.Open(ctx, story.Options{Binary: binary, Kind: authserverprocess.GoOIDC, Dir: dir, Checks: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	progress("the gateway serves %s", stage.Issuer)

	fmt.Printf("\nThe commands below work in %s\n", dir)
	play := &story.Play{Stage: stage}
	passed := tell(ctx, play)
	total := len(story.Steps) + len(story.Operations)
	if !once && ctx.Err() == nil {
		invitation, err := play.Invitation(ctx)
		if err != nil {
			return err
		}
		fmt.Printf(`
Everything stays up until Ctrl-C:
  gateway               %s
  authorization server  %s
  directory             %s
  Caddyfile, files      %s
  gateway's log         %s

The registrations above used their tokens and bodies up: repeated, they are
refused. This one is still to be made, within half an hour:

$ %s

`, stage.Issuer, stage.AS.URL(), stage.Directory.URL, dir, filepath.Join(dir, gateway.LogFile), invitation)
		<-ctx.Done()
	}
	fmt.Printf("demo: %d of %d steps as expected\n", passed, total)
	if passed != total {
		return errors.New("not every step went as expected")
	}
	return nil
}

// clean empties the folder of the last demo, and no other folder.
func clean(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "ca.pem")); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not a folder of the demo: empty it", dir)
	}
	return os.MkdirAll(dir, 0o700)
}
