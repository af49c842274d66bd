# As psd2-roles, but what the certificate does not cover is left out, not refused.
package openbanking_dcr

covers := {"PSP_AI": "accounts", "PSP_PI": "payments", "PSP_IC": "fundsconfirmations"}

allow := true

narrow := {"scopes": scopes}

scopes contains "openid"

scopes contains covers[role] if some role in input.certificate.psd2_roles
