package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// The caps of the protocol, in bytes.
const (
	maxBody      = 64 << 10
	maxStatement = 32 << 10
)

// padded is the largest text up to most bytes that make returns for a padding.
func padded(t *testing.T, most int, make func(padding string) string) string {
	t.Helper()
	for padding := 0; ; {
		text := make(strings.Repeat("x", padding))
		switch missing := most - len(text); {
		case missing < 0:
			t.Fatalf("%d bytes too many", -missing)
		case missing < 2: // three bytes become four characters
			return text
		default:
			padding += max(missing*3/4-1, 1)
		}
	}
}

// tooLarge is the row of a body that is too large.
var tooLarge = errorRow{http.StatusRequestEntityTooLarge, "invalid_request", "", "the registration request is larger than the 65536 bytes"}

// TestSizes: what is as large as the caps allow is accepted, a byte more is 413, whether or
// not the size was told in advance.
func TestSizes(t *testing.T) {
	s := newStage(t, nil)
	ssa := s.acme.statement(nil)
	padding := func(text string) string { return s.acme.statement(map[string]any{"software_note": text}) }
	with := func(statement string) string { return s.acme.request(map[string]any{"software_statement": statement}) }
	body := func() string { // a new jti each time
		return padded(t, maxBody, func(padding string) string {
			return s.acme.request(map[string]any{"software_statement": ssa, "note": padding})
		})
	}
	statement := padded(t, maxStatement, padding)
	largest := body()
	largeStatement := errorRow{http.StatusRequestEntityTooLarge, "invalid_request", "", "software_statement: "}
	for _, c := range []struct {
		name string
		body func() string
		want errorRow // of no status: it is accepted
	}{
		{"largest body", body, errorRow{}},
		{"noise as large", func() string { return strings.Repeat("A", maxBody) }, errorRow{http.StatusBadRequest, "invalid_client_metadata", "", "registration request is not a compact JWS"}},
		{"a byte more", func() string { return strings.Repeat("A", maxBody+1) }, tooLarge},
		{"largest body and a line end", func() string { return largest + strings.Repeat(" ", maxBody-len(largest)) + "\r\n" }, tooLarge},
		{"1 MiB", func() string { return strings.Repeat("A", 1<<20) }, tooLarge},
		{"largest statement", func() string { return with(statement) }, errorRow{}},
		{"larger statement", func() string { return with(padding(strings.Repeat("x", maxStatement*3/4))) }, largeStatement},
		{"noise for a statement", func() string { return with(strings.Repeat("A", maxStatement+1)) }, largeStatement},
		{"shorter noise for a statement", func() string { return with(strings.Repeat("A", maxStatement)) }, errorRow{http.StatusBadRequest, "invalid_software_statement", "", "software_statement: "}},
	} {
		for size, wrap := range map[string]func(io.Reader) io.Reader{"": func(r io.Reader) io.Reader { return r }, ", chunked": func(r io.Reader) io.Reader { return io.MultiReader(r) }} {
			t.Run(c.name+size, func(t *testing.T) {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, stageRegister, wrap(strings.NewReader(c.body())))
				s.must(err)
				r.Header = http.Header{"Content-Type": {"application/jose"}, "Authorization": {"Bearer " + s.registrationToken()}}
				a := s.send(&s.acme.transport, r)
				if c.want.status == 0 {
					if a.status != http.StatusCreated {
						t.Errorf("got %s, want 201", a)
					}
				} else if err := c.want.check(s, a); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestMediaTypes: 415 for every other media type, POST and PUT, and no fall through to an
// unsigned body or to one that must be decoded first.
func TestMediaTypes(t *testing.T) {
	s := newStage(t, nil)
	id, own := s.registered(s.acme, nil)
	token, body := s.registrationToken(), s.acme.request(nil)
	for _, h := range []http.Header{
		{},
		{"Content-Type": {""}},
		{"Content-Type": {"application/json"}},
		{"Content-Type": {"application/json; charset=utf-8"}},
		{"Content-Type": {"text/plain"}},
		{"Content-Type": {formType}},
		{"Content-Type": {"multipart/form-data; boundary=x"}},
		{"Content-Type": {"application/jose+json"}},
		{"Content-Type": {"application/at+jwt"}},
		{"Content-Type": {"application/*"}},
		{"Content-Type": {"jose"}},
		{"Content-Type": {"application/jose, application/jwt"}},
		{"Content-Type": {"application/jose; charset"}},
		{"Content-Type": {"application/jose", "application/jose"}},
		{"Content-Type": {"application/jose"}, "Content-Encoding": {"gzip"}},
		{"Content-Type": {"application/jose"}, "Content-Encoding": {"identity"}},
	} {
		want, mend := errorRow{http.StatusUnsupportedMediaType, "invalid_request", "", "Content-Type: "}, "send a signed request (compact JWS) as application/jose"
		if h.Get("Content-Encoding") != "" {
			want.says, mend = "Content-Encoding: ", "send a signed request (compact JWS) as it is, without this header"
		}
		for _, c := range []struct{ method, at, token string }{{http.MethodPost, stageRegister, token}, {http.MethodPut, stageRegister + "/" + id, own}} {
			header := h.Clone()
			header.Set("Authorization", "Bearer "+c.token)
			a := s.doHeader(&s.acme.transport, c.method, c.at, body, header)
			if err := want.check(s, a); err != nil {
				t.Errorf("%s %v: %v", c.method, h, err)
			} else if got := a.text("error_description"); !strings.HasSuffix(got, mend) {
				t.Errorf("%s %v: got %q, want it to end with %q", c.method, h, got, mend)
			}
		}
	}
	if a := s.dcr(s.acme, http.MethodPost, stageRegister, token, body); a.status != http.StatusCreated {
		t.Errorf("as application/jose: %s, want 201", a)
	}
}
