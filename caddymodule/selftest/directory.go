package selftest

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// keyServer publishes the keys of all throw-away directories and software.
type keyServer struct {
	ca *authority
	*listener

	mu   sync.Mutex
	sets map[string]jose.JSONWebKeySet
}

func newKeyServer(ca *authority) (*keyServer, error) {
	r := &keyServer{ca: ca, sets: map[string]jose.JSONWebKeySet{}}
	var err error
	r.listener, err = listen(ca, http.HandlerFunc(r.serve))
	return r, err
}

func (r *keyServer) serve(w http.ResponseWriter, q *http.Request) {
	set, ok := r.find(q.URL.Path)
	if !ok {
		http.NotFound(w, q)
		return
	}
	answer(w, http.StatusOK, set)
}

func (r *keyServer) find(path string) (set jose.JSONWebKeySet, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set, ok = r.sets[path]
	return set, ok
}

// publish puts a key set at a path, and returns its address.
func (r *keyServer) publish(path string, keys ...jose.JSONWebKey) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if keys == nil {
		keys = []jose.JSONWebKey{}
	}
	r.sets[path] = jose.JSONWebKeySet{Keys: keys}
	return r.url + path
}

// directory stands for a configured one: it has its issuer, and keys of its own.
type directory struct {
	*keyServer
	configured *caddymodule.SoftwareStatement
	signing    *signingKey
	address    string // of its keys
	// claims are the operator's, in place of the usual ones.
	claims map[string]any
	// issued is the iat of its statements.
	issued time.Time
}

// algorithmOf is the first of a list, or that of the Open Banking directory.
func algorithmOf(list []string) string {
	if len(list) > 0 {
		return list[0]
	}
	return "PS256"
}

func (r *keyServer) newDirectory(of *caddymodule.SoftwareStatement, claims map[string]any) (*directory, error) {
	key, err := newSigningKey(algorithmOf(of.Algorithms))
	if err != nil {
		return nil, err
	}
	d := &directory{keyServer: r, configured: of, signing: key, claims: claims, issued: time.Now().Add(-time.Minute)}
	d.address = r.publish("/"+key.id+"/directory.jwks", key.jwk())
	return d, nil
}

// software is what a TPP has enrolled.
type software struct {
	directory *directory
	id, org   string
	name      string
	signing   *signingKey
	transport *tls.Certificate
	dn        string // of the certificate
}

// redirectURI is that of all software.
const redirectURI = "https://tpp.selftest.example/callback"

// enrol makes software that signs with a key, and its certificate.
func (d *directory) enrol(name string, key *signingKey) (*software, error) {
	s := &software{directory: d, name: name, id: rand.Text()[:22], org: rand.Text()[:18], signing: key}
	if len(d.configured.OrgID) > 0 {
		s.org = d.configured.OrgID[0]
	}
	if id, ok := d.claims["org_id"].(string); ok {
		s.org = id
	}
	if id, ok := d.claims["software_id"].(string); ok {
		s.id = id
	}
	var err error
	if s.transport, err = s.certificate(d.ca, nil); err != nil {
		return nil, err
	}
	subject, err := dn.ParseSubject(s.transport.Leaf.RawSubject)
	if err != nil {
		return nil, err
	}
	s.dn = subject.PatternText()
	d.publish(s.path(""), key.jwk(), s.transportKey())
	d.publish(s.path("revoked/"))
	return s, nil
}

// certificate is one more for the same software, in all forms of bind_certificate.
func (s *software) certificate(from *authority, change func(*x509.Certificate)) (*tls.Certificate, error) {
	return from.client([]attribute{
		{country, "GB"}, {organization, "Selftest Ltd"}, {organizationalUnit, s.org},
		{organizationIdentifier, "PSDGB-OB-" + s.org}, {commonName, s.id},
	}, change)
}

func (s *software) transportKey() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.transport.Leaf.PublicKey, KeyID: s.id + "-tls", Use: "tls", Certificates: []*x509.Certificate{s.transport.Leaf}}
}

func (s *software) path(folder string) string { return "/" + s.org + "/" + folder + s.id + ".jwks" }

// statementClaims are those of a software statement, in the shape of the Open Banking
// directory's own.
func (s *software) statementClaims(roles []string) map[string]any {
	first := func(list []string, otherwise string) string {
		if len(list) > 0 {
			return list[0]
		}
		return otherwise
	}
	d := s.directory
	claims := map[string]any{
		"iss": d.configured.Issuer, "iat": d.issued.Unix(), "jti": uuid.NewString(),
		"software_id": s.id, "software_client_id": s.id, "software_client_name": s.name, "software_version": "1.0",
		"software_client_description": s.name, "software_environment": "sandbox", "software_client_uri": "https://tpp.selftest.example",
		"software_mode": first(d.configured.SoftwareMode, "Live"), "software_redirect_uris": []string{redirectURI}, "software_roles": roles,
		"software_logo_uri": "https://tpp.selftest.example/logo.png", "software_policy_uri": "https://tpp.selftest.example/policy", "software_tos_uri": "https://tpp.selftest.example/terms",
		"org_id": s.org, "org_name": "Selftest Ltd", "org_status": first(d.configured.OrgStatus, "Active"),
		"organisation_competent_authority_claims": map[string]any{
			"authority_id": "OBGBR", "registration_id": s.org, "status": "Active",
			"authorisations": []map[string]any{{"member_state": "GB", "roles": roles}},
		},
		"software_jwks_endpoint": d.url + s.path(""), "software_jwks_revoked_endpoint": d.url + s.path("revoked/"),
	}
	if claim := s.directory.claims; claim != nil {
		maps.Copy(claims, claim)
	}
	return claims
}

// keysAt are those of one of its addresses, for who is in this process.
func (r *keyServer) keysAt(address string) jose.JSONWebKeySet {
	set, _ := r.find(strings.TrimPrefix(address, r.url))
	return set
}

// answer writes JSON that no cache keeps.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever has asked may have gone
}
