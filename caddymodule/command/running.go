package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
)

// registrations is one page of the running gateway's.
func registrations(address, workspace, cursor string) ([]admin.Registration, string, error) {
	q := url.Values{"workspace": {workspace}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return entries[admin.Registration](address, "registrations", q)
}

// entries asks the running gateway for a page of a list.
func entries[T any](address, list string, q url.Values) (page []T, next string, err error) {
	res, err := caddycmd.AdminAPIRequest(address, http.MethodGet, "/openbanking_dcr/"+list+"?"+q.Encode(), nil, nil)
	if err != nil {
		return nil, "", noAnswer(address, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return nil, "", err
	}
	var answer struct {
		Entries []T    `json:"entries"`
		Next    string `json:"next"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, "", fmt.Errorf("the gateway's answer: %w", err)
	}
	return answer.Entries, answer.Next, nil
}

// maxPage bounds an answer in bytes: a hundred registrations have 14 MB at most.
const maxPage = 64 << 20

// noAnswer is Caddy's error in words for operators: what the gateway says, or where to
// look for it.
func noAnswer(address string, err error) error {
	_, answer, answered := strings.Cut(err.Error(), "caddy responded with error: HTTP ")
	if !answered {
		return fmt.Errorf("the gateway's admin API at %s does not answer: %w; give its address with --address, or its configuration with --config", address, err)
	}
	status, body, _ := strings.Cut(answer, ": ")
	var says struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(body), &says) == nil && says.Error != "" {
		return fmt.Errorf("the gateway says: %s", says.Error)
	}
	return fmt.Errorf("the admin API at %s answers with HTTP %s, as if it was of no gateway with openbanking_dcr; give the gateway's with --address or --config", address, status)
}
