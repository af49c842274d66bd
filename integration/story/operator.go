package story

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// adminClient bounds each call of the admin API: a call may wait for the AS. It keeps no
// connections: a reload replaces the admin API's server too.
var adminClient = &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

// Operator asks the gateway's admin API.
func (s *Stage) Operator(ctx context.Context, method, call, body string) (status int, answer []byte, err error) {
	status, _, answer, err = s.OperatorWithTag(ctx, method, call, body, "")
	return status, answer, err
}

// Change makes a change of a resource of the admin API, clients/<client_id> for instance, as it
// is now. resource is percent-encoded.
func (s *Stage) Change(ctx context.Context, resource, change, reason string) (status int, answer []byte, err error) {
	status, tag, answer, err := s.OperatorWithTag(ctx, http.MethodGet, resource, "", "")
	if err != nil || status != http.StatusOK {
		return status, answer, err
	}
	body, err := json.Marshal(map[string]string{"reason": reason, "operator": "Anna"})
	if err != nil {
		return 0, nil, err
	}
	status, _, answer, err = s.OperatorWithTag(ctx, http.MethodPost, resource+"/"+change, string(body), tag)
	return status, answer, err
}

// OperatorWithTag is Operator that sends If-Match where match is an entity tag. tag is that of
// the answer.
func (s *Stage) OperatorWithTag(ctx context.Context, method, call, body, match string) (status int, tag string, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.admin+"/openbanking_dcr/"+call, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	res, err := adminClient.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, res.Header.Get("Etag"), answer, err
}
