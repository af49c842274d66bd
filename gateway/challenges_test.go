package gateway

import (
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// managing are the methods by which clients manage their registrations.
var managing = []string{http.MethodGet, http.MethodPut, http.MethodDelete}

// The rows of whoever lacks a certificate or a token.
var (
	noCertificate = errorRow{http.StatusUnauthorized, "invalid_client", "", "client certificate: none that a trusted CA issued"}
	noToken       = errorRow{http.StatusUnauthorized, "invalid_token", "", "access token: missing"}
	badAccess     = errorRow{http.StatusUnauthorized, "invalid_token", `, error="invalid_token"`, "access token: "}
	notYoursRow   = errorRow{http.StatusUnauthorized, "invalid_token", `, error="invalid_token"`, "access token: not valid for this registration"}
)

// TestChallenges: which 401 or 403 a request gets for its token, and what its
// WWW-Authenticate says, letter for letter.
func TestChallenges(t *testing.T) {
	s := newStage(t, nil)
	id, own := s.registered(s.acme, nil)
	token, body := s.registrationToken(), s.acme.request(nil)
	used := s.registrationToken()
	if a := s.dcr(s.acme, http.MethodPost, stageRegister, used, s.acme.request(nil)); a.status != http.StatusCreated {
		t.Fatalf("registration: %s, want 201", a)
	}
	lacksScope := errorRow{http.StatusForbidden, "insufficient_scope", `, error="insufficient_scope", scope="dcr_register"`, "access token: it lacks the scope dcr_register"}
	again := s.acme.request(nil)
	for _, c := range []struct {
		name          string
		authorization []string
		register      errorRow // of no status: not asked
		manage        errorRow
	}{
		{"no header", nil, noToken, noToken},
		{"empty header", []string{""}, badAccess, notYoursRow},
		{"scheme alone", []string{"Bearer"}, badAccess, notYoursRow},
		{"empty token", []string{"Bearer "}, badAccess, notYoursRow},
		{"unknown token", []string{"Bearer nobody-knows-it"}, badAccess, notYoursRow},
		{"JWT of somebody else", []string{"Bearer eyJhbGciOiJQUzI1NiJ9.e30.c2ln"}, badAccess, notYoursRow},
		{"Basic", []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("registrar:guess"))}, badAccess, notYoursRow},
		{"another scheme", []string{"DPoP " + token}, badAccess, notYoursRow},
		{"two headers", []string{"Bearer " + token, "Bearer " + own}, badAccess, notYoursRow},
		{"used up", []string{"Bearer " + used}, badAccess, notYoursRow},
		{"without the scope", []string{"Bearer " + own}, lacksScope, errorRow{}},
		{"with the scope", []string{"Bearer " + s.registrationToken()}, errorRow{}, notYoursRow},
	} {
		header := []string{"Content-Type", "application/jose"}
		for _, value := range c.authorization {
			header = append(header, "Authorization", value)
		}
		t.Run(c.name, func(t *testing.T) {
			if c.register.status != 0 {
				if err := c.register.check(s, s.do(&s.acme.transport, http.MethodPost, stageRegister, again, header...)); err != nil {
					t.Errorf("POST: %v", err)
				}
			}
			for _, method := range managing {
				if c.manage.status == 0 {
					continue
				}
				if err := c.manage.check(s, s.do(&s.acme.transport, method, stageRegister+"/"+id, again, header...)); err != nil {
					t.Errorf("%s: %v", method, err)
				}
			}
		})
	}
	// In the form of RFC 6750 2.3 a token is none.
	if err := noToken.check(s, s.do(&s.acme.transport, http.MethodGet, stageRegister+"/"+id+"?access_token="+own, "")); err != nil {
		t.Errorf("in the address: %v", err)
	}
	// Beside the header it is in two places.
	if err := badAccess.check(s, s.dcr(s.acme, http.MethodPost, stageRegister+"?access_token="+token, token, body)); err != nil {
		t.Errorf("in the address too: %v", err)
	}
	if a := s.dcr(s.acme, http.MethodPost, stageRegister, token, body); a.status != http.StatusCreated {
		t.Errorf("the good token: %s, want 201", a)
	}
	if a := s.dcr(s.acme, http.MethodGet, stageRegister+"/"+id, own, ""); a.status != http.StatusOK {
		t.Errorf("the client's own token: %s, want 200", a)
	}
}

// TestUnknownClientsAreIndistinguishable: an unknown client, somebody else's, a deleted one and one that cannot be
// are answered alike, to the last byte of header and body, for every method; and so is the
// right one with another certificate or another token.
func TestUnknownClientsAreIndistinguishable(t *testing.T) {
	s := newStage(t, nil)
	mine, own := s.registered(s.acme, nil)
	foreign, _ := s.registered(s.acme, nil)
	deleted, ended := s.registered(s.acme, nil)
	if a := s.dcr(s.acme, http.MethodDelete, stageRegister+"/"+deleted, ended, ""); a.status != http.StatusNoContent {
		t.Fatalf("deletion: %s, want 204", a)
	}
	body := s.acme.request(nil)
	// A token that was tried on another client is refused from then on: a new one each time.
	newToken := map[string]func() string{
		"mine": func() string { return s.clientToken(mine, s.acme) }, "foreign": func() string { return s.clientToken(foreign, s.acme) },
		"ended": func() string { return ended }, "nobody's": func() string { return "nobody-knows-it" }, "registrar's": s.registrationToken,
	}
	for _, method := range managing {
		alike := ""
		for _, c := range []struct {
			name, id, token string
			as              *software
		}{
			{"unknown", "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11", "mine", s.acme},
			{"somebody else's", foreign, "mine", s.acme},
			{"deleted, its own token", deleted, "ended", s.acme},
			{"deleted, another's token", deleted, "mine", s.acme},
			{"no id of this server", "nobody", "mine", s.acme},
			{"in capitals", strings.ToUpper(mine), "mine", s.acme},
			{"with a blank", mine + "%20", "mine", s.acme},
			{"not UTF-8", "%FF%FE", "mine", s.acme},
			{"very long", strings.Repeat("a", 5000), "mine", s.acme},
			{"markup", url.PathEscape("<script>"), "mine", s.acme},
			{"another certificate", mine, "mine", s.other},
			{"another token", mine, "foreign", s.acme},
			{"a token of nobody", mine, "nobody's", s.acme},
			{"a registration token", mine, "registrar's", s.acme},
		} {
			a := s.dcr(c.as, method, stageRegister+"/"+c.id, newToken[c.token](), body)
			if err := notYoursRow.check(s, a); err != nil {
				t.Errorf("%s, %s: %v", method, c.name, err)
				continue
			}
			for _, name := range []string{"Date", interactionID} {
				a.header.Del(name)
			}
			if alike == "" {
				alike = a.String()
			}
			if got := a.String(); got != alike {
				t.Errorf("%s, %s: got\n%s\nwant, as for an unknown client\n%s", method, c.name, got, alike)
			}
		}
	}
	if a := s.dcr(s.acme, http.MethodGet, stageRegister+"/"+mine, own, ""); a.status != http.StatusOK {
		t.Errorf("the client itself: %s, want 200", a)
	}
}

// TestNoCertificate: without a client certificate, or with one that was not verified, every
// method of a registration is 401 invalid_client, whatever the token; discovery needs none.
func TestNoCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		mode    tls.ClientAuthType
		present func(*stage) *tls.Certificate
	}{
		"none":                            {tls.VerifyClientCertIfGiven, func(*stage) *tls.Certificate { return nil }},
		"of another directory":            {tls.RequestClientCert, func(s *stage) *tls.Certificate { return &s.stranger.transport }},
		"the right one, but not verified": {tls.RequestClientCert, func(s *stage) *tls.Certificate { return &s.acme.transport }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(s *stage, _ *Options, _ *authserver.Options) { s.https.TLS.ClientAuth = c.mode })
			certificate, body, id := c.present(s), s.acme.request(nil), uuid.NewString()
			for method, at := range map[string]string{http.MethodPost: stageRegister, http.MethodGet: stageRegister + "/" + id, http.MethodPut: stageRegister + "/" + id, http.MethodDelete: stageRegister + "/" + id} {
				for what, token := range map[string]string{"a good token": s.registrationToken(), "a client's token": s.clientToken(id, s.acme), "a token of nobody": "nobody-knows-it", "no token": ""} {
					header := []string{"Content-Type", "application/jose"}
					if token != "" {
						header = append(header, "Authorization", "Bearer "+token)
					}
					if err := noCertificate.check(s, s.do(certificate, method, at, body, header...)); err != nil {
						t.Errorf("%s with %s: %v", method, what, err)
					}
				}
			}
			if a := s.do(certificate, http.MethodGet, stageIssuer+"/.well-known/openid-configuration", ""); a.status != http.StatusOK {
				t.Errorf("discovery: %s, want 200", a)
			}
		})
	}
}
