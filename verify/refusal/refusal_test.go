package refusal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// One row per kind: status, error code and headers.
func TestErrorTable(t *testing.T) {
	const realm = `Bearer realm="https://bank.example"`
	for _, tc := range []struct {
		kind      Kind
		status    int
		code      string
		challenge string
	}{
		{InvalidClientMetadata, 400, "invalid_client_metadata", ""},
		{InvalidRedirectURI, 400, "invalid_redirect_uri", ""},
		{InvalidSoftwareStatement, 400, "invalid_software_statement", ""},
		{UnapprovedSoftwareStatement, 400, "unapproved_software_statement", ""},
		{NoCertificate, 401, "invalid_client", realm},
		{NoToken, 401, "invalid_token", realm},
		{InvalidToken, 401, "invalid_token", realm + `, error="invalid_token"`},
		{InsufficientScope, 403, "insufficient_scope", realm + `, error="insufficient_scope", scope="dcr_register"`},
		{AccessDenied, 403, "access_denied", realm},
		{InvalidClient, 401, "invalid_client", realm},
		{MalformedRequest, 400, "invalid_request", ""},
		{TooLarge, 413, "invalid_request", ""},
		{UnsupportedMediaType, 415, "invalid_request", ""},
		{MethodNotAllowed, 405, "invalid_request", ""},
		{NotFound, 404, "invalid_request", ""},
		{Misdirected, 421, "invalid_request", ""},
		{Unavailable, 503, "temporarily_unavailable", ""},
	} {
		e := New(tc.kind, "", "x")
		if e.Status() != tc.status || e.Code() != tc.code {
			t.Errorf("kind %d: got %d %s, want %d %s", tc.kind, e.Status(), e.Code(), tc.status, tc.code)
		}
		if got := e.Challenge("https://bank.example", "dcr_register"); got != tc.challenge {
			t.Errorf("%s: challenge %s, want %s", tc.code, got, tc.challenge)
		}
		if e.RuleName() == "" || New(tc.kind, "aud", "x").RuleName() != "aud" {
			t.Errorf("%s: rule %q", tc.code, e.RuleName())
		}
	}
	if rows := len(errorTable) - 1; rows != int(Unavailable) {
		t.Errorf("%d rows", rows)
	}
}

// The realm is the issuer; it must not be able to end the quotes or the header.
func TestChallengeRealm(t *testing.T) {
	got := New(InvalidToken, "", "x").Challenge("a\"b\\c\r\nSet-Cookie: d=é", "dcr_register")
	if got != `Bearer realm="abc??Set-Cookie: d=?", error="invalid_token"` {
		t.Errorf("got %q", got)
	}
}

func TestDescriptionIsBounded(t *testing.T) {
	long := strings.Repeat("é\"\\\n\x00<script>", 100)
	for name, e := range map[string]*Error{
		"plain":      New(InvalidClientMetadata, "x", "%s", long),
		"quoted":     New(InvalidClientMetadata, "x", "aud: %s", Quote(long)),
		"two quoted": New(InvalidClientMetadata, "x", "%s and %s", Quote(long), Quote(strings.Repeat("\x00", 200))),
		"wrapped":    New(InvalidClientMetadata, "x", "x: %w", errors.New(long)),
		"not UTF-8":  New(InvalidClientMetadata, "x", "%s", strings.Repeat("\xff", 499)+"é"),
		"short":      New(InvalidClientMetadata, "x", "\x7f\t"),
	} {
		t.Run(name, func(t *testing.T) {
			if got := e.Description; got == "" || len(got) > MaxDescription || clean(got) != got {
				t.Errorf("got %q, want at most %d characters of those that RFC 6749 allows", got, MaxDescription)
			}
		})
	}
	for n, want := range map[int]int{499: 499, 500: 500, 501: 500, 5000: 500} {
		e := New(InvalidClientMetadata, "x", "%s", strings.Repeat("x", n))
		if len(e.Description) != want || strings.HasSuffix(e.Description, "...") != (n > 500) {
			t.Errorf("%d characters become %d: %s", n, len(e.Description), e.Description[max(0, want-5):])
		}
	}
}

func TestQuote(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "''"},
		{"x", "'x'"},
		{`a"b`, `'a'b'`},
		{"é\n", `'/u00e9/n'`},
		{strings.Repeat("x", 80), "'" + strings.Repeat("x", 80) + "'"},
		{strings.Repeat("x", 81), "'" + strings.Repeat("x", 80) + "'..."},
	} {
		if got := clean(Quote(tc.in)); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.in, got, tc.want)
		}
	}
}

// TestShownInLogs: a log quotes by itself what it is given.
func TestShownInLogs(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"x", "x"},
		{`a"b'c`, `a"b'c`},
		{"é\n\x1b[31m", `\u00e9\n\x1b[31m`},
		{strings.Repeat("x", 80), strings.Repeat("x", 80)},
		{strings.Repeat("x", 81), strings.Repeat("x", 80) + "..."},
	} {
		if got := ForLog(tc.in); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.in, got, tc.want)
		}
	}
}

// What is no *Error is our fault, and its text is not told.
func TestAsError(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.1:443: refused")
	own := New(InvalidToken, "access_token", "expired")
	for _, tc := range []struct {
		name string
		err  error
		kind Kind
	}{
		{"own", own, InvalidToken},
		{"own, wrapped", fmt.Errorf("registering: %w", own), InvalidToken},
		{"foreign", secret, Unavailable},
		{"deadline", context.DeadlineExceeded, Unavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := From(tc.err)
			if e.Kind != tc.kind {
				t.Errorf("got %v", e)
			}
			if tc.kind == Unavailable && (!errors.Is(e, tc.err) || strings.Contains(e.Description, tc.err.Error())) {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("the cause")
	e := New(InvalidToken, "access_token", "expired").Because(cause)
	if got := e.Error(); got != "invalid_token (access_token): expired: the cause" {
		t.Errorf("got %q", got)
	}
	if !errors.Is(e, cause) || strings.Contains(e.Description, "cause") {
		t.Errorf("got %+v", e)
	}
	if DefaultRetryAfter < time.Second {
		t.Error("Retry-After counts in whole seconds")
	}
}
