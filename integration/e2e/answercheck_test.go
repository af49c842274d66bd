package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/contract"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// official are the official files by version, read once; none where they are not
// beside the repository.
var official = sync.OnceValues(func() (map[string]*contract.Specification, error) {
	files := map[string]*contract.Specification{}
	for _, version := range contract.Versions {
		s, err := contract.Open(specifications(), version)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[version] = s
	}
	return files, nil
})

// everyAnswer holds each answer of the registration endpoint against what holds of
// all of them, and against the official file of the version that its path names,
// whatever the test asked for it for. It may be used at once.
type everyAnswer struct {
	files map[string]*contract.Specification

	mu         sync.Mutex
	violations []string
}

// watch is an everyAnswer that tells at the end of the test what it saw.
func watch(t *testing.T) *everyAnswer {
	t.Helper()
	files, err := official()
	if err != nil {
		t.Fatal(err)
	}
	e := &everyAnswer{files: files}
	t.Cleanup(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		slices.Sort(e.violations)
		for _, v := range slices.Compact(e.violations) {
			t.Error(v)
		}
	})
	return e
}

// registration is the spelling of its addresses that is the gateway's.
var registration = regexp.MustCompile(`^` + story.Prefix + `/openbankinguk/dcr/v(3\.[0-9])/register(?:/([^/]+))?$`)

func (e *everyAnswer) check(request *http.Request, r *tpp.Response) {
	path := request.URL.EscapedPath()
	match := registration.FindStringSubmatch(path)
	// With Via it is the AS's own: the Caddyfile of the test has another register_path.
	if match == nil || r.Header.Get("Via") != "" {
		return
	}
	a := contract.Answer{Method: request.Method, Client: match[2], Status: r.Status, Header: r.Header, Body: r.Body}
	found := contract.Always(a)
	if file := e.files[match[1]]; file != nil {
		found = append(found, file.Check(a)...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range found {
		e.violations = append(e.violations, fmt.Sprintf("an answer of %s: %s", strings.TrimSuffix(path, match[2]), v))
	}
}
