package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// The caps of the protocol, in bytes.
const (
	maxBody      = 64 << 10
	maxStatement = 32 << 10
)

// padded is the largest text up to most bytes that make returns for a padding.
func padded(t *testing.T, most int, make func(padding string) (string, error)) string {
	t.Helper()
	padding := 0
	for {
		text, err := make(strings.Repeat("x", padding))
		if err != nil {
			t.Fatal(err)
		}
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

// TestSizes: what is as large as the caps allow is accepted, a byte more is 413,
// whether or not the size was told in advance.
func TestSizes(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	statement := func(padding string) (string, error) {
		return p.Acme.Statement(map[string]any{"software_note": padding})
	}
	with := func(ssa string) string {
		t.Helper()
		body, err := p.Acme.Request(map[string]any{"software_statement": ssa})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	ssa, err := p.Acme.Statement(nil)
	if err != nil {
		t.Fatal(err)
	}
	largest := padded(t, maxBody, func(padding string) (string, error) {
		return p.Acme.Request(map[string]any{"software_statement": ssa, "note": padding})
	})
	long, err := statement(strings.Repeat("x", maxStatement*3/4))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, body string
		row        row // zero: accepted
	}{
		{"largest body", largest, row{}},
		{"noise as large", strings.Repeat("A", maxBody), row{400, "invalid_client_metadata", "", "registration request is not a compact JWS"}},
		{"a byte more", strings.Repeat("A", maxBody+1), tooLarge},
		{"largest body and a line end", largest + strings.Repeat(" ", maxBody-len(largest)) + "\r\n", tooLarge},
		{"1 MiB", strings.Repeat("A", 1<<20), tooLarge},
		{"largest statement", with(padded(t, maxStatement, statement)), row{}},
		{"larger statement", with(long), row{413, "invalid_request", "", "software_statement: "}},
		{"noise for a statement", with(strings.Repeat("A", maxStatement+1)), row{413, "invalid_request", "", "software_statement: "}},
		{"shorter noise for a statement", with(strings.Repeat("A", maxStatement)), row{400, "invalid_software_statement", "", "software_statement: "}},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: ", chunked"}[chunked], func(t *testing.T) {
				token, _, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				body := c.body
				if c.row.status == 0 && chunked { // its jti is used
					return
				}
				r, err := post(t, p, token, body, chunked)
				if c.row.status == 0 {
					answered(t, r, err, 201, "")
				} else if err := c.row.isIn(p, r, err); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// post registers; a chunked body does not tell its size.
func post(t *testing.T, p *story.Play, token, body string, chunked bool) (*tpp.Response, error) {
	t.Helper()
	var reader io.Reader = bytes.NewReader([]byte(body))
	if chunked {
		reader = io.MultiReader(reader)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Register, reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/jose"}, "Authorization": {"Bearer " + token}}
	return p.Client(p.Acme).Send(r)
}

// TestMediaTypes: 415 for every other media type, POST and PUT, and no fall
// through to an unsigned body or to one that must be decoded first.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, own := registered(t, p)
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []http.Header{
		{},
		{"Content-Type": {""}},
		{"Content-Type": {"application/json"}},
		{"Content-Type": {"application/json; charset=utf-8"}},
		{"Content-Type": {"text/plain"}},
		{"Content-Type": {"application/x-www-form-urlencoded"}},
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
		for method, url := range map[string]string{"POST": p.Register, "PUT": p.Register + "/" + id} {
			header := h.Clone()
			header.Set("Authorization", "Bearer "+map[string]string{"POST": token, "PUT": own}[method])
			r, err := p.Client(p.Acme).Do(t.Context(), method, url, header, []byte(body))
			expected, mend := wrongType, "send a signed request (compact JWS) as application/jose"
			if h.Get("Content-Encoding") != "" {
				expected.says, mend = "Content-Encoding: ", "send a signed request (compact JWS) as it is, without this header"
			}
			if err := expected.isIn(p, r, err); err != nil {
				t.Errorf("%s %v: %v", method, h, err)
			} else if !strings.HasSuffix(r.Text("error_description"), mend) {
				t.Errorf("%s %v: %s", method, h, r)
			}
		}
	}
	r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
	answered(t, r, err, 201, "")
}
