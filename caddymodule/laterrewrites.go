package caddymodule

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// The guard judges the request target that it sees. A handler after it that changes the
// target (rewrite, uri, handle_path) on its way to the AS would send another one than was
// judged, and no handler can look once more between that and the proxy. So such a
// configuration is refused when it loads. A rewrite before the guard is no trouble: Caddy
// orders rewrite and uri of a site before it.

// lateRewrite is a proxy that may send a changed target to the AS.
type lateRewrite struct{ by, place, except string }

func (r lateRewrite) refusal() error {
	cure := ""
	if r.except != "" {
		cure = "; or, if that is another server, write in this directive: unguarded " + r.except
	}
	return fmt.Errorf("reverse_proxy after %s at %s: the request target that reaches the authorization server would differ from the one that this directive has checked; "+
		"put rewrite or uri at the top of the site block, where they run before it, or send to the path as it is (handle in place of handle_path)%s", r.by, r.place, cure)
}

// lateRewrite notes a proxy to which requests come whose target was changed since it was
// judged, or which changes it.
func (w *ways) lateRewrite(m *siteHandler, in flow) {
	by := ""
	switch {
	case in&flowChanged != 0:
		by = "rewrite"
	case in&flowBehindDirective != 0 && m.proxy.Rewrite != nil:
		by = "its own rewrite"
	default:
		return
	}
	if may, except := w.mayBeAS(m.proxy); may {
		w.late = append(w.late, lateRewrite{by, m.place, except})
	}
}

// mayBeAS tells whether a proxy sends to the AS's host, or to one that the configuration
// does not tell, and which exception would say that it is another.
func (w *ways) mayBeAS(p *reverseproxy.Handler) (may bool, except string) {
	if !static(p) {
		except = w.except.handler("reverse_proxy")
		return !w.excepted(except), "handler reverse_proxy"
	}
	as, _, _ := net.SplitHostPort(w.as)
	for _, u := range p.Upstreams {
		to := address(u.Dial)
		if host, _, err := net.SplitHostPort(to); err == nil && host == as {
			return true, ""
		}
		if to == "" && !speaksFastCGI(p) && !w.excepted(w.except.upstream(u.Dial)) {
			may, except = true, strings.TrimSpace(except+" "+u.Dial)
		}
	}
	return may, "upstream " + except
}

// speaksFastCGI tells whether a proxy speaks FastCGI, which no authorization server does.
func speaksFastCGI(p *reverseproxy.Handler) bool {
	if m, ok := p.Transport.(caddy.Module); ok {
		return m.CaddyModule().ID == "http.reverse_proxy.transport.fastcgi"
	}
	var raw struct {
		Protocol string `json:"protocol"`
	}
	return json.Unmarshal(p.TransportRaw, &raw) == nil && raw.Protocol == "fastcgi"
}
