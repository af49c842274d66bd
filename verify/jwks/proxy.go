package jwks

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Proxy is a forward proxy. A Client has it make a tunnel to each server (CONNECT, RFC 9110
// 9.3.6) and speaks TLS with the server within: the proxy learns host and port, no more.
type Proxy struct {
	// URL is http or https, a host and perhaps a port, nothing else.
	URL *url.URL
	// Roots verify the certificate of an https proxy. Default: the system's.
	Roots *x509.CertPool
	// User and Password authenticate the gateway to the proxy (RFC 7617). Default: nobody.
	User, Password string
}

// Bounds of a tunnel.
const (
	// maxConnectAnswer is the size of the proxy's answer to CONNECT, in bytes.
	maxConnectAnswer = 16 << 10
	// proxyPort is the only one that a proxy is asked for: with another one a URL of a
	// TPP could reach services of the proxy's own network.
	proxyPort = "443"
)

// ErrTarget is in the chain of every refusal to ask a proxy for a server.
var ErrTarget = errors.New("the proxy is not asked for this server")

// ProxyError is why a proxy has made no tunnel.
type ProxyError struct {
	// Proxy is its URL, without credentials. Target is the server's host and port.
	Proxy, Target string
	// Status is what it answered to CONNECT, 0 for nothing that can be read. Err says
	// why then.
	Status int
	Err    error
}

func (e *ProxyError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("the proxy %s answered %d %s to CONNECT %s", e.Proxy, e.Status, http.StatusText(e.Status), e.Target)
	}
	return fmt.Sprintf("the proxy %s: %v", e.Proxy, e.Err)
}

func (e *ProxyError) Unwrap() error { return e.Err }

// CheckProxyHost refuses what is no name of the DNS in lower case. The proxy looks names
// up, so that no address is checked: one that is written as a name, in any spelling that a
// resolver may know (127.1, 0x7f000001), and the proxy's own machine must not be.
func CheckProxyHost(host string) error {
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return fmt.Errorf("%w: %.80q is not a host name (lower case, ASCII, no address)", ErrTarget, host)
		}
	}
	last := labels[len(labels)-1]
	hex, isHex := strings.CutPrefix(last, "0x")
	switch {
	case strings.Trim(last, "0123456789") == "", isHex && strings.Trim(hex, "0123456789abcdef") == "": // URL Standard, ends in a number
		return fmt.Errorf("%w: %.80q is an address; only host names are looked up there", ErrTarget, host)
	case last == "localhost":
		return fmt.Errorf("%w: %.80q is the proxy's own machine", ErrTarget, host)
	case len(host) > 253:
		return fmt.Errorf("%w: its name is longer than 253 characters", ErrTarget)
	}
	return nil
}

// CheckProxyTarget refuses URLs that are not fetched through a proxy: by host or by port.
func CheckProxyTarget(u *url.URL) error {
	if port := u.Port(); port != "" && port != proxyPort {
		return fmt.Errorf("%w: port %s, only %s is asked for", ErrTarget, port, proxyPort)
	}
	return CheckProxyHost(strings.ToLower(u.Hostname()))
}

// tunnels dials servers of some hosts through a proxy.
type tunnels struct {
	*Proxy
	hosts  []string
	dialer *net.Dialer
	within time.Duration
}

// dial makes the tunnel to a server. It is asked with what will be connected to, after
// every other reading of a URL: what is not an allowed host goes into no request.
func (t *tunnels) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTarget, err)
	}
	host = strings.ToLower(host)
	if err := CheckProxyTarget(&url.URL{Host: net.JoinHostPort(host, port)}); err != nil {
		return nil, err
	}
	if !slices.Contains(t.hosts, host) {
		return nil, fmt.Errorf("%w: host %s is not allowed", ErrTarget, host)
	}
	ctx, cancel := context.WithTimeout(ctx, t.within)
	defer cancel()
	failed := ProxyError{Proxy: t.URL.Redacted(), Target: net.JoinHostPort(host, port)}
	conn, err := t.reach(ctx)
	if err != nil {
		failed.Err = err
		return nil, &failed
	}
	if failed.Status, failed.Err = t.connect(conn, failed.Target); failed.Status != 0 || failed.Err != nil {
		conn.Close()
		return nil, &failed
	}
	return conn, nil
}

// reach is a connection to the proxy, with the deadline of ctx.
func (t *tunnels) reach(ctx context.Context) (net.Conn, error) {
	port := t.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[t.URL.Scheme]
	}
	conn, err := t.dialer.DialContext(ctx, "tcp", net.JoinHostPort(t.URL.Hostname(), port))
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	err = conn.SetDeadline(deadline)
	if err == nil && t.URL.Scheme == "https" {
		over := tls.Client(conn, &tls.Config{ServerName: t.URL.Hostname(), RootCAs: t.Roots, MinVersion: tls.VersionTLS12})
		err = over.HandshakeContext(ctx)
		conn = over
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// connect asks for the tunnel. The status is 0 where there is one, and where there is an error.
func (t *tunnels) connect(conn net.Conn, target string) (status int, err error) {
	request := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if t.User != "" || t.Password != "" {
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(t.User+":"+t.Password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return 0, err
	}
	bounded := &io.LimitedReader{R: conn, N: maxConnectAnswer}
	answer := bufio.NewReader(bounded)
	for status < 200 { // interim answers may come first (RFC 9110 15.2)
		res, err := http.ReadResponse(answer, &http.Request{Method: http.MethodConnect})
		switch failed := net.Error(nil); {
		case err != nil && bounded.N == 0:
			return 0, fmt.Errorf("its answer to CONNECT is longer than %d bytes", maxConnectAnswer)
		case errors.As(err, &failed):
			return 0, err
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return 0, errors.New("it closed the connection before it answered CONNECT")
		case err != nil: // whose text has what was sent
			return 0, errors.New("it answers CONNECT with something else than HTTP")
		}
		status = res.StatusCode
	}
	switch {
	case status >= 300:
		return status, nil
	case answer.Buffered() > 0:
		return 0, errors.New("it sent more than an answer to CONNECT, where the server was to be asked first")
	}
	return 0, conn.SetDeadline(time.Time{})
}
