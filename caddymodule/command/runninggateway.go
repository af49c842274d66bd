package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// runningGateway are the flags that say which gateway a command asks. Every command that asks
// one has them.
type runningGateway struct {
	address, config, adapter string
	// certificate and key are those of an operator, ca is the CA of the admin API's own. They
	// are for an address with https, that of Caddy's remote administration.
	certificate, key, ca string
}

func (g *runningGateway) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&g.address, "address", "", "the gateway's admin address, host:port, unix//path or https://host:port; default: that of --config, else localhost:2019")
	f.StringVarP(&g.config, "config", "c", "", "the gateway's configuration, for its admin address")
	f.StringVarP(&g.adapter, "adapter", "a", "", "the adapter of --config")
	f.StringVar(&g.certificate, "operator-certificate", "", "your certificate, with an https address (PEM)")
	f.StringVar(&g.key, "operator-key", "", "the private key of --operator-certificate (PEM)")
	f.StringVar(&g.ca, "admin-ca", "", "the CA of the admin API's certificate, with an https address (PEM); default: those of the system")
	completeFiles(c, "config", "operator-certificate", "operator-key", "admin-ca")
}

// Bounds of a call of the admin API.
const (
	connectPatience = 5 * time.Second
	// answerPatience is how long an answer may take, to its end. What the gateway asks the
	// authorization server for takes seconds.
	answerPatience = 2 * time.Minute
)

// open is the admin API of the gateway. Nothing is sent yet.
func (g *runningGateway) open() (*adminAPI, error) {
	address, err := g.adminAddress()
	if err != nil {
		return nil, err
	}
	api := &adminAPI{address: address}
	transport := &http.Transport{ResponseHeaderTimeout: answerPatience, DisableCompression: true}
	api.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	network, host := "tcp", ""
	if rest, ok := strings.CutPrefix(address, "https://"); ok {
		host = strings.TrimSuffix(rest, "/")
		if transport.TLSClientConfig, err = g.tls(); err != nil {
			return nil, err
		}
		api.origin = "https://" + host
	} else if g.certificate != "" || g.key != "" || g.ca != "" {
		return nil, usage("--operator-certificate, --operator-key and --admin-ca are for an --address with https://: that of the remote administration")
	} else {
		parsed, err := caddy.ParseNetworkAddress(strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/"))
		if err != nil || parsed.PortRangeSize() > 1 || parsed.IsFdNetwork() || parsed.StartPort == 0 && !parsed.IsUnixNetwork() {
			return nil, usage("the admin address %q is none like localhost:2019, unix//run/caddy/admin.sock or https://gateway.internal:2021", address)
		}
		if ip, err := netip.ParseAddr(parsed.Host); parsed.Host == "" || err == nil && ip.IsUnspecified() {
			parsed.Host = "localhost" // it listens on all addresses
		}
		network, host, api.origin = parsed.Network, parsed.JoinHostPort(0), "http://"+parsed.JoinHostPort(0)
		if parsed.IsUnixNetwork() {
			host, _, _ = strings.Cut(host, "|") // its permissions
			api.origin = "http://127.0.0.1"
		}
	}
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: connectPatience}).DialContext(ctx, network, host)
	}
	return api, nil
}

// adminAddress is that of --address or --config, or Caddy's default.
func (g *runningGateway) adminAddress() (string, error) {
	if g.address != "" || g.config == "" {
		if g.adapter != "" && g.config == "" {
			return "", usage("--adapter is that of --config, which is missing")
		}
		if g.address == "" {
			return caddy.DefaultAdminListen, nil
		}
		return g.address, nil
	}
	text, _, _, err := caddycmd.LoadConfig(g.config, g.adapter)
	if err != nil {
		return "", usage("--config: %w", err)
	}
	var config struct {
		Admin struct {
			Disabled bool   `json:"disabled"`
			Listen   string `json:"listen"`
		} `json:"admin"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return "", usage("--config: %w", err)
	}
	if config.Admin.Disabled {
		return "", unreachable("%s switches the admin endpoint off (admin off), and this command asks it; write admin localhost:2019, or admin unix//run/caddy/admin.sock, and restart the gateway", g.config)
	}
	if config.Admin.Listen == "" {
		return caddy.DefaultAdminListen, nil
	}
	address, err := caddy.NewReplacer().ReplaceOrErr(config.Admin.Listen, true, true)
	if err != nil {
		return "", usage("--config: the admin address: %w", err)
	}
	return address, nil
}

// tls is how the remote administration is reached.
func (g *runningGateway) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if (g.certificate == "") != (g.key == "") {
		return nil, usage("give --operator-certificate and --operator-key together")
	}
	if g.certificate != "" {
		own, err := tls.LoadX509KeyPair(g.certificate, g.key)
		if err != nil {
			return nil, usage("--operator-certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	if g.ca != "" {
		text, err := os.ReadFile(g.ca)
		if err != nil {
			return nil, usage("--admin-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, usage("--admin-ca: %s has no certificate in PEM", g.ca)
		}
	}
	return config, nil
}
