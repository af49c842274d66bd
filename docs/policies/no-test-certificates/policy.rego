# Production: no statements and no certificates of test environments.
package openbanking_dcr

allow if {
	input.ssa.software_environment == "production"
	input.ssa.software_mode == "Live"
	every word in ["Pre-Production", "Sandbox", "Test"] {
		not contains(input.certificate.issuer, word)
	}
}
