package caddymodule

import "testing"

// TestEndpointCertificate: clients present their certificate where they authenticate as they
// do where they register, unless the operator says otherwise.
func TestEndpointCertificate(t *testing.T) {
	for _, c := range []struct {
		option, certificates string
		want                 bool
	}{
		{"", "", true}, {"required", "", true}, {"optional", "", false},
		{"", "off", false}, {"required", "off", true}, {"optional", "off", false},
	} {
		h := &Handler{ClientCertificate: c.certificates, Switches: Switches{EndpointCertificate: c.option}}
		if got := h.needsEndpointCertificate(); got != c.want {
			t.Errorf("endpoint_certificate %q, client_certificate %q: required %v, want %v", c.option, c.certificates, got, c.want)
		}
	}
}
