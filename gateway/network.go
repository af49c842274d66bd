package gateway

import "net/netip"

// NetworkOf is what is counted together of an address: whoever has one IPv6 address has
// the 2^64 around it.
func NetworkOf(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() && !ip.Is4In6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return text
}
