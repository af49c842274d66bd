package gateway

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// withCRL is a handler with one list, and what reads another one.
type withCRL struct {
	*whole
	ca  *crltest.Authority
	use func([]byte) error
}

func newWithCRL(t *testing.T, mode string) *withCRL {
	t.Helper()
	w := newWhole(t, nil)
	w.options.Explain, w.options.CRLStrict = true, mode == "strict"
	w.options.CRLs = crl.NewSet(crl.Options{Log: w.Gateway.log, Now: w.now})
	return &withCRL{whole: w, ca: crltest.New(t, time.Now(), "CA", nil, nil), use: w.options.CRLs.AddFile("issuing.crl")}
}

// everywhere sends the client's requests, and returns the status of each.
func (w *withCRL) everywhere(client *x509.Certificate) map[string]*httptest.ResponseRecorder {
	answers := map[string]*httptest.ResponseRecorder{}
	for what, r := range map[string]*http.Request{
		"token":         tokenRequest(nil, "client_id=client&grant_type=client_credentials"),
		"elsewhere's":   tokenRequest(nil, "client_id=elsewhere"),
		"userinfo":      to(me, "Bearer", "t"),
		"credential":    to(credential, "Bearer", "t"),
		"authorization": httptest.NewRequest("GET", "/default/obuk/auth?client_id=client", nil),
		"register":      httptest.NewRequest("POST", "/default/obuk/register", strings.NewReader("x")),
		"read":          httptest.NewRequest("GET", "/default/obuk/register/client", nil),
		"update":        httptest.NewRequest("PUT", "/default/obuk/register/client", strings.NewReader("x")),
		"delete":        httptest.NewRequest("DELETE", "/default/obuk/register/client", nil),
	} {
		if strings.HasPrefix(r.URL.Path, "/default/obuk/register") {
			r.Header.Set("Content-Type", "application/jose")
		}
		r.TLS = w.ca.Chain(client)
		answers[what] = w.serve(r)
	}
	return answers
}

func isRegistration(what string) bool {
	return what == "register" || what == "read" || what == "update" || what == "delete"
}

// TestRevokedCertificate: a revoked certificate is none anywhere, also where requests of it
// were let through before, and the AS is not handed it.
func TestRevokedCertificate(t *testing.T) {
	w := newWithCRL(t, "")
	w.must(w.use(w.ca.List(nil, 1)))
	good, revoked := w.ca.Client(2), w.ca.Client(1)
	check := func(state string, client *x509.Certificate, is bool) {
		t.Helper()
		for what, answer := range w.everywhere(client) {
			body := answer.Body.String()
			if refused := answer.Code == 401 && strings.Contains(body, "client certificate: revoked by the CA that issued it"); refused != is {
				t.Errorf("%s, %s: %d %s, want it refused as revoked: %t", state, what, answer.Code, body, is)
			}
			if !is {
				continue
			}
			if !strings.Contains(body, `"error":"invalid_client"`) || answer.Header().Get(interactionID) == "" {
				t.Errorf("%s, %s: %v %s, want invalid_client with a support code", state, what, answer.Header(), body)
			}
			if isRegistration(what) != strings.HasPrefix(answer.Header().Get("WWW-Authenticate"), "Bearer realm=") && what != "userinfo" && what != "credential" {
				t.Errorf("%s, %s: %v, want a Bearer challenge: %t", state, what, answer.Header(), isRegistration(what))
			}
		}
	}
	before := counterValue(t, revokedCertificates.WithLabelValues(w.ws.Name))
	check("revoked", revoked, true)
	if n := counterValue(t, revokedCertificates.WithLabelValues(w.ws.Name)) - before; n != 9 {
		t.Errorf("%v counted", n)
	}
	check("another", good, false)
	check("another once more", good, false)
	w.must(w.use(w.ca.List(w.ca.Numbered(8, time.Minute), 1, 2)))
	w.log.Reset()
	check("revoked meanwhile", good, true)
	for _, text := range []string{"serial 2 of CN=CA is on the CRL issuing.crl (number 8, issued ", "rule=crl"} {
		if n := strings.Count(w.log.String(), text); n != 9 {
			t.Errorf("the log says %d times: %s", n, text)
		}
	}
}

// TestNoCurrentCRL: soft lets through and warns once for each change, strict answers that
// it cannot tell now. What is on an old list was revoked.
func TestNoCurrentCRL(t *testing.T) {
	ended := func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(-time.Minute) }
	for _, mode := range []string{"", "soft", "strict"} {
		t.Run(mode, func(t *testing.T) {
			w := newWithCRL(t, mode)
			unchecked := func(state string, client *x509.Certificate) {
				t.Helper()
				for what, answer := range w.everywhere(client) {
					told := answer.Code == 503 && strings.Contains(answer.Body.String(), "cannot tell now whether it was revoked") && answer.Header().Get("Retry-After") == "60"
					if told != (mode == "strict") {
						t.Errorf("%q, %s, %s: %d %s, want it refused: %t", mode, state, what, answer.Code, answer.Body, mode == "strict")
					}
				}
			}
			said := func(state, text string, times int) {
				t.Helper()
				if n := strings.Count(w.log.String(), text); n != times {
					t.Errorf("%q, %s: said %d times, not %d: %s\n%s", mode, state, n, times, text, w.log)
				}
			}
			const warning = "level=WARN msg=\"cannot check whether client certificates of a CA are revoked"
			client := w.ca.Client(2)
			outcome := map[string]string{"strict": "refused"}[mode]
			counted := uncheckedCertificates.WithLabelValues(w.ws.Name, cmp.Or(outcome, "passed"))
			before := counterValue(t, counted)
			unchecked("no list", client)
			if n := counterValue(t, counted) - before; n != 9 {
				t.Errorf("%q: %v counted", mode, n)
			}
			said("no list", warning, 1)
			w.must(w.use(w.ca.List(ended, 1)))
			unchecked("an old list", client)
			unchecked("an old list", client)
			said("an old list", warning, 2)
			if got := w.everywhere(w.ca.Client(1))["token"]; got.Code != 401 || !strings.Contains(got.Body.String(), "revoked by") {
				t.Errorf("%q: on an old list: %d %s", mode, got.Code, got.Body)
			}
			w.must(w.use(w.ca.List(w.ca.Numbered(8, time.Minute), 1)))
			if got := w.everywhere(client)["token"]; got.Code != 200 {
				t.Errorf("%q: a current list: %d %s", mode, got.Code, got.Body)
			}
			said("a current list", "can check again whether client certificates of a CA are revoked", 1)
			said("a current list", warning, 2)
			if mode == "strict" {
				return
			}
			if n := strings.Count(w.log.String(), "crl=\"serial 2 of CN=CA: the CRL of its issuer has ended\""); n == 0 {
				t.Errorf("the lines of requests do not say what was not checked:\n%s", w.log)
			}
		})
	}
}

// TestRevokedBehindALoadBalancer: so is a certificate that a trusted proxy hands on, with the
// chain that the gateway has verified.
func TestRevokedBehindALoadBalancer(t *testing.T) {
	w := newWithCRL(t, "strict")
	w.must(w.use(w.ca.List(nil, 1)))
	header, err := verify.NewCertificateHeader(verify.FormRFC9440, "")
	w.must(err)
	roots := x509.NewCertPool()
	roots.AddCert(w.ca.Certificate)
	w.options.ProxyCertificate, err = NewProxyCertificate(header, roots)
	w.must(err)
	w.options.Headers.Add(header.Names()...)
	w.options.Headers.FromProxy, w.host.trusted = true, true
	ask := func(client *x509.Certificate) *httptest.ResponseRecorder {
		r := tokenRequest(nil, "client_id=client&grant_type=client_credentials")
		for pairs := header.Write(client.Raw); len(pairs) > 0; pairs = pairs[2:] {
			r.Header[pairs[0]] = pairs[1:2]
		}
		answer := httptest.NewRecorder()
		w.next = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		w.ServeHTTP(answer, ofHost(r))
		return answer
	}
	for range 2 {
		if got := ask(w.ca.Client(2)); got.Code != 200 {
			t.Errorf("%d %s, want 200", got.Code, got.Body)
		}
		if got := ask(w.ca.Client(1)); got.Code != 401 || !strings.Contains(got.Body.String(), "revoked by the CA") {
			t.Errorf("revoked: %d %s", got.Code, got.Body)
		}
	}
}

// TestUncheckedCertificateIsNotForwarded: where there are CRLs, a certificate that counts for nobody,
// and so was held against none, does not reach the AS.
func TestUncheckedCertificateIsNotForwarded(t *testing.T) {
	w := newWithCRL(t, "")
	w.must(w.use(w.ca.List(nil, 1)))
	w.options.CertificateHeader = verify.CertificateHeader{Form: verify.FormRFC9440, Name: "Client-Cert"}
	for name, c := range map[string]struct {
		cert *x509.Certificate
		want bool
	}{"a client's": {w.ca.Client(2), true}, "a CA's own": {w.ca.Certificate, false}} {
		for what, r := range map[string]*http.Request{
			"token": tokenRequest(nil, "client_id=elsewhere"), "authorization": httptest.NewRequest("GET", "/default/obuk/auth?client_id=elsewhere", nil),
		} {
			r.TLS = w.ca.Chain(c.cert)
			answer := w.serve(r)
			if answer.Code != 200 || w.passed == nil || (w.passed.Header["Client-Cert"] != nil) != c.want {
				t.Errorf("%s, %s: %d %s, passed on %v", name, what, answer.Code, answer.Body, w.passed)
			}
		}
	}
}

// TestRevokedInTheJWKS: a certificate that the software has published for later counts no
// more than one that is presented.
func TestRevokedInTheJWKS(t *testing.T) {
	for mode, want := range map[string][3]string{"soft": {"", "revoked by the CA", ""}, "strict": {"", "revoked by the CA", "cannot tell now"}} {
		t.Run(mode, func(t *testing.T) {
			w := newWithCRL(t, mode)
			w.must(w.use(w.ca.List(nil, 1)))
			w.options.Trust = func(*http.Request) (*verify.TransportTrust, error) {
				return &verify.TransportTrust{Roots: x509.NewCertPool()}, nil
			}
			d := w.registering(httptest.NewRequest("POST", "/", nil))
			trust, err := d.publishedTrust()
			w.must(err)
			other := crltest.New(t, time.Now(), "another CA", nil, nil)
			for i, c := range []*verify.Certificate{
				{Leaf: w.ca.Client(2), Authorities: []*x509.Certificate{w.ca.Certificate}}, {Leaf: w.ca.Client(1), Authorities: []*x509.Certificate{w.ca.Certificate}},
				{Leaf: other.Client(1), Authorities: []*x509.Certificate{other.Certificate}},
			} {
				err := trust.Revoked(c)
				if (err != nil) != (want[i] != "") || err != nil && !strings.Contains(err.Error(), want[i]) {
					t.Errorf("certificate %d: %v, want %q", i+1, err, want[i])
				}
			}
		})
	}
}

// TestExplainRevoked: caddy dcr explain tells it too, and where nobody is asked that it is
// not known.
func TestExplainRevoked(t *testing.T) {
	w := newWithCRL(t, "")
	w.must(w.use(w.ca.List(nil, 1)))
	step := func(client *x509.Certificate) trace.Step {
		t.Helper()
		r := httptest.NewRequest("POST", "/default/obuk/register", strings.NewReader("x"))
		r.TLS = w.ca.Chain(client)
		d := w.registering(r)
		d.record()
		err := d.certificate()
		for _, s := range registry.Explain("", "", time.Now(), d.request.trace.Trace, err).Steps {
			if s.Rule == verify.RuleCRL {
				return s
			}
		}
		t.Fatal("no step")
		return trace.Step{}
	}
	if s := step(w.ca.Client(1)); s.Verdict != trace.Refused || !strings.Contains(s.Reason, "serial 1 of CN=CA is on the CRL issuing.crl") {
		t.Errorf("%+v, want a refusal because of serial 1", s)
	}
	if s := step(w.ca.Client(2)); s.Verdict != trace.Passed {
		t.Errorf("%+v, want it passed", s)
	}
	other := &withCRL{whole: w.whole, ca: crltest.New(t, time.Now(), "another CA", nil, nil)}
	w.ca = other.ca
	if s := step(w.ca.Client(2)); s.Verdict != trace.Unknown || !strings.Contains(s.Reason, "no CRL of its issuer; crl_mode soft lets it through") {
		t.Errorf("%+v, want it unknown, let through by crl_mode soft", s)
	}
}

// TestExplainRevokedAtTheEndpoints: with explain on the steps of the guard end with the list.
func TestExplainRevokedAtTheEndpoints(t *testing.T) {
	w := newWithCRL(t, "")
	w.must(w.use(w.ca.List(nil, 1)))
	now, err := w.current(t.Context())
	w.must(err)
	for what, of := range map[purpose]*http.Request{clientAuthentication: tokenRequest(nil, "client_id=client"), endpoint: to(me, "Bearer", "t")} {
		of.TLS = w.ca.Chain(w.ca.Client(1))
		answer := httptest.NewRecorder()
		q := w.newRequest(answer, of, now, what)
		next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it goes on") })
		if what == endpoint {
			q.serveEndpoint(next, now.checksAt(me))
		} else {
			q.serveGuarded(next)
		}
		steps := registry.Explain("", "", time.Now(), q.trace.Trace, errors.New("refused")).Steps
		last := steps[len(steps)-1]
		if answer.Code != 401 || last.Step != "client_certificate" || last.Rule != verify.RuleCRL || !strings.Contains(string(last.Input), "issuing.crl") {
			t.Errorf("%d, %+v; want 401 by the CRL issuing.crl", answer.Code, last)
		}
	}
}

// BenchmarkCheckRevoked is what the guard does more with a CRL, and without one.
func BenchmarkCheckRevoked(b *testing.B) {
	ca := crltest.New(b, time.Now(), "CA", nil, nil)
	cert, err := verify.CaptureCertificate(ca.Chain(ca.Client(1)), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for name, lists := range map[string][]byte{"off": nil, "on": ca.List(nil, 2, 3)} {
		h := &Gateway{log: slog.New(slog.DiscardHandler)}
		if lists != nil {
			h.options.CRLs = crl.NewSet(crl.Options{})
			if err := h.options.CRLs.AddFile("a.crl")(bytes.Clone(lists)); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if unchecked, err := h.checkRevoked(b.Context(), cert); unchecked != nil || err != nil {
					b.Fatalf("unchecked %v, %v; want a check that passes", unchecked, err)
				}
			}
		})
	}
}

func counterValue(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
