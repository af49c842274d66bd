# No software role that the certificate's PSD2 roles do not cover (ETSI TS 119 495).
package openbanking_dcr

needs := {"AISP": "PSP_AI", "PISP": "PSP_PI", "CBPII": "PSP_IC"}

deny contains "software_roles: the certificate has not the PSD2 roles for them; get a certificate that has" if {
	some role in input.ssa.software_roles
	not object.get(needs, role, "none") in input.certificate.psd2_roles
}
