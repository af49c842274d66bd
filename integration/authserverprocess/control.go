package authserverprocess

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Requests returns what the server was asked since its start or ResetRequests,
// in order of arrival.
func (p *Process) Requests(ctx context.Context) ([]Request, error) {
	var requests []Request
	err := p.control(ctx, http.MethodGet, "/requests", nil, &requests)
	for i := range requests {
		requests[i].Header = canonical(requests[i].Header) // Node keeps the sender's spelling
	}
	return requests, err
}

// RequestsTo returns those of Requests with this method ("" for any) and this text in their path.
func (p *Process) RequestsTo(ctx context.Context, method, pathContains string) ([]Request, error) {
	all, err := p.Requests(ctx)
	var matching []Request
	for _, r := range all {
		if (method == "" || r.Method == method) && strings.Contains(r.Path, pathContains) {
			matching = append(matching, r)
		}
	}
	return matching, err
}

// ResetRequests forgets the requests recorded so far.
func (p *Process) ResetRequests(ctx context.Context) error {
	return p.control(ctx, http.MethodPost, "/requests/reset", nil, nil)
}

// Clients returns the metadata of all dynamically registered clients, as the
// server stored them, with client_id.
func (p *Process) Clients(ctx context.Context) ([]map[string]any, error) {
	var clients []map[string]any
	err := p.control(ctx, http.MethodGet, "/clients", nil, &clients)
	return clients, err
}

// ChangeClient replaces members of the metadata that the server has of a client; without
// metadata it deletes the client. go-oidc alone can do it.
func (p *Process) ChangeClient(ctx context.Context, clientID string, metadata map[string]any) error {
	return p.control(ctx, http.MethodPost, "/clients/"+url.PathEscape(clientID), metadata, nil)
}

// Fault adds a fault. Of several that match a request the oldest happens.
func (p *Process) Fault(ctx context.Context, fault Fault) error {
	return p.control(ctx, http.MethodPost, "/faults", fault, nil)
}

// Hold holds the next request that matches, before or after the server has served it.
func (p *Process) Hold(ctx context.Context, method, pathContains string, after bool) error {
	return p.Fault(ctx, Fault{Method: method, PathContains: pathContains, After: after, Hold: true})
}

// WaitHeld returns when at least count requests are held at this moment. It waits two
// minutes, or until ctx ends.
func (p *Process) WaitHeld(ctx context.Context, count int) error {
	return p.control(ctx, http.MethodGet, "/faults/held?count="+strconv.Itoa(count), nil, nil)
}

// Release lets all held requests go on.
func (p *Process) Release(ctx context.Context) error {
	return p.control(ctx, http.MethodPost, "/faults/release", nil, nil)
}

// ResetFaults removes all faults and lets held requests go on.
func (p *Process) ResetFaults(ctx context.Context) error {
	return p.control(ctx, http.MethodPost, "/faults/reset", nil, nil)
}

// controlWithin bounds a call of the control listener, also one that waits for held requests.
const controlWithin = 2 * time.Minute

// controller keeps no connections: Node closes an idle one after five seconds, perhaps
// just when a request is on its way, which then has no answer.
var controller = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: controlWithin}

func (p *Process) control(ctx context.Context, method, path string, in, out any) error {
	if p.Control == "" {
		return fmt.Errorf("%s has no control listener: Config.Admin is off", p.Kind)
	}
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.Control+path, body)
	if err != nil {
		return err
	}
	response, err := controller.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w\n%s", p.Kind, method, path, err, p.Log())
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s %s: %s: %s", p.Kind, method, path, response.Status, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func canonical(header http.Header) http.Header {
	out := make(http.Header, len(header))
	for name, values := range header {
		for _, value := range values {
			out.Add(name, value)
		}
	}
	return out
}
