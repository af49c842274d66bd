package selftest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Each call, and each wait for a place at the rate limit, is bounded.
const (
	callTimeout = 30 * time.Second
	longestWait = 30 * time.Second
	maxAnswer   = 1 << 20
)

// call is a request to a site.
type call struct {
	method, path string
	host         string           // Default: the workspace's, for clients with certificates
	certificate  *tls.Certificate // nil: none
	header       http.Header
	body         []byte
	// raw is sent as it is, in place of all of that but host and certificate.
	raw string
	// server is its name in the configuration. Default: the workspace's.
	server string
}

// reply is what came of a call.
type reply struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
	// handshake is why the connection was refused; nil where it was not.
	handshake error
}

func (r *reply) text(name string) string {
	text, _ := r.json[name].(string)
	return text
}

// clients are those of a play, by their certificates.
type clients struct {
	run    *rewriting
	header *verify.CertificateHeader // in which a load balancer would hand certificates on
	kept   map[clientOf]*http.Client
}

type clientOf struct {
	certificate  *tls.Certificate
	server, host string
}

// errAnswer is a connection without an answer.
var errAnswer = errors.New("no answer")

// do makes a call. The error is about the connection: every status is an answer.
func (c *clients) do(ctx context.Context, q call) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+2*longestWait)
	defer cancel()
	for waited := 0; ; waited++ {
		r, err := c.once(ctx, q)
		if err != nil || r.status != http.StatusTooManyRequests || waited == 2 {
			return r, err
		}
		seconds, _ := strconv.Atoi(r.header.Get("Retry-After"))
		wait := min(time.Duration(max(seconds, 1))*time.Second, longestWait)
		select {
		case <-ctx.Done():
			return r, nil
		case <-time.After(wait):
		}
	}
}

// once makes a call, whatever the rate limit says.
func (c *clients) once(ctx context.Context, q call) (*reply, error) {
	if q.raw != "" {
		return c.sendRaw(ctx, q)
	}
	scheme := map[bool]string{false: "https://", true: "http://"}[c.run.plain[q.server]]
	request, err := http.NewRequestWithContext(ctx, q.method, scheme+q.host+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	if len(q.body) == 0 {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	for name, values := range q.header {
		request.Header[name] = values
	}
	if c.header != nil && q.certificate != nil {
		request.Header[c.header.Name] = c.header.Write(q.certificate.Leaf.Raw)[1:2]
	}
	response, err := c.client(q).Do(request)
	if err != nil {
		return c.failed(ctx, q, err)
	}
	return readReply(response)
}

func readReply(response *http.Response) (*reply, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	r := &reply{status: response.StatusCode, header: response.Header, body: body}
	if json.Unmarshal(body, &r.json) != nil {
		r.json = nil
	}
	return r, nil
}

// failed tells a handshake that the server has refused from a connection without an answer.
// In TLS 1.3 a client learns of the refusal of its certificate only when it reads: where the
// request was written before, another connection shows it.
func (c *clients) failed(ctx context.Context, q call, cause error) (*reply, error) {
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case isAlert(cause):
		return &reply{handshake: cause}, nil
	case q.certificate == nil || c.run.plain[q.server]:
		return nil, errors.Join(errAnswer, cause)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: c.tlsConfig(q)}).DialContext(ctx, "tcp", c.address(q))
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(handshakeTimeout)) // a connection that is gone says so below
		_, err = conn.Read(make([]byte, 1))
	}
	if isAlert(err) {
		return &reply{handshake: err}, nil
	}
	return nil, errors.Join(errAnswer, cause)
}

// handshakeTimeout bounds the wait for an alert.
const handshakeTimeout = 5 * time.Second

func isAlert(err error) bool {
	alert := tls.AlertError(0)
	return errors.As(err, &alert) || err != nil && strings.Contains(err.Error(), "remote error: tls:")
}

func (c *clients) tlsConfig(q call) *tls.Config {
	// Whose certificate it is counts, and not for which name: sites are asked for hosts too
	// that are not theirs.
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: q.host, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: c.run.ca.pool()})
		return err
	}}
	if q.certificate != nil && c.header == nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return q.certificate, nil }
	}
	return config
}

func (c *clients) address(q call) string { return "127.0.0.1:" + strconv.Itoa(c.run.ports[q.server]) }

func (c *clients) client(q call) *http.Client {
	of := clientOf{q.certificate, q.server, q.host}
	if known := c.kept[of]; known != nil {
		return known
	}
	client := &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: c.tlsConfig(q), DisableCompression: true, MaxIdleConnsPerHost: 1,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", c.address(q))
			},
		},
	}
	c.kept[of] = client
	return client
}

// sendRaw writes bytes, and reads one answer.
func (c *clients) sendRaw(ctx context.Context, q call) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := c.dial(ctx, q)
	if err != nil {
		return c.failed(ctx, q, err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection that is gone says so below
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	if c.header != nil && q.certificate != nil {
		at := strings.Index(q.raw, "\r\n") + 2
		q.raw = q.raw[:at] + strings.Join(c.header.Write(q.certificate.Leaf.Raw)[:2], ": ") + "\r\n" + q.raw[at:]
	}
	if _, err := io.WriteString(conn, q.raw); err != nil {
		return c.failed(ctx, q, err)
	}
	method, _, _ := strings.Cut(q.raw, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return c.failed(ctx, q, err)
	}
	return readReply(response)
}

// dial connects for HTTP/1.1.
func (c *clients) dial(ctx context.Context, q call) (net.Conn, error) {
	if c.run.plain[q.server] {
		return new(net.Dialer).DialContext(ctx, "tcp", c.address(q))
	}
	config := c.tlsConfig(q)
	config.NextProtos = []string{"http/1.1"}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", c.address(q))
}

func (c *clients) close() {
	for _, one := range c.kept {
		one.CloseIdleConnections()
	}
}
