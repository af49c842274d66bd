package main

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// mount is where glewlwyd serves its endpoints. It serves an instance of its
// plugin at {external URL}/{API prefix}/{name of the instance}, its own API
// beside it. Prefix and name are parts of the issuer's path, so all that it says
// of itself, also in what it signs, is under the issuer with nothing rewritten.
type mount struct {
	external string // https://localhost:8443
	api      string // default
	instance string // obuk
}

func mountAt(issuer string) (mount, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return mount{}, err
	}
	m := mount{external: u.Scheme + "://" + u.Host, api: strings.Trim(path.Dir(u.Path), "/"), instance: path.Base(u.Path)}
	if m.api == "" || m.path() != u.Path {
		return mount{}, fmt.Errorf("issuer %q: glewlwyd needs a path of at least two segments", issuer)
	}
	return m, nil
}

// path is that of the issuer.
func (m mount) path() string { return "/" + m.api + "/" + m.instance }
