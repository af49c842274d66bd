package verify

import (
	"net/url"
	"slices"
	"strings"
)

// WithoutCredentials is a form without the parameters by which its sender has
// authenticated: client_secret, client_assertion and client_assertion_type, however
// their names are escaped. client_id, which every endpoint may want, stays. Everything
// else is as it was sent, byte for byte and in order.
func WithoutCredentials(form string) string {
	return without(form, credentials[1:])
}

// WithoutClientID is a form without client_id, in the same way.
func WithoutClientID(form string) string { return without(form, credentials[:1]) }

func without(form string, names []string) string {
	var out strings.Builder
	first := true
	for pair := range strings.SplitSeq(form, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && slices.Contains(names, name) {
			continue
		}
		if !first {
			out.WriteByte('&')
		}
		first = false
		out.WriteString(pair)
	}
	return out.String()
}
