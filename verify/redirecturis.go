package verify

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// maxURI is the length of a redirect URI, or a notification endpoint (DCR 3.3).
const maxURI = 256

func checkRedirectURIs(e *evaluation) error {
	refuse := func(format string, args ...any) error {
		return refusal.New(refusal.InvalidRedirectURI, "redirect_uris", "redirect_uris: %s", refusal.Advise(fmt.Errorf(format, args...), "send https URIs that the software statement lists"))
	}
	listed := len(e.ssa.RedirectURIs) > 0
	if !listed && !e.ssa.Issuer.UnlistedRedirectURIs {
		return refuse("the software statement has no software_redirect_uris; register them at the directory and get a new statement")
	}
	list, ok, err := e.claims.Strings("redirect_uris")
	switch {
	case err != nil:
		return refuse("%w", err)
	case !ok:
		list = e.ssa.RedirectURIs
	case listed && len(list) == 0:
		return refuse("empty; send at least one of the software statement's, or leave the claim out")
	}
	if len(list) == 0 {
		return refuse("missing; send at least one")
	}
	for _, uri := range list {
		if _, err := publicURI(uri); err != nil {
			return refuse("%s %w", refusal.Quote(uri), err)
		}
		if listed && !slices.Contains(e.ssa.RedirectURIs, uri) {
			return refuse("%s is not in the software statement's software_redirect_uris, which must hold it exactly", refusal.Quote(uri))
		}
	}
	e.out.Metadata.RedirectURIs = list
	return nil
}

// publicURI checks a URI that browsers, or the AS, will be sent to against what
// every such URI must be. host is in lower case, without a dot at its end.
func publicURI(uri string) (host string, err error) {
	if len(uri) > maxURI {
		return "", fmt.Errorf("is longer than %d characters", maxURI)
	}
	for i := range len(uri) {
		if c := uri[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte(`\"<>^{|}`+"`*", c) >= 0 {
			return "", errors.New("has a character that a URI cannot have, or a wildcard")
		}
	}
	host, plain := plainHost(uri)
	if !plain {
		u, err := url.Parse(uri)
		switch {
		case err != nil || u.Opaque != "" || u.Hostname() == "":
			return "", errors.New("is not an absolute URI")
		case u.Scheme != "https":
			return "", errors.New("does not use https")
		case strings.Contains(uri, "#"):
			return "", errors.New("has a fragment")
		case u.User != nil:
			return "", errors.New("has user information")
		}
		host = u.Hostname()
	}
	// Escaped in the URI, and a browser's IDNA may make localhost or digits of it.
	// Before it is lowered: that makes an ASCII k of the Kelvin sign.
	if strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		return "", errors.New("is not an absolute URI, because its host is not ASCII")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	label := host[strings.LastIndexByte(host, '.')+1:]
	if host == "localhost" || label == "localhost" {
		return "", errors.New("points to localhost")
	}
	// A last label of digits is an IPv4 address for browsers, whatever its form (0x7f.1, 2130706433).
	numeric := label == "" || label[0] >= '0' && label[0] <= '9' && (strings.Trim(label, "0123456789") == "" || strings.HasPrefix(label, "0x"))
	if numeric || strings.IndexByte(host, ':') >= 0 { // only IPv6 has one
		return "", errors.New("has an IP address for a host")
	}
	return host, nil
}

// plainHost is the host of a URI in the form that nearly all have: https, a host of
// letters, digits, dots and hyphens, perhaps a path, and nothing that needs
// url.Parse to be understood. A software statement has dozens.
func plainHost(uri string) (host string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "https://")
	if !ok {
		return "", false
	}
	end := len(rest)
	for i := range len(rest) {
		if c := rest[i]; c == '/' {
			end = i
			break
		} else if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-') {
			return "", false
		}
	}
	return rest[:end], end > 0 && !strings.ContainsAny(rest[end:], "%#")
}
