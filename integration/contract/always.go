package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// Always returns what of the answer violates what holds of every answer, in every
// version: what can be told without the files.
func Always(a Answer) (violations []string) {
	say := func(format string, args ...any) {
		violations = append(violations, fmt.Sprintf("%s %d: ", a.Method, a.Status)+fmt.Sprintf(format, args...))
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache"} {
		if got := strings.Join(a.Header.Values(name), "|"); got != want {
			say("%s is %q, want %q", name, got, want)
		}
	}
	if ids := a.Header.Values("x-fapi-interaction-id"); len(ids) != 1 || len(ids[0]) != 36 || uuid.Validate(ids[0]) != nil {
		say("x-fapi-interaction-id is %q", ids)
	}
	for name, statuses := range map[string][]int{
		"WWW-Authenticate": {http.StatusUnauthorized, http.StatusForbidden}, // RFC 6750 3
		"Allow":            {http.StatusMethodNotAllowed},                   // RFC 9110 15.5.6
		"Retry-After":      {http.StatusTooManyRequests, http.StatusServiceUnavailable},
	} {
		need := false
		for _, s := range statuses {
			need = need || s == a.Status
		}
		if got := len(a.Header.Values(name)); got > 1 || need != (got == 1) {
			say("%d headers %s", got, name)
		}
	}
	if c := a.Header.Get("WWW-Authenticate"); c != "" && !strings.HasPrefix(c, "Bearer ") {
		say("WWW-Authenticate is %q", c)
	}
	if a.Status == http.StatusNoContent {
		if len(a.Body) > 0 {
			say("a body")
		}
		return violations
	}
	if got := strings.Join(a.Header.Values("Content-Type"), "|"); got != "application/json" {
		say("Content-Type is %q", got)
	}
	if a.Method == http.MethodHead {
		return violations
	}
	var body map[string]any
	if err := json.Unmarshal(a.Body, &body); err != nil {
		say("the body is no JSON object: %v", err)
		return violations
	}
	// RFC 7591 3.2.2: a refusal has both members, and a registration has neither.
	for _, name := range []string{"error", "error_description"} {
		if text, _ := body[name].(string); (text != "") != (a.Status >= 400) {
			say("%s is %v", name, body[name])
		}
	}
	return violations
}
