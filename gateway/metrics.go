package gateway

import "github.com/prometheus/client_golang/prometheus"

// Collectors are the metrics of all gateways of the process, which count since it began, over
// reloads.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{policyDecisions, uncheckedTokens, guardRefusals, clientAssertions, revokedCertificates, uncheckedCertificates}
}
