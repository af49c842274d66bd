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
	return without(form, func(name, _ string) bool { return slices.Contains(credentials[1:], name) })
}

// WithoutClientID is a form without client_id, in the same way.
func WithoutClientID(form string) string {
	return without(form, func(name, _ string) bool { return name == credentials[0] })
}

// WithoutEmpty is a form, or a query, without those of client_id and the credentials that
// have no value, in the same way.
func WithoutEmpty(form string) string {
	return without(form, func(name, value string) bool { return !present(value) && slices.Contains(credentials, name) })
}

func without(form string, drop func(name, value string) bool) string {
	var out strings.Builder
	first := true
	for pair := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && drop(name, value) {
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
