package gateway

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// siteAnswer is an answer of the gateway's site. members are those of JSON.
type siteAnswer struct {
	status  int
	header  http.Header
	body    string
	members map[string]any
}

func (a *siteAnswer) String() string { return fmt.Sprintf("%d %v %s", a.status, a.header, a.body) }

// text is a member that is a string, else empty.
func (a *siteAnswer) text(name string) string {
	text, _ := a.members[name].(string)
	return text
}

// send sends a request with a certificate, nil for none.
func (s *stage) send(certificate *tls.Certificate, r *http.Request) *siteAnswer {
	s.t.Helper()
	res, err := s.client(certificate).Do(r)
	s.must(err)
	return s.readAnswer(res)
}

func (s *stage) readAnswer(res *http.Response) *siteAnswer {
	s.t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.must(err)
	a := &siteAnswer{status: res.StatusCode, header: res.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.members) // none of what is no JSON
	return a
}

// do sends a request that is written out; header in turn are names and values.
func (s *stage) do(certificate *tls.Certificate, method, url, body string, header ...string) *siteAnswer {
	s.t.Helper()
	fields := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		fields[header[i]] = append(fields[header[i]], header[i+1])
	}
	return s.doHeader(certificate, method, url, body, fields)
}

// doHeader is do with all fields as they are.
func (s *stage) doHeader(certificate *tls.Certificate, method, url, body string, header http.Header) *siteAnswer {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, reader)
	s.must(err)
	if header != nil {
		r.Header = header.Clone()
	}
	return s.send(certificate, r)
}

// raw sends bytes over a connection of their own with a certificate, and reads one answer;
// an error is a connection that the server has ended.
func (s *stage) raw(certificate *tls.Certificate, method, text string) (*siteAnswer, error) {
	s.t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: stageTimeout}, "tcp", s.https.Listener.Addr().String(), s.tlsConfig(certificate))
	s.must(err)
	return s.over(conn, method, text)
}

// over is raw on a connection that is open, and closes it.
func (s *stage) over(conn net.Conn, method, text string) (*siteAnswer, error) {
	s.t.Helper()
	defer conn.Close()
	s.must(conn.SetDeadline(time.Now().Add(stageTimeout)))
	_, err := io.WriteString(conn, text)
	s.must(err)
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.t.Fatalf("%.100q: no answer within %s", text, stageTimeout)
	case err != nil:
		return nil, err
	}
	return s.readAnswer(res), nil
}

// registrationToken is a new token that registers once.
func (s *stage) registrationToken() string {
	return s.as.issue(map[string]any{"client_id": "registrar", "scope": "dcr_register"})
}

// clientToken is a new token of a client, bound to the certificate of its software.
func (s *stage) clientToken(id string, tpp *software) string {
	return s.as.issue(map[string]any{"client_id": id, "scope": "accounts", "cnf": map[string]any{"x5t#S256": tpp.thumbprint()}})
}

// dcr sends a signed body, or none, with a token in a request of a TPP.
func (s *stage) dcr(tpp *software, method, address, token, body string) *siteAnswer {
	s.t.Helper()
	return s.do(&tpp.transport, method, address, body, "Authorization", "Bearer "+token, "Content-Type", "application/jose")
}

// register registers a client of a TPP with these changes of its request.
func (s *stage) register(tpp *software, changes map[string]any) *siteAnswer {
	s.t.Helper()
	return s.dcr(tpp, http.MethodPost, stageRegister, s.registrationToken(), tpp.request(changes))
}

// registered is a new client of a TPP, and a token of its own.
func (s *stage) registered(tpp *software, changes map[string]any) (id, token string) {
	s.t.Helper()
	a := s.register(tpp, changes)
	if a.status != http.StatusCreated {
		s.t.Fatalf("registration: %s\n%s", a, s.log)
	}
	return a.text("client_id"), s.clientToken(a.text("client_id"), tpp)
}

// form sends one to an endpoint where clients authenticate.
func (s *stage) form(certificate *tls.Certificate, path, form string, header ...string) *siteAnswer {
	s.t.Helper()
	return s.do(certificate, http.MethodPost, stageSite+path, form, append(header, "Content-Type", formType)...)
}

// TestRegistrationLifeCycle: a TPP registers, gets a token, reads, replaces and ends its registration.
func TestRegistrationLifeCycle(t *testing.T) {
	s := newStage(t, nil)
	id, token := s.registered(s.acme, nil)
	one := stageRegister + "/" + id
	if a := s.form(&s.acme.transport, tokenPath, "grant_type=client_credentials&client_id="+id); a.status != http.StatusOK || a.text("access_token") == "" {
		t.Errorf("token: %s", a)
	}
	for _, c := range []struct {
		method, body string
		status       int
	}{
		{http.MethodGet, "", http.StatusOK}, {http.MethodPut, s.acme.request(nil), http.StatusOK}, {http.MethodDelete, "", http.StatusNoContent}, {http.MethodGet, "", http.StatusUnauthorized},
	} {
		if a := s.dcr(s.acme, c.method, one, token, c.body); a.status != c.status {
			t.Errorf("%s: %s, want %d", c.method, a, c.status)
		}
	}
}
