// Package jwks is the one way out: a bounded, address-checked http client, and
// the cached key sources that run on it. Every URL that a TPP can influence is
// fetched here and nowhere else.
package jwks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Defaults of Options.
const (
	DefaultTimeout  = 5 * time.Second
	DefaultMaxBytes = 512 << 10
)

// Options are the bounds of a Client. The zero value is the strict one.
type Options struct {
	// Roots verify the servers. Default: the system's.
	Roots *x509.CertPool
	// Certificate gives what authenticates the gateway to servers that ask for that, for
	// each new connection. Default: none.
	Certificate func() *tls.Certificate
	// Header is sent with every request: for servers of one operator only. Default: none.
	Header map[string]string
	// PrivateRanges allows loopback, private and link-local addresses: for URLs
	// that the operator wrote, or test directories. Default: false.
	PrivateRanges bool
	// PlainHTTP allows http beside https: for answers whose own signature is verified, and
	// which everybody may read. Default: false.
	PlainHTTP bool
	// Timeout of one exchange, connection and body included. Default: DefaultTimeout.
	Timeout time.Duration
	// MaxBytes of one answer. Default: DefaultMaxBytes.
	MaxBytes int64
	// MaxConnections to one host. Default: 0, no limit.
	MaxConnections int
	// LeftOut is told of keys that a JWKS of a Source has, and that do not count. It must
	// return at once. Default: nobody is told.
	LeftOut func(url string, keys []verify.LeftOut)
	// Proxy is the only way to all servers. It looks their names up, so that their
	// addresses are not checked: ProxyHosts are the hosts (lower case) that it is asked
	// for, at port 443. Default: none, the servers are dialled; no host.
	Proxy      *Proxy
	ProxyHosts []string
}

// Client makes bounded https requests, over HTTP/1.1: on kept connections to one
// host it costs less than HTTP/2, and a lost answer is one request's. It follows
// no redirect to another origin, uses no proxy of the environment, and checks
// every address at dial time, after DNS: a name that changes its mind is no way in.
type Client struct {
	http     *http.Client
	dialer   *net.Dialer
	header   map[string]string
	maxBytes int64
	leftOut  func(url string, keys []verify.LeftOut) // nil for nobody
	proxied  bool
	plain    bool
}

// Response is a whole answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// ErrAddress is in the chain of every refusal to dial an address.
var ErrAddress = errors.New("address is not public")

// What is in the chain of an error about an answer that came and that no repetition mends.
var (
	ErrRedirect = errors.New("redirects")
	ErrTooLong  = errors.New("is longer than")
)

// NewClient makes a Client.
func NewClient(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	config := &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}
	if o.Certificate != nil {
		config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if own := o.Certificate(); asked.SupportsCertificate(own) == nil {
				return own, nil
			}
			return new(tls.Certificate), nil // none, as crypto/tls does
		}
	}
	dialer := &net.Dialer{Timeout: o.Timeout}
	dial := dialer.DialContext
	if o.Proxy != nil {
		// Less than the whole, so that the error says what took the time.
		dial = (&tunnels{Proxy: o.Proxy, hosts: o.ProxyHosts, dialer: dialer, within: o.Timeout * 4 / 5}).dial
	} else if !o.PrivateRanges {
		dialer.Control = publicOnly
	}
	return &Client{
		header:   o.Header,
		maxBytes: o.MaxBytes,
		leftOut:  o.LeftOut,
		plain:    o.PlainHTTP,
		dialer:   dialer,
		proxied:  o.Proxy != nil,
		http: &http.Client{
			Timeout:       o.Timeout,
			CheckRedirect: sameOrigin,
			Transport: &http.Transport{
				DialContext:            dial,
				DisableCompression:     true, // unpacking has no bound on what arrives, and none on its work
				TLSClientConfig:        config,
				TLSHandshakeTimeout:    o.Timeout,
				ResponseHeaderTimeout:  o.Timeout,
				MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConnsPerHost:    64,
				MaxConnsPerHost:        o.MaxConnections,
				IdleConnTimeout:        idleFor,
			},
		},
	}
}

// idleFor is less than servers wait before they close a connection (Node.js 5 s). A
// request that meets the close gets no answer, and of a registration nobody knows then
// whether it was carried out.
const idleFor = 4 * time.Second

// Do sends the request and reads the whole answer. An answer of any status is
// no error; one that is compressed is. One that breaks off or is longer than MaxBytes is an
// error too, beside which there is what was read of it.
func (c *Client) Do(r *http.Request) (*Response, error) {
	if r.URL.Scheme != "https" && !(c.plain && r.URL.Scheme == "http") {
		return nil, fmt.Errorf("%s: only https is spoken", r.URL.Redacted())
	}
	if res, err := answered(r); res != nil || err != nil {
		return res, err
	}
	r.Header.Set("Accept-Encoding", "identity")
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if encoding := res.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, fmt.Errorf("the answer of %s is encoded, which it was not asked to be", r.URL.Redacted())
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxBytes+1))
	answer := &Response{Status: res.StatusCode, Header: res.Header, Body: body}
	if err != nil {
		return answer, fmt.Errorf("reading the answer of %s: %w", r.URL.Redacted(), err)
	}
	if int64(len(body)) > c.maxBytes {
		return answer, fmt.Errorf("the answer of %s %w %d bytes", r.URL.Redacted(), ErrTooLong, c.maxBytes)
	}
	return answer, nil
}

// Get fetches a URL; every status but 200 is an error.
func (c *Client) Get(ctx context.Context, url string) (*Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	res, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	if res.Status != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", r.URL.Redacted(), res.Status)
	}
	return res, nil
}

// Proxied tells whether there is a proxy on the way to the servers.
func (c *Client) Proxied() bool { return c.proxied }

// CloseIdle closes connections that wait for another request.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

func sameOrigin(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return fmt.Errorf("%w to another origin", ErrRedirect)
	}
	if len(via) > 3 {
		return fmt.Errorf("%w too often", ErrRedirect)
	}
	return nil
}

// publicOnly is asked with the address that is really dialled.
func publicOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrAddress, address)
	}
	if !Public(ap.Addr()) {
		return fmt.Errorf("%w: %s", ErrAddress, ap.Addr())
	}
	return nil
}

// global is all of IPv6 that IANA has given out for everybody. Outside of it are, among
// others, the ranges that wrap an IPv4 address for a translator.
var global = netip.MustParsePrefix("2000::/3")

// special are the ranges of the IANA special-purpose registries that global and
// netip's own predicates leave, and those that wrap an IPv4 address.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

// Public tells whether an address is reachable for everybody: not loopback, not
// private, not link-local, not any other special range.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.Zone() != "" || a.Is6() && !global.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
