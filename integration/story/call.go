package story

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// Call is one request of the story: it can be made, and shown as the curl
// command that makes it with the files of the stage.
type Call struct {
	Method string // Default: GET
	URL    string
	// As presents the transport certificate of this software; nil presents none.
	As *tpp.Software
	// Token is sent as a bearer token, ID and Secret as HTTP Basic.
	Token      string
	ID, Secret string
	// Form is sent as a form, Body as ContentType (default application/jose).
	Form        url.Values
	Body        string
	ContentType string
	Header      http.Header
}

// header are the headers of the call, in the order that curl shows.
func (c *Call) header() (names []string, values []string) {
	add := func(name, value string) { names, values = append(names, name), append(values, value) }
	if c.Body != "" {
		t := c.ContentType
		if t == "" {
			t = "application/jose"
		}
		add("Content-Type", t)
	}
	if c.Token != "" {
		add("Authorization", "Bearer "+c.Token)
	}
	for name, list := range c.Header {
		for _, v := range list {
			add(name, v)
		}
	}
	return names, values
}

// Make makes the call.
func (s *Stage) Make(ctx context.Context, c Call) (*tpp.Response, error) {
	client := s.anonymous
	if c.As != nil {
		client = s.clients[c.As.SoftwareID]
	}
	header := http.Header{}
	names, values := c.header()
	for i, name := range names {
		header[name] = append(header[name], values[i])
	}
	var body []byte
	switch {
	case c.Form != nil:
		header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		body = []byte(c.Form.Encode())
	case c.Body != "":
		body = []byte(c.Body)
	}
	if c.ID != "" {
		header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+url.QueryEscape(c.Secret)))}
	}
	method := c.Method
	if method == "" {
		method = http.MethodGet
	}
	return client.Do(ctx, method, c.URL, header, body)
}

// Curl is the command. A body is written into the stage's folder first.
func (s *Stage) Curl(c Call) (string, error) {
	b := []string{"curl -i --cacert ca.pem"}
	if c.As != nil {
		b = append(b, fmt.Sprintf("--cert %s/transport.pem --key %[1]s/transport.key", c.As.SoftwareID))
	}
	if c.Method != "" && c.Method != http.MethodGet && (c.Method != http.MethodPost || c.Form == nil && c.Body == "") {
		b = append(b, "-X "+c.Method)
	}
	if c.ID != "" {
		b = append(b, "-u "+gateway.Quote(c.ID+":"+c.Secret))
	}
	names, values := c.header()
	for i, name := range names {
		b = append(b, "-H "+gateway.Quote(name+": "+values[i]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Form)) {
		for _, v := range c.Form[name] {
			b = append(b, "--data-urlencode "+gateway.Quote(name+"="+v))
		}
	}
	if c.Body != "" {
		s.bodies++
		name := fmt.Sprintf("body-%02d", s.bodies)
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(c.Body), 0o644); err != nil {
			return "", err
		}
		b = append(b, "--data-binary @"+name)
	}
	if strings.Contains(c.URL, "/./") || strings.Contains(c.URL, "/..") || strings.Contains(c.URL, "//default") {
		b = append(b, "--path-as-is")
	}
	return strings.Join(append(b, gateway.Quote(c.URL)), " "), nil
}
