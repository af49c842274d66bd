package verify

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// headerCertificates are a leaf, its intermediate, and another leaf.
var headerCertificates = sync.OnceValue(func() (out []*x509.Certificate) {
	for i, name := range []string{"tpp", "intermediate", "other"} {
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, ecKey().Public(), ecKey())
		if err != nil {
			panic(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		out = append(out, c)
	}
	return out
})

func header(pairs []string) map[string][]string {
	out := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = append(out[pairs[i]], pairs[i+1])
	}
	return out
}

// Every form reads what it writes.
func TestCertificateHeader(t *testing.T) {
	certs := headerCertificates()
	for _, form := range CertificateForms {
		for _, name := range []string{"", "X-Other"} {
			h, err := NewCertificateHeader(form, name)
			if err != nil {
				t.Fatal(err)
			}
			pairs := h.Write(certs[0].Raw, certs[1].Raw)
			if name != "" && pairs[0] != name {
				t.Errorf("%s writes %s", form, pairs[0])
			}
			for i := 0; i < len(pairs); i += 2 {
				if !strings.Contains(strings.Join(h.Names(), " "), pairs[i]) {
					t.Errorf("%s writes %s, which is none of %v", form, pairs[i], h.Names())
				}
			}
			if strings.ContainsAny(pairs[1], "\r\n\t") {
				t.Errorf("%s writes %q", form, pairs[1])
			}
			leaf, intermediates, err := h.Read(header(pairs))
			if err != nil || !leaf.Equal(certs[0]) {
				t.Errorf("%s: %v, %v; want %v", form, leaf, err, certs[0])
			}
			carries := form == FormRFC9440 || form == FormEnvoy || form == FormTraefik
			if len(intermediates) == 1 != carries || carries && !intermediates[0].Equal(certs[1]) && form != FormEnvoy {
				t.Errorf("%s: intermediates %v", form, intermediates)
			}
			if leaf, _, err := h.Read(nil); leaf != nil || err != nil {
				t.Errorf("%s of nothing: %v, %v", form, leaf, err)
			}
			if leaf, _, err := h.Read(header([]string{h.Name, ""})); leaf != nil || err != nil {
				t.Errorf("%s of an empty one: %v, %v", form, leaf, err)
			}
		}
	}
	if _, err := NewCertificateHeader("xfcc", ""); err == nil {
		t.Error("a form that there is not")
	}
}

// What real proxies send.
func TestCertificateHeaderAsSent(t *testing.T) {
	leaf := headerCertificates()[0]
	b64 := base64.StdEncoding.EncodeToString(leaf.Raw)
	pem := pemOf(leaf.Raw, "\n")
	escaped := url.PathEscape(pem)
	for name, c := range map[string]struct{ form, value string }{
		"RFC 9440":                           {FormRFC9440, ":" + b64 + ":"},
		"RFC 9440 with blanks":               {FormRFC9440, " :" + b64 + ": "},
		"nginx, plus and slash escaped":      {FormNginx, escape(pem)},
		"nginx, only line ends escaped":      {FormNginx, strings.NewReplacer("\n", "%0A", " ", "%20").Replace(pem)},
		"ALB, which leaves plus and slash":   {FormALB, strings.NewReplacer("\n", "%0A", " ", "%20").Replace(pem)},
		"PEM with CRLF":                      {FormPEM, url.PathEscape(strings.ReplaceAll(pem, "\n", "\r\n"))},
		"Envoy, Cert":                        {FormEnvoy, `By=spiffe://a/b;Hash=ab;Cert="` + escape(pem) + `";Subject="CN=\"x\",O=a;b";URI=`},
		"Envoy, Chain":                       {FormEnvoy, `Chain="` + escape(pem) + `"`},
		"Envoy, unquoted":                    {FormEnvoy, `cert=` + escape(pem)},
		"Traefik":                            {FormTraefik, b64},
		"Traefik, escaped":                   {FormTraefik, url.QueryEscape(b64)},
		"HAProxy":                            {FormHAProxy, b64},
		"HAProxy, quoted":                    {FormHAProxy, `"` + b64 + `"`},
		"Apache, blanks for line ends":       {FormApache, strings.ReplaceAll(pem, "\n", " ")},
		"nginx's older form with tabs":       {FormApache, strings.ReplaceAll(strings.TrimSuffix(pem, "\n"), "\n", "\n\t")},
		"PEM, everything escaped that can":   {FormPEM, escaped},
		"two of PEM, the client's own first": {FormPEM, escape(pem + pemOf(headerCertificates()[1].Raw, "\n"))},
	} {
		h, err := NewCertificateHeader(c.form, "")
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := h.Read(map[string][]string{h.Name: {c.value}})
		if err != nil || !got.Equal(leaf) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, leaf)
		}
	}
}

// TestLargestCertificateHeader: 64 KiB of a header are read, and eight certificates.
func TestLargestCertificateHeader(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString(headerCertificates()[0].Raw)
	inColons := ":" + b64 + ":"
	fill := func(text string) string { return strings.Repeat(" ", 64<<10-len(text)) + text }
	for name, c := range map[string]struct {
		form          string
		value, chain  string
		intermediates int
	}{
		"64 KiB":                {FormHAProxy, fill(b64), "", 0},
		"64 KiB of a chain":     {FormRFC9440, inColons, fill(inColons), 1},
		"eight":                 {FormHAProxy, strings.Repeat(b64+",", 7) + b64, "", 7},
		"one, and a chain of 7": {FormRFC9440, inColons, strings.Repeat(inColons+",", 6) + inColons, 7},
	} {
		h, err := NewCertificateHeader(c.form, "")
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string][]string{h.Name: {c.value}}
		if c.chain != "" {
			headers["Client-Cert-Chain"] = []string{c.chain}
		}
		if _, got, err := h.Read(headers); err != nil || len(got) != c.intermediates {
			t.Errorf("%s: %d certificates beside the client's, %v; want %d", name, len(got), err, c.intermediates)
		}
	}
}

func TestCertificateHeaderRefuses(t *testing.T) {
	leaf := headerCertificates()[0]
	b64 := base64.StdEncoding.EncodeToString(leaf.Raw)
	pem := escape(pemOf(leaf.Raw, "\n"))
	rest := func(form, value string) map[string][]string {
		return map[string][]string{certificateHeaderNames[form]: {value}}
	}
	for name, c := range map[string]struct {
		form   string
		header map[string][]string
		word   string
	}{
		"two headers":                   {FormNginx, map[string][]string{"Ssl-Client-Cert": {pem, pem}}, "2 of them"},
		"an empty one and one":          {FormNginx, map[string][]string{"Ssl-Client-Cert": {"", pem}}, "2 of them"},
		"too long":                      {FormHAProxy, rest(FormHAProxy, b64+strings.Repeat(" ", 64<<10+1-len(b64))), "longer"},
		"two in a list":                 {FormRFC9440, rest(FormRFC9440, ":"+b64+":, :"+b64+":"), "byte sequence"},
		"no colons":                     {FormRFC9440, rest(FormRFC9440, b64), "byte sequence"},
		"parameters":                    {FormRFC9440, rest(FormRFC9440, ":"+b64+":;a=1"), "byte sequence"},
		"url-safe base64":               {FormRFC9440, rest(FormRFC9440, ":"+base64.URLEncoding.EncodeToString([]byte{251, 255})+":"), "byte sequence"},
		"two chains":                    {FormRFC9440, map[string][]string{"Client-Cert": {":" + b64 + ":"}, "Client-Cert-Chain": {":" + b64 + ":", ":" + b64 + ":"}}, "2 headers"},
		"a chain that is too long":      {FormRFC9440, map[string][]string{"Client-Cert": {":" + b64 + ":"}, "Client-Cert-Chain": {strings.Repeat(" ", 64<<10-1-len(b64)) + ":" + b64 + ":"}}, "longer"},
		"a chain of many":               {FormRFC9440, map[string][]string{"Client-Cert": {":" + b64 + ":"}, "Client-Cert-Chain": {strings.Repeat(":"+b64+":,", 8) + ":" + b64 + ":"}}, "byte sequence"},
		"a chain of eight and the leaf": {FormRFC9440, map[string][]string{"Client-Cert": {":" + b64 + ":"}, "Client-Cert-Chain": {strings.Repeat(":"+b64+":,", 7) + ":" + b64 + ":"}}, "9 certificates"},
		"no certificate":                {FormHAProxy, rest(FormHAProxy, "AAAA"), "x509"},
		"something after it":            {FormHAProxy, rest(FormHAProxy, base64.StdEncoding.EncodeToString(append(bytes.Clone(leaf.Raw), 0))), "x509"},
		"not base64":                    {FormTraefik, rest(FormTraefik, "a b"), "base64"},
		"half an escape":                {FormTraefik, rest(FormTraefik, "%4"), "escape"},
		"half an escape in PEM":         {FormPEM, rest(FormPEM, "%4"), "escape"},
		"a key":                         {FormPEM, rest(FormPEM, escape("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")), "PEM"},
		"text around it":                {FormPEM, rest(FormPEM, "x"+pem), "PEM"},
		"no end":                        {FormApache, rest(FormApache, pemBegin+" "+b64), "PEM"},
		"nothing inside":                {FormApache, rest(FormApache, pemBegin+" "+pemEnd), "base64"},
		"blanks alone":                  {FormApache, rest(FormApache, "  "), "0 certificates"},
		"two proxies":                   {FormEnvoy, rest(FormEnvoy, `Cert="`+pem+`",Cert="`+pem+`"`), "one element"},
		"two proxies, unquoted":         {FormEnvoy, rest(FormEnvoy, `Hash=a,Hash=b;Cert="`+pem+`"`), "one element"},
		"twice":                         {FormEnvoy, rest(FormEnvoy, `Cert="`+pem+`";cert="`+pem+`"`), "twice"},
		"only a subject":                {FormEnvoy, rest(FormEnvoy, `Subject="CN=x"`), "no Cert"},
		"an open quote":                 {FormEnvoy, rest(FormEnvoy, `Cert="`+pem), "one element"},
		"no pairs":                      {FormEnvoy, rest(FormEnvoy, `x`), "one element"},
	} {
		h, err := NewCertificateHeader(c.form, "")
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := h.Read(c.header)
		if err == nil || got != nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, %v; want %q", name, got, err, c.word)
		}
	}
}

// Whatever comes, what is read is a certificate that the form writes in one way.
func FuzzCertificateHeader(f *testing.F) {
	leaf, intermediate := headerCertificates()[0], headerCertificates()[1]
	for _, form := range CertificateForms {
		h, err := NewCertificateHeader(form, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(form, h.Write(leaf.Raw, intermediate.Raw)[1])
	}
	f.Fuzz(func(t *testing.T, form, value string) {
		h, err := NewCertificateHeader(form, "")
		if err != nil {
			return
		}
		got, intermediates, err := h.Read(map[string][]string{h.Name: {value}})
		if err != nil || got == nil {
			if got != nil || intermediates != nil {
				t.Fatalf("%v beside %v", got, err)
			}
			return
		}
		var chain [][]byte
		for _, c := range intermediates {
			chain = append(chain, c.Raw)
		}
		again, _, err := h.Read(header(h.Write(got.Raw, chain...)))
		if err != nil || !again.Equal(got) {
			t.Fatalf("%q is read, and then %v, %v", value, again, err)
		}
	})
}
