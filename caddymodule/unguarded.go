package caddymodule

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Unguarded are the exceptions from the rule that every request of the site passes this
// directive before it is sent on.
type Unguarded struct {
	// Upstreams are the addresses, as reverse_proxy has them, to which requests may be
	// sent past this directive: portal.internal:8080. Without a port it is 80, or that of
	// the scheme. Default: none.
	Upstreams []string `json:"upstreams,omitempty"`
	// Handlers are the names of handler modules that requests may come to before this
	// directive, or past it: rate_limit. Default: those of Caddy that send nothing on.
	Handlers []string `json:"handlers,omitempty"`
}

func (u *Unguarded) check() error {
	if u == nil {
		return nil
	}
	if slices.Contains(u.Upstreams, "") {
		return errors.New("unguarded upstream: must not be empty")
	}
	for _, name := range u.Handlers {
		if name == "" || name == "openbanking_dcr" || name == "subroute" || name == "invoke" {
			return errors.New("unguarded handler: must be the name of a handler module that answers or sends on, like rate_limit")
		}
	}
	return nil
}

// dialAddress is an address as reverse_proxy dials it.
func dialAddress(text string) string {
	port := "80"
	if u, err := url.Parse(text); err == nil && strings.Contains(text, "://") {
		if text = u.Host; u.Scheme == "https" {
			port = "443"
		}
	}
	if _, _, err := net.SplitHostPort(text); err != nil && !strings.ContainsAny(text, "/{") {
		return net.JoinHostPort(strings.Trim(text, "[]"), port)
	}
	return text
}

// handler is the exception for a handler module, "" for none.
func (u *Unguarded) handler(name string) string {
	if u != nil && slices.Contains(u.Handlers, name) {
		return "handler " + name
	}
	return ""
}

// upstream is the exception for a dial address, "" for none.
func (u *Unguarded) upstream(dial string) string {
	if u == nil {
		return ""
	}
	for _, one := range u.Upstreams {
		if at := dialAddress(one); at == dial || address(at) != "" && address(at) == address(dial) {
			return "upstream " + one
		}
	}
	return ""
}

// all are the exceptions, each as upstream and handler name it.
func (u *Unguarded) all() (names []string) {
	if u == nil {
		return nil
	}
	for _, one := range u.Upstreams {
		names = append(names, "upstream "+one)
	}
	for _, one := range u.Handlers {
		names = append(names, "handler "+one)
	}
	return names
}
