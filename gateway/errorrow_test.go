package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// errorRow is an answer of the error table.
type errorRow struct {
	status int
	code   string
	// challenge is what follows the realm in WWW-Authenticate of a 401 and 403.
	challenge string
	// says begins the error_description.
	says string
}

// check holds that an answer is exactly this row, with every header that belongs to it and
// no other, and with a text that is fit for a TPP.
func (e errorRow) check(s *stage, a *siteAnswer) error {
	want := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "Content-Length": strconv.Itoa(len(a.body))}
	if e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		want["Www-Authenticate"] = `Bearer realm="` + stageIssuer + `"` + e.challenge
	}
	var errs []error
	if a.status != e.status || a.text("error") != e.code || !strings.HasPrefix(a.text("error_description"), e.says) {
		errs = append(errs, fmt.Errorf("want %d %s %q", e.status, e.code, e.says))
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "Pragma", "Www-Authenticate", "Content-Length"} {
		if got := strings.Join(a.header[name], "|"); got != want[name] {
			errs = append(errs, fmt.Errorf("%s is %q, want %q", name, got, want[name]))
		}
	}
	if wait := a.header.Get("Retry-After"); (wait != "") != (e.status == http.StatusServiceUnavailable) {
		errs = append(errs, fmt.Errorf("Retry-After is %q", wait))
	}
	if allow := a.header.Get("Allow"); (allow != "") != (e.status == http.StatusMethodNotAllowed) {
		errs = append(errs, fmt.Errorf("Allow is %q", allow))
	}
	if len(a.members) != 2 {
		errs = append(errs, fmt.Errorf("the body is %s, want error and error_description alone", a.body))
	}
	errs = append(errs, hasSupportCode(a), s.fitForTPPs(a.text("error_description")))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("got %s: %w", a, err)
	}
	return nil
}

func hasSupportCode(a *siteAnswer) error {
	codes := a.header.Values(interactionID)
	if len(codes) != 1 || len(codes[0]) != 36 || uuid.Validate(codes[0]) != nil {
		return fmt.Errorf("%s is %q, want one UUID", interactionID, codes)
	}
	return nil
}

// fitForTPPs holds a description against what no TPP may be told.
func (s *stage) fitForTPPs(text string) error {
	if text == "" || len(text) > 500 {
		return fmt.Errorf("error_description of %d bytes, want 1 to 500", len(text))
	}
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' { // RFC 6749 5.2
			return fmt.Errorf("error_description has %q", c)
		}
	}
	for _, word := range []string{"goroutine ", ".go:", "127.0.0.1", "dial tcp", "secret of the gateway", softwareKey().jwk(nil)["n"].(string)[:40]} {
		if strings.Contains(text, word) {
			return fmt.Errorf("error_description tells %.20q", word)
		}
	}
	return nil
}
