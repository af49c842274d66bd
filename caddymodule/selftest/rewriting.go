package selftest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Replaced is a part of the configuration that the run does not use.
type Replaced struct {
	// Place is where it is, as caddy adapt shows it. What it is, and With what it was
	// replaced.
	Place string `json:"place"`
	What  string `json:"what"`
	With  string `json:"with"`
}

// rewriting makes of a configuration one that reaches nothing outside of this machine's
// loopback and of a folder.
type rewriting struct {
	tree   map[string]any
	folder string
	ca     *authority
	keys   *keyServer
	// revoked is the list of ca, in PEM, with revokedCertificate.
	revoked            []byte
	revokedCertificate *tls.Certificate
	claims             map[string]any
	replaced           []Replaced
	// ports are the new ones, by server, held what keeps others from them, listens the addresses of before, and plain those
	// without TLS.
	ports   map[string]int
	held    []io.Closer
	listens map[string]string
	plain   map[string]bool
	// stubs are the authorization servers by host and port, sink is all other servers.
	stubs map[string]*stub
	sink  *stub
	// workspaces are the directives, in the order of their places.
	workspaces []*workspace
	secrets    int
	proxies    []proxy
}

// instead notes a replacement.
func (r *rewriting) instead(place, what, with string) {
	one := Replaced{place, what, with}
	if !slices.Contains(r.replaced, one) {
		r.replaced = append(r.replaced, one)
	}
}

// secret is a throw-away secret, and the placeholder for its file.
func (r *rewriting) secret(value string) (string, error) {
	r.secrets++
	name := filepath.Join(r.folder, "secret-"+strconv.Itoa(r.secrets))
	return "{file." + name + "}", os.WriteFile(name, []byte(value), 0o600)
}

// keptApps are the parts that stay, rewritten; see their functions.
var keptApps = []string{"http", "openbanking_dcr", "tls"}

// rewrite rewrites the whole configuration.
func (r *rewriting) rewrite() error {
	for name := range r.tree {
		if name != "apps" && name != "@id" {
			r.instead(name, "the whole part "+name, map[string]string{
				"admin": "no admin endpoint", "logging": "a log in a temporary folder", "storage": "a temporary folder",
			}[name])
		}
	}
	apps, _ := r.tree["apps"].(map[string]any)
	if apps == nil {
		return ErrNoDirective
	}
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		if !slices.Contains(keptApps, name) {
			r.instead("apps/"+name, "the app "+name, "nothing: what it does is not tested")
			delete(apps, name)
		}
	}
	http, _ := apps["http"].(map[string]any)
	if err := r.rewriteServers(http); err != nil {
		return err
	}
	if err := r.rewriteApp(apps); err != nil {
		return err
	}
	if err := r.rewriteTLS(apps, http); err != nil {
		return err
	}
	r.tree = map[string]any{
		"apps":    apps,
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"storage": map[string]any{"module": "file_system", "root": filepath.Join(r.folder, "storage")},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{
			"writer":  map[string]any{"output": "file", "filename": r.logFile(), "roll": false},
			"encoder": map[string]any{"format": "json"},
		}}},
	}
	return nil
}

func (r *rewriting) logFile() string { return filepath.Join(r.folder, "caddy.log") }

// rewriteApp gives the gateway an empty store.
func (r *rewriting) rewriteApp(apps map[string]any) error {
	before, _ := apps["openbanking_dcr"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		r.instead("apps/openbanking_dcr/"+name, "the option "+name, map[string]string{
			"store": "an empty store in a temporary folder", "keyset": "a new keyset",
		}[name])
	}
	_, keyset, err := registry.NewKeyset()
	if err != nil {
		return err
	}
	placeholder, err := r.secret(string(keyset))
	apps["openbanking_dcr"] = map[string]any{
		"store":  map[string]any{"engine": "badger", "directory": filepath.Join(r.folder, "store")},
		"keyset": placeholder, "checks": "off",
	}
	return err
}

// rewriteTLS has one certificate for all sites, and no automation.
func (r *rewriting) rewriteTLS(apps, http map[string]any) error {
	if apps["tls"] != nil {
		r.instead("apps/tls", "the sites' certificates and their automation", "one certificate of a throw-away CA")
	}
	var names []string
	walk(http, "", nil, func(_ string, o map[string]any, _ []map[string]any) {
		for _, host := range texts(o["host"]) {
			if host = resolved(host); host != "" && net.ParseIP(strings.Trim(host, "[]")) == nil && !strings.ContainsAny(host, "{}") {
				names = append(names, host)
			}
		}
	})
	for _, w := range r.workspaces {
		names = append(names, w.host, w.certificateHost)
	}
	slices.Sort(names)
	certificate, err := r.ca.server(slices.Compact(names)...)
	if err != nil {
		return err
	}
	key, err := keyPEM(certificate)
	apps["tls"] = map[string]any{
		"certificates":          map[string]any{"load_pem": []any{map[string]any{"certificate": certificatePEM(certificate), "key": key}}},
		"disable_ocsp_stapling": true, "disable_storage_check": true, "disable_storage_clean": true,
	}
	return err
}

// servers are those of the rewritten configuration.
func (r *rewriting) servers() map[string]any {
	apps, _ := r.tree["apps"].(map[string]any)
	http, _ := apps["http"].(map[string]any)
	servers, _ := http["servers"].(map[string]any)
	return servers
}

// json is the rewritten configuration.
func (r *rewriting) json() ([]byte, error) { return json.Marshal(r.tree) }

// walk visits each object of a part of the configuration, with those that it is in.
func walk(node any, place string, above []map[string]any, visit func(place string, o map[string]any, above []map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(place, node, above)
		inside := append(above[:len(above):len(above)], node)
		for _, name := range slices.Sorted(maps.Keys(node)) {
			walk(node[name], strings.TrimPrefix(place+"/"+name, "/"), inside, visit)
		}
	case []any:
		for i, one := range node {
			walk(one, place+"/"+strconv.Itoa(i), above, visit)
		}
	}
}

// texts are the strings of a list.
func texts(part any) (list []string) {
	all, _ := part.([]any)
	for _, one := range all {
		if text, ok := one.(string); ok {
			list = append(list, text)
		}
	}
	return list
}

// objects are the objects of a list.
func objects(part any) (list []map[string]any) {
	all, _ := part.([]any)
	for _, one := range all {
		if o, ok := one.(map[string]any); ok {
			list = append(list, o)
		}
	}
	return list
}

// keep takes away all members that are not in a list, and notes each.
func (r *rewriting) keep(place string, o map[string]any, members ...string) {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(members, name) {
			r.instead(strings.TrimPrefix(place+"/"+name, "/"), "the option "+name, "nothing")
			delete(o, name)
		}
	}
}

// again reads a part of the tree as a type.
func again(part, into any) error {
	text, err := json.Marshal(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// NotKnownError is a part of the configuration of which it is not known whether it reaches
// something outside of this machine, and that cannot be left out.
type NotKnownError struct{ Place, What string }

func (e *NotKnownError) Error() string {
	return fmt.Sprintf("cannot run a selftest: %s at %s may reach other servers, and nothing is known that could take its place; take it away in a copy of the configuration", e.What, e.Place)
}
