package tpp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxAnswer bounds an answer's body in bytes: more is an error.
const maxAnswer = 4 << 20

// ClientOptions of a Client.
type ClientOptions struct {
	// Roots that the servers are verified with. Default: the system's.
	Roots *x509.CertPool
	// Certificate is presented whenever a server asks for one, whether or not its
	// list of authorities suits. Default: none.
	Certificate *tls.Certificate
	// Address is dialled in place of every URL's host, for sites with names that
	// do not resolve. The name is still what is verified. Default: the URL's host.
	Address string
	// HTTP2 speaks HTTP/2 where the server does. Default: HTTP/1.1.
	HTTP2 bool
	// NoKeepAlive makes a connection for each request. Default: connections are kept.
	NoKeepAlive bool
	// Connections are kept per host, at most. Default: 64.
	Connections int
	// Timeout of a request with its answer. Default: 30 s.
	Timeout time.Duration
	// Answered is given every answer that was read to its end, possibly several at
	// once. Default: nobody is.
	Answered func(*http.Request, *Response)
}

// Client is an http client over mTLS. It follows no redirects, keeps no cookies
// and adds no headers of its own. It may be used at once.
type Client struct {
	// HTTP does the requests.
	HTTP *http.Client

	answered func(*http.Request, *Response)
}

// NewClient makes a client. Close it when connections are kept.
func NewClient(options ClientOptions) *Client {
	config := &tls.Config{RootCAs: options.Roots, MinVersion: tls.VersionTLS12}
	if c := options.Certificate; c != nil {
		// Not Certificates: a Go client silently sends none of those when the
		// server's list of authorities does not hold the issuer.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	transport := &http.Transport{
		TLSClientConfig:     config,
		ForceAttemptHTTP2:   options.HTTP2,
		DisableKeepAlives:   options.NoKeepAlive,
		MaxIdleConnsPerHost: cmp.Or(options.Connections, 64),
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // what was sent is what is returned
	}
	if options.Address != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, options.Address)
		}
	}
	return &Client{answered: options.Answered, HTTP: &http.Client{
		Transport:     transport,
		Timeout:       cmp.Or(options.Timeout, 30*time.Second),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Client is a client with the software's transport certificate.
func (s *Software) Client(options ClientOptions) *Client {
	options.Certificate = &s.Transport
	return NewClient(options)
}

// Close closes connections that are kept and idle.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }

// A Response is an answer that was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// JSON is Body when it is a JSON object, else nil.
	JSON map[string]any
}

// String is what a failed test shows.
func (r *Response) String() string { return fmt.Sprintf("%d %v\n%s", r.Status, r.Header, r.Body) }

// Text is a string member of JSON, "" when there is none.
func (r *Response) Text(name string) string {
	text, _ := r.JSON[name].(string)
	return text
}

// Do sends a request with exactly these headers (beside Host, Content-Length and
// what net/http adds). A nil body sends none. The error is about the connection:
// every status is an answer.
func (c *Client) Do(ctx context.Context, method, url string, header http.Header, body []byte) (*Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values // not canonical if the test wants so
	}
	return c.Send(request)
}

// Send sends a request and reads the answer.
func (c *Client) Send(request *http.Request) (*Response, error) {
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", request.Method, request.URL.Path, err)
	}
	if len(raw) > maxAnswer {
		return nil, errors.New("the answer is larger than 4 MiB")
	}
	out := &Response{Status: response.StatusCode, Header: response.Header, Body: raw}
	if err := json.Unmarshal(raw, &out.JSON); err != nil {
		out.JSON = nil
	}
	if c.answered != nil {
		c.answered(request, out)
	}
	return out, nil
}

// Discover gets a discovery document; issuer is the issuer's URL.
func (c *Client) Discover(ctx context.Context, issuer string) (*Response, error) {
	return c.Do(ctx, http.MethodGet, issuer+"/.well-known/openid-configuration", nil, nil)
}

// Register posts a registration request (application/jose). token is the
// dcr_register access token, "" for none.
func (c *Client) Register(ctx context.Context, endpoint, token, jws string) (*Response, error) {
	return c.Do(ctx, http.MethodPost, endpoint, signedBody(token), []byte(jws))
}

// Read gets a registration. token is one of the client's own.
func (c *Client) Read(ctx context.Context, endpoint, clientID, token string) (*Response, error) {
	return c.Do(ctx, http.MethodGet, endpoint+"/"+url.PathEscape(clientID), bearer(token), nil)
}

// Update puts a registration request in place of the one registered.
func (c *Client) Update(ctx context.Context, endpoint, clientID, token, jws string) (*Response, error) {
	return c.Do(ctx, http.MethodPut, endpoint+"/"+url.PathEscape(clientID), signedBody(token), []byte(jws))
}

// Delete deletes a registration.
func (c *Client) Delete(ctx context.Context, endpoint, clientID, token string) (*Response, error) {
	return c.Do(ctx, http.MethodDelete, endpoint+"/"+url.PathEscape(clientID), bearer(token), nil)
}

func bearer(token string) http.Header {
	header := http.Header{"Accept": {"application/json"}}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return header
}

func signedBody(token string) http.Header {
	header := bearer(token)
	header.Set("Content-Type", "application/jose")
	return header
}
