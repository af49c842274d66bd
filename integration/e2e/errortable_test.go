package e2e_test

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// row is a refusal as the error table has it.
type row struct {
	status int
	code   string
	// challenge is what follows the realm in WWW-Authenticate of a 401 and 403.
	challenge string
	// says begins the error_description.
	says string
}

// The rows that tests need again and again.
const (
	tokenInvalid = `, error="invalid_token"`
	scopeMissing = `, error="insufficient_scope", scope="dcr_register"`
)

var (
	noCertificate = row{401, "invalid_client", "", "client certificate: none that a trusted CA issued"}
	noToken       = row{401, "invalid_token", "", "access token: missing"}
	notYours      = row{401, "invalid_token", tokenInvalid, "access token: not valid for this registration"}
	tooLarge      = row{413, "invalid_request", "", "the registration request is larger than the 65536 bytes"}
	wrongType     = row{415, "invalid_request", "", "Content-Type: "}
	notFound      = row{404, "invalid_request", "", "nothing is served at this address"}
	notAvailable  = row{503, "temporarily_unavailable", "", ""}
)

// isIn holds that an answer is exactly this row of the error table, with every
// header that belongs to it and no other, and with a text that is fit for a TPP.
func (w row) isIn(p *story.Play, r *tpp.Response, err error) error {
	if err != nil {
		return err
	}
	want := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "Content-Length": strconv.Itoa(len(r.Body))}
	if w.status == 401 || w.status == 403 {
		want["WWW-Authenticate"] = `Bearer realm="` + p.Issuer + `"` + w.challenge
	}
	var errs []error
	if r.Status != w.status || r.Text("error") != w.code || !strings.HasPrefix(r.Text("error_description"), w.says) {
		errs = append(errs, fmt.Errorf("want %d %s %q", w.status, w.code, w.says))
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "Pragma", "WWW-Authenticate", "Content-Length"} {
		if got := strings.Join(r.Header.Values(name), "|"); got != want[name] {
			errs = append(errs, fmt.Errorf("%s is %q, want %q", name, got, want[name]))
		}
	}
	wait, noWait := strconv.Atoi(r.Header.Get("Retry-After"))
	if (noWait == nil && wait > 0) != (w.status == 503) {
		errs = append(errs, fmt.Errorf("Retry-After is %q", r.Header.Get("Retry-After")))
	}
	if (r.Header.Get("Allow") != "") != (w.status == 405) {
		errs = append(errs, fmt.Errorf("Allow is %q", r.Header.Get("Allow")))
	}
	if len(r.JSON) != 2 {
		errs = append(errs, errors.New("other members than error and error_description"))
	}
	errs = append(errs, hasSupportCode(r), fitForTPPs(p, r.Text("error_description")))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\n%s", err, r)
	}
	return nil
}

func hasSupportCode(r *tpp.Response) error {
	codes := r.Header.Values("x-fapi-interaction-id")
	if len(codes) != 1 || len(codes[0]) != 36 || uuid.Validate(codes[0]) != nil {
		return fmt.Errorf("x-fapi-interaction-id is %q, want one", codes)
	}
	return nil
}

// fitForTPPs holds a description against what no TPP may be told.
func fitForTPPs(p *story.Play, text string) error {
	if text == "" || len(text) > 500 {
		return fmt.Errorf("error_description of %d bytes", len(text))
	}
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' { // RFC 6749 5.2
			return fmt.Errorf("error_description has %q", c)
		}
	}
	never := append(p.Secrets(), "goroutine ", ".go:", "127.0.0.1", "::1", "dial tcp", p.Dir)
	for _, address := range []string{p.AS.URL(), p.Directory.URL} {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		never = append(never, u.Host)
	}
	for _, key := range p.Acme.JWKS().Keys {
		raw, err := key.MarshalJSON()
		if err != nil {
			return err
		}
		if _, n, ok := strings.Cut(string(raw), `"n":"`); ok {
			never = append(never, n[:40])
		}
	}
	for _, word := range never {
		if strings.Contains(text, word) {
			return fmt.Errorf("error_description tells %.20q", word)
		}
	}
	return nil
}
