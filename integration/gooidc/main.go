// Command gooidc is a real authorization server on github.com/luikyv/go-oidc,
// for end-to-end tests and the demo: RFC 7591 and 7592 registration, RFC 8705
// client authentication, introspection and revocation. It keeps everything in
// memory and approves every authorization request: never put it before users.
//
//	gooidc -config file.json
//
// The file is authserverprocess.Config. One line on stdout says where it listens.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/caddy-dcr/caddy-dcr/integration/edge"
)

func main() {
	file := flag.String("config", "", "JSON configuration file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file); err != nil {
		fmt.Fprintln(os.Stderr, "gooidc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string) error {
	config, err := edge.ReadConfig(file)
	if err != nil {
		return err
	}
	store := newStore()
	provider, err := newProvider(config, store)
	if err != nil {
		return err
	}
	handler := withCertificate(config.TrustClientCertHeader, withClientID(config, http.StripPrefix(config.Prefix, provider)))
	return edge.Serve(ctx, config, handler, store.metadata, store.change)
}
