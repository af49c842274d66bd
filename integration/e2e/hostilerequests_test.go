package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// codes are all error codes that a registration endpoint may answer.
var codes = map[int]string{
	400: "invalid_client_metadata invalid_redirect_uri invalid_software_statement unapproved_software_statement",
	401: "invalid_client invalid_token", 403: "insufficient_scope access_denied",
	404: "invalid_request", 405: "invalid_request", 413: "invalid_request", 415: "invalid_request",
}

// refusedProperly holds that an answer is a row of the error table, with all that
// belongs to it.
func refusedProperly(r *tpp.Response) error {
	code := r.Text("error")
	switch {
	case code == "" || !strings.Contains(" "+codes[r.Status]+" ", " "+code+" "):
		return fmt.Errorf("not in the error table: %s", r)
	case r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Pragma") != "no-cache":
		return fmt.Errorf("headers: %s", r)
	case r.Header.Get("X-Fapi-Interaction-Id") == "":
		return fmt.Errorf("no support code: %s", r)
	case len(r.Text("error_description")) == 0 || len(r.Text("error_description")) > 500:
		return fmt.Errorf("error_description of %d bytes: %s", len(r.Text("error_description")), r)
	case (r.Status == 401 || r.Status == 403) != strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer realm="):
		return fmt.Errorf("challenge: %s", r)
	case r.Status == 405 && r.Header.Get("Allow") == "":
		return fmt.Errorf("no Allow: %s", r)
	}
	return nil
}

// TestHostileRequests: nothing that a client with a valid certificate and a valid
// token sends is answered otherwise than from the error table, and nothing of it
// stays.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{gateway.Unlimited}}))
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := p.Client(p.Acme)
	send := func(method, url string, header http.Header, body string) {
		t.Helper()
		r, err := client.Do(t.Context(), method, url, header, []byte(body))
		if err == nil {
			err = errors.Join(refusedProperly(r), fitForTPPs(p, r.Text("error_description")))
		}
		if err != nil {
			t.Errorf("%s %s %.60q %v: %v", method, url, body, header, err)
		}
	}
	jose := func(extra ...string) http.Header {
		h := http.Header{"Content-Type": {"application/jose"}, "Authorization": {"Bearer " + token}}
		for i := 0; i < len(extra); i += 2 {
			h[extra[i]] = append(h[extra[i]], extra[i+1])
		}
		return h
	}
	plain := func(name, value string) http.Header {
		h := jose()
		h[name] = []string{value}
		return h
	}
	parts := strings.Split(body, ".")

	for _, b := range []string{
		"", ".", "..", "...", "a.b.c", "{}", "null", "[]", body + ".", "." + body, body + "=", body + "\n\n", " " + body,
		parts[0] + ".." + parts[2], parts[0] + "." + parts[1] + ".", "eyJhbGciOiJub25lIn0." + parts[1] + ".", parts[1] + "." + parts[1] + "." + parts[2],
		strings.Repeat("[", 60000), strings.Repeat(".", 60000), strings.Repeat("\x00", 100), "\xff\xfe" + body, strings.Repeat("A", 64<<10), strings.Repeat("A", 64<<10+1),
	} {
		send(http.MethodPost, p.Register, jose(), b)
	}
	for _, h := range []http.Header{
		plain("Content-Type", "text/plain"), plain("Content-Type", ""), plain("Content-Type", "application/jose, application/json"), plain("Content-Type", "application/jose; ;;"),
		jose("Content-Type", "application/jose"), jose("Content-Encoding", "gzip"),
		plain("Authorization", ""), plain("Authorization", "Bearer"), plain("Authorization", "Bearer "), plain("Authorization", "Basic "+token), plain("Authorization", "Bearer "+token+" x"),
		plain("Authorization", "Bearer "+strings.Repeat("a", 9000)), plain("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."), plain("Authorization", "Bearer \x80"),
		jose("Authorization", "Bearer "+token), plain("Authorization", "DPoP "+token),
	} {
		send(http.MethodPost, p.Register, h, body)
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD2", "post"} {
		send(method, p.Register, jose(), body)
	}
	id, err := p.RegisterAnother(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nobody", "%2e%2e", "..%2f", "a/b", "%00", strings.Repeat("a", 7000), url.PathEscape("ü"), "*", "%zz"[:1] + "25zz", id + "/", id + "/x", id + ";x", strings.ToUpper(id), "%" + fmt.Sprintf("%02x", id[0]) + id[1:]} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			send(method, p.Register+"/"+name, jose(), body)
		}
	}
	for _, method := range []string{"POST", "PATCH", "OPTIONS"} {
		send(method, p.Register+"/"+id, jose(), body)
	}
	// The registrar's token is no management token of anybody.
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		send(method, p.Register+"/"+id, jose(), body)
	}
	// Tried on a client, the registrar's token has ended; the request has not.
	if token, _, err = p.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same every time
	for range 400 {
		mutated := []byte(body)
		for range 1 + random.IntN(3) {
			at := random.IntN(len(mutated))
			switch random.IntN(3) {
			case 0:
				mutated[at] ^= 1 << random.IntN(7)
			case 1:
				mutated = append(mutated[:at], mutated[at+1:]...)
			case 2:
				mutated = append(mutated[:at], append([]byte{byte(random.IntN(128))}, mutated[at:]...)...)
			}
		}
		if string(mutated) != body && string(mutated) != body+"\n" && string(mutated) != body+"\r\n" {
			send(http.MethodPost, p.Register, jose(), string(mutated))
		}
	}
	if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 {
		t.Errorf("%d clients at the authorization server, %v, want one", len(clients), err)
	}
	r, err := client.Register(t.Context(), p.Register, token, body)
	if err != nil || r.Status != http.StatusCreated {
		t.Errorf("the token or the request was burnt: %v, %v, want 201", r, err)
	}
}
