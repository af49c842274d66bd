package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// configuration is what is looked at: the text as it was written, in JSON, and what Caddy
// has made of it.
type configuration struct {
	text       []byte
	tree       map[string]any
	workspaces []*workspace
	// global are the options of the global option openbanking_dcr.
	global caddymodule.App
	// app is nil where the configuration does not load, because of failed.
	app    *caddymodule.App
	failed error
}

// workspace is a directive openbanking_dcr as it was written.
type workspace struct {
	*caddymodule.Handler
	place, server string
	hosts         []string
	// proxies are the reverse_proxy of the same site.
	proxies []proxy
}

// proxy is a reverse_proxy.
type proxy struct {
	place  string
	object map[string]any
}

// parse reads the JSON.
func parse(text []byte) (*configuration, error) {
	c := &configuration{text: text}
	if err := json.Unmarshal(text, &c.tree); err != nil {
		return nil, err
	}
	if err := again(at(c.tree, "apps/openbanking_dcr"), &c.global); err != nil {
		return nil, fmt.Errorf("apps/openbanking_dcr: %w", err)
	}
	var err error
	walk(c.tree, "", nil, func(place string, o map[string]any, above []map[string]any) {
		if o["handler"] != "openbanking_dcr" || err != nil {
			return
		}
		w := &workspace{Handler: new(caddymodule.Handler), place: place, hosts: hostsOf(above)}
		if err = again(o, w.Handler); err != nil {
			err = fmt.Errorf("%s: %w", place, err)
			return
		}
		w.fill()
		if parts := strings.Split(place, "/"); len(parts) > 3 {
			w.server = strings.Join(parts[:4], "/")
		}
		c.workspaces = append(c.workspaces, w)
	})
	for _, w := range c.workspaces {
		walk(at(c.tree, w.server), w.server, nil, func(place string, o map[string]any, above []map[string]any) {
			if o["handler"] == "reverse_proxy" && slices.Equal(hostsOf(above), w.hosts) {
				w.proxies = append(w.proxies, proxy{place, o})
			}
		})
	}
	return c, err
}

// fill makes what a configuration that does not load may lack.
func (w *workspace) fill() {
	if w.AuthorizationServer == nil {
		w.AuthorizationServer = new(caddymodule.AuthorizationServer)
	}
	if w.AuthorizationServer.Provision == nil {
		w.AuthorizationServer.Provision = new(caddymodule.Provision)
	}
}

// again reads a part of the tree as a type.
func again(part, into any) error {
	if part == nil {
		return nil
	}
	text, err := json.Marshal(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// walk visits each object of a part of the configuration, with those that it is in.
func walk(node any, place string, above []map[string]any, visit func(place string, o map[string]any, above []map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(place, node, above)
		inside := append(above[:len(above):len(above)], node)
		for _, name := range slices.Sorted(maps.Keys(node)) {
			walk(node[name], join(place, name), inside, visit)
		}
	case []any:
		for i, one := range node {
			walk(one, join(place, strconv.Itoa(i)), above, visit)
		}
	}
}

func join(place, name string) string { return strings.TrimPrefix(place+"/"+name, "/") }

// at is the part at a place, nil for none.
func at(node any, place string) any {
	for name := range strings.SplitSeq(place, "/") {
		switch in := node.(type) {
		case map[string]any:
			node = in[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			node = in[i]
		default:
			return nil
		}
	}
	return node
}

// hostsOf are the hosts that the routes around something match.
func hostsOf(above []map[string]any) (hosts []string) {
	for _, o := range above {
		sets, _ := o["match"].([]any)
		for _, set := range sets {
			hosts = append(hosts, texts(at(set, "host"))...)
		}
	}
	return hosts
}

// texts are the strings of a list, or the one string.
func texts(part any) (list []string) {
	switch part := part.(type) {
	case string:
		return []string{part}
	case []any:
		for _, one := range part {
			if text, ok := one.(string); ok {
				list = append(list, text)
			}
		}
	}
	return list
}
