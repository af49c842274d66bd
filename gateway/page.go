package gateway

import (
	"html"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// refusalPage is what a person sees whom an application has sent to an address that does
// not answer. It loads nothing and runs nothing.
const refusalPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Request refused</title>
<h1>This request cannot go on</h1>
<p>The application that sent you here cannot use this service now. You have not been signed in, and nothing was shared.</p>
<p>What to tell the application's provider: {description}</p>
<p>Support code: {code}</p>
</html>
`

// writePage answers with the page. What it shows of the request is escaped.
func (q *request) writePage(e *refusal.Error) {
	header := q.w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer") // the address has the request's parameters
	body := strings.NewReplacer("{description}", html.EscapeString(e.Description), "{code}", html.EscapeString(q.supportCode())).Replace(refusalPage)
	q.write(e.Status(), "text/html; charset=utf-8", []byte(body))
}
