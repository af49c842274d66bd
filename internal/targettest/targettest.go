// Package targettest has request targets that servers read differently, for the tests of the
// gateway and for those with real servers.
package targettest

import (
	"fmt"
	"net/url"
	"strings"
)

// Spellings are other ways to write a path that some server takes for the same.
var Spellings = map[string]func(string) string{
	"upper case":           strings.ToUpper,
	"slash at the end":     func(p string) string { return p + "/" },
	"escaped letter":       func(p string) string { return p[:len(p)-1] + fmt.Sprintf("%%%02x", p[len(p)-1]) },
	"escaped in capitals":  func(p string) string { return p[:len(p)-1] + fmt.Sprintf("%%%02X", p[len(p)-1]) },
	"escaped twice":        func(p string) string { return p[:len(p)-1] + fmt.Sprintf("%%25%02x", p[len(p)-1]) },
	"escaped slash":        func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "%2f", 1) },
	"parameter":            func(p string) string { return p + ";v=1" },
	"parameter before":     func(p string) string { return p[:1] + strings.Replace(p[1:], "/", ";v=1/", 1) },
	"two slashes":          func(p string) string { return "/" + p },
	"two slashes within":   func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "//", 1) },
	"dot segment":          func(p string) string { return "/." + p },
	"dot segment at end":   func(p string) string { return p + "/." },
	"double dot segment":   func(p string) string { return "/x/.." + p },
	"escaped dot segment":  func(p string) string { return "/%2e" + p },
	"backslash":            func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "%5C", 1) },
	"blank at the end":     func(p string) string { return p + "%20" },
	"NUL at the end":       func(p string) string { return p + "%00" },
	"line end at the end":  func(p string) string { return p + "%0a" },
	"escaped question":     func(p string) string { return p + "%3fx" },
	"escaped number sign":  func(p string) string { return p + "%23" },
	"parent of a child":    func(p string) string { return p + "/x/.." },
	"escaped parent":       func(p string) string { return p + "/x/%2e%2e" },
	"dots with parameters": func(p string) string { return p + "/x/..;/" },
}

// OneReading is an error where two ways to read a target that the authorization server was
// sent differ, or lead to one of the guarded paths.
func OneReading(target string, guarded ...string) error {
	asTarget, err := url.ParseRequestURI(target)
	if err != nil {
		return err
	}
	asReference, err := url.Parse(target)
	if err != nil {
		return err
	}
	if asTarget.Host != "" || asTarget.Opaque != "" || asReference.Host != "" || asReference.Fragment != "" || asTarget.EscapedPath() != asReference.EscapedPath() {
		return fmt.Errorf("it is %#v for one reader and %#v for another", asTarget, asReference)
	}
	resolved := (&url.URL{Scheme: "https", Host: "as.internal"}).ResolveReference(asReference)
	for _, path := range guarded {
		if got := strings.ToLower(strings.TrimRight(resolved.Path, "/")); got == strings.ToLower(path) {
			return fmt.Errorf("it leads to %s", path)
		}
	}
	return nil
}
