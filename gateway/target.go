package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What is checked is what is sent. A request target (RFC 9112 3.2) has four forms, and
// Go's URL holds more than the path of them: of "x:http:/token" the path is empty and
// the rest opaque, which a proxy sends on as an absolute-form target that every server
// must accept. So everything after checkTarget sees one form only, origin-form, and
// what leaves, URL.RequestURI(), is the path and the query that were checked.

// checkTarget accepts a request target that every server reads alike, and makes
// origin-form of absolute-form. It changes nothing of a request that it refuses.
//
// Errors: MalformedRequest, MethodNotAllowed, Misdirected.
func checkTarget(r *http.Request) error {
	if strings.EqualFold(r.Method, http.MethodConnect) {
		return errMethod(r.Method)
	}
	u := r.URL
	switch {
	case u.Opaque != "", !strings.HasPrefix(u.Path, "/"):
		return refusal.New(refusal.MalformedRequest, "target", "request target: it has no path; begin it with a slash")
	case len(u.Path) > maxPath, len(u.Path) > maxWidePath && strings.ContainsFunc(u.Path, isWide):
		return refusal.New(refusal.MalformedRequest, "target", "request target: its path is longer than the 8192 bytes, or 1024 with other characters than ASCII, that are read; shorten it")
	case strings.Contains(u.RawQuery, "#"): // for a reader of references (RFC 3986) the query ends there
		return refusal.New(refusal.MalformedRequest, "target", "request target: its query has a number sign; send it as %%23")
	case !validPort(r.Host):
		return refusal.New(refusal.MalformedRequest, "target", "Host: its port is no port; send the host of this server")
	case u.Scheme == "" && u.Host == "" && u.User == nil:
		return nil
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil:
		return refusal.New(refusal.MalformedRequest, "target", "request target: it is no http or https address of this server; send the path alone")
	case !sameAuthority(u, r.Host):
		return refusal.New(refusal.Misdirected, "target", "request target: another host than the one that the request is for; send the path alone")
	}
	origin := *u
	origin.Scheme, origin.Host = "", ""
	r.URL, r.RequestURI = &origin, origin.RequestURI()
	return nil
}

// maxPath is the length of a decoded path in bytes, at most: its normal form is compared
// with every address that counts, and anybody can send one. That of other characters
// than ASCII takes longer: one may fold to eighteen.
const (
	maxPath     = 8 << 10
	maxWidePath = 1 << 10
)

func isWide(r rune) bool { return r >= utf8.RuneSelf }

// checkPassed requires of a request that may be passed on that every server reads it alike. What
// the gateway answers itself is refused there, each in its own way.
//
// Errors: MalformedRequest, MethodNotAllowed.
func checkPassed(r *http.Request, what purpose) error {
	switch {
	case what == discovery, what == registrations, what == registration:
		return nil
	case echoes(r.Method):
		return errMethod(r.Method)
	case !utf8.ValidString(r.URL.Path): // over-long forms of a slash or a dot among them
		return refusal.New(refusal.MalformedRequest, "target", "request target: its path is not UTF-8 after decoding; encode it as UTF-8")
	case what != hidden && beginsAuthority(r.URL.EscapedPath()):
		return refusal.New(refusal.MalformedRequest, "target", "request target: its path begins with two slashes, which some servers read as a host; send one")
	}
	return nil
}

// allowed are the methods that a 405 names for any address.
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func errMethod(method string) error {
	return refusal.New(refusal.MethodNotAllowed, "method", "method: %s; this server does not take it", refusal.Quote(method))
}

// echoes tells the methods that answer with the request's headers, the gateway's shared
// secret among them: TRACE, and TRACK of older servers. CONNECT, also the extended one
// (RFC 8441), makes a tunnel that nobody guards; checkTarget refuses it.
func echoes(method string) bool {
	return strings.EqualFold(method, http.MethodTrace) || strings.EqualFold(method, "TRACK")
}

// beginsAuthority tells whether a path begins with two slashes, as it is or once its
// dot segments are removed (RFC 3986 5.2.4): a server that reads targets as references,
// Node's new URL or Java's URI, takes what follows for a host, and the rest for the path.
func beginsAuthority(path string) bool {
	switch {
	case plain(path):
		return false
	case strings.HasPrefix(path, "//"):
		return true
	}
	var kept []string
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch strings.ToLower(strings.ReplaceAll(segment, "%2E", "%2e")) {
		case ".", "%2e":
		case "..", ".%2e", "%2e.", "%2e%2e":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, segment)
		}
	}
	return len(kept) > 1 && kept[0] == ""
}

// validPort tells whether a host has no port, or one that can be: servers behind build
// addresses of it.
func validPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") { // an IPv6 address
		return true
	}
	port, err := strconv.ParseUint(host[i+1:], 10, 16)
	return err == nil && port > 0
}

// sameAuthority compares without case, and without the port that the scheme implies.
func sameAuthority(u *url.URL, host string) bool {
	port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(host, port))
}
