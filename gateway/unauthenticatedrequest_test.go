package gateway

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// atMost16K repeats text.
func atMost16K(text string) string { return strings.Repeat(text, max(1, 16<<10/len(text))) }

// BenchmarkUnauthenticatedRequest is what 16 KiB cost that anybody can send, in the worst forms that
// are known for each: at most 2 ms.
func BenchmarkUnauthenticatedRequest(b *testing.B) {
	table := paths(b)
	for name, path := range map[string]string{
		"dot segments": "/x/../", "empty segments": "//", "parameters": "/;", "escapes": "/%2e", "escapes of escapes": "/%252525252e", "compatible characters": "/%EF%B7%BA",
		"full-width": "%EF%BC%8E%EF%BC%8F", "as many compatible characters as are read": "", "segments": "/a", "capitals": "/A", "backslashes": "%5c",
	} {
		text := "/" + strings.Repeat("%EF%B7%BA", maxWidePath/3-1)
		if path != "" {
			text = "/" + atMost16K(path)
		}
		u, err := url.ParseRequestURI(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("path of "+name, func(b *testing.B) {
			for b.Loop() {
				r := &http.Request{Method: http.MethodGet, URL: u, Host: "bank.example"}
				if checkTarget(r) != nil {
					continue
				}
				what, _ := table.find(r.URL.EscapedPath())
				_ = checkPassed(r, what)
			}
		})
	}
	own := new(HeaderFilter)
	own.Add("Client-Cert", "X-Hop-Secret")
	listed := new(HeaderFilter)
	listed.Pass("Cookie")
	for name, tokens := range map[string]string{"close and ssl-": "close,ssl-,", "client-cert": "client-cert,", "commas": ",", "blanks": " ,", "long": strings.Repeat("x", 90) + ","} {
		b.Run("Connection of "+name, func(b *testing.B) {
			for b.Loop() {
				own.scrub(new(fakeHost), requestWith(http.Header{"Connection": {atMost16K(tokens)}}))
			}
		})
	}
	for name, length := range map[string]int{"short": 4, "middling": 24, "longest": MaxHeaderName, "too long": 2 * MaxHeaderName} {
		names := make(http.Header)
		for i := range 16 << 10 / length {
			field := fmt.Sprintf("%04x", i)
			field = strings.Repeat("z-", (length-len(field))/2) + field
			names[field] = []string{""}
		}
		b.Run("headers with "+name+" names", func(b *testing.B) {
			for b.Loop() {
				for _, o := range []*HeaderFilter{own, listed} {
					for field := range names {
						o.isForged(field)
					}
				}
			}
		})
	}
	b.Run("If-None-Match", func(b *testing.B) {
		fields := []string{atMost16K(`W/"x",`)}
		for b.Loop() {
			isTag(fields, `"y"`)
		}
	})
	nested := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(`{"a":`, 2000)))
	for name, form := range map[string]string{
		"ampersands": "&", "parameters": "a=b&", "one parameter again": "client_i=x&", "escapes": "%61=%62&", "client_ids": "client_id=x&", "names like client_id": "client_iđ=x&", "brackets": "client_i[a]=&",
		"assertion": "client_assertion=e30." + nested + ".x&", "dots": "client_assertion=" + strings.Repeat(".", 4000) + "&",
	} {
		b.Run("form of "+name, func(b *testing.B) {
			form := atMost16K(form)
			for b.Loop() {
				_, _ = verify.ReadClientAuthentication(nil, "", form)
				_ = verify.WithoutCredentials(form)
			}
		})
	}
	many := make([]string, 0, 2000)
	for i := range cap(many) {
		many = append(many, fmt.Sprintf("p%d=%d", i, i))
	}
	b.Run("form of different names", func(b *testing.B) {
		form := strings.Join(many, "&")[:16<<10]
		for b.Loop() {
			_, _ = verify.ReadClientAuthentication(nil, "", form)
		}
	})
	for name, text := range map[string]string{
		"nested": strings.Repeat(`{"a":`, 2700), "arrays": strings.Repeat("[", 16<<10), "members": "{" + members(2000) + "}", "escapes": `{"a":"` + strings.Repeat(`\u0041`, 2700) + `"}`,
		"number": `{"a":` + strings.Repeat("9", 16<<10) + "}", "items": `{"a":[` + strings.Repeat("1,", 4000) + "1]}",
	} {
		b.Run("JSON of "+name, func(b *testing.B) {
			for b.Loop() {
				_, _ = strictjson.Parse([]byte(text))
			}
		})
	}
	for name, token := range map[string]string{"dots": ".", "JWT": "e30.", "letters": "a"} {
		b.Run("token of "+name, func(b *testing.B) {
			fields := []string{"Bearer " + atMost16K(token)[:verify.MaxToken]}
			for b.Loop() {
				if raw, err := verify.BearerToken(fields); err == nil {
					(&verify.AccessToken{Raw: raw}).Keys()
				}
			}
		})
	}
	for name, value := range map[string]string{"parameters": "a/b" + distinct(";p%04x=x"), "continuations": "a/b" + distinct(";p*%d=x"), "blanks": "application/x-www-form-urlencoded" + atMost16K(" ")} {
		b.Run("media type of "+name, func(b *testing.B) {
			r := requestWith(http.Header{"Content-Type": {value}})
			for b.Loop() {
				mediaType(r)
				isForm(r)
			}
		})
	}
	for name, query := range map[string]string{"request objects": "request=e30." + nested + ".x&", "requests": "request=a.b.c&", "names like request": "reque%C5%BFt=x&", "access tokens": "access_token=x&", "names": distinct("p%04x=&")} {
		b.Run("query of "+name, func(b *testing.B) {
			query := atMost16K(query)
			for b.Loop() {
				_, _ = verify.ReadAuthorizationRequest(query, "")
				_, _ = verify.ReadPresentedToken(nil, query, "")
			}
		})
	}
	b.Run("Basic", func(b *testing.B) {
		fields := []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("%41", 4000)+":"))}
		for b.Loop() {
			_, _ = verify.ReadClientAuthentication(fields, "", "")
		}
	})
}

// distinct is 16 KiB of a format with different numbers.
func distinct(format string) string {
	var text strings.Builder
	for i := 0; text.Len() < 16<<10; i++ {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()[:16<<10]
}

func members(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"%04x":1`, i)
	}
	return strings.Join(names, ",")
}
