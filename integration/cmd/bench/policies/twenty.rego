# The twenty conditions of twenty.cel, each as what denies.
package openbanking_dcr

deny contains "operation: neither a registration nor an update" if {
	not input.operation in {"create", "update"}
}

deny contains "workspace: not for this policy" if input.workspace != "default/obuk"

deny contains "org_status: the organisation is not active; ask the directory" if {
	input.ssa.org_status != "Active"
}

deny contains "software_mode: not live" if input.ssa.software_mode != "Live"

deny contains "software_environment: neither sandbox nor production" if {
	not input.ssa.software_environment in {"sandbox", "production"}
}

deny contains "software_roles: others than AISP, PISP and CBPII" if {
	some role in input.ssa.software_roles
	not role in {"AISP", "PISP", "CBPII"}
}

deny contains "software_client_name: is empty" if input.ssa.software_client_name == ""

deny contains "iss: not of this directory" if input.ssa.iss != "OpenBanking Ltd"

deny contains "authority_id: another authority's" if {
	input.ssa.organisation_competent_authority_claims.authority_id != "FCAGBR"
}

deny contains "status: the authority has it as not active" if {
	input.ssa.organisation_competent_authority_claims.status != "Active"
}

deny contains "authorisations: none in GB" if not in_gb

deny contains "software_on_behalf_of_org: register for yourself" if {
	object.get(input.ssa, "software_on_behalf_of_org", null) != null
}

deny contains "client certificate: no PSD2 identifier of GB or IE" if {
	not regex.match(`^PSD(GB|IE)-[A-Z]{2,8}-.+$`, input.certificate.organization_identifier)
}

deny contains "client certificate: not of GB" if not endswith(input.certificate.subject, "C=GB")

deny contains "client certificate: ends within a day; renew it" if {
	time.parse_rfc3339_ns(input.certificate.not_after) <= time.parse_rfc3339_ns(input.now) + day
}

deny contains "token_endpoint_auth_method: neither tls_client_auth nor private_key_jwt" if {
	not input.registration.token_endpoint_auth_method in {"tls_client_auth", "private_key_jwt"}
}

deny contains "grant_types: without client_credentials" if {
	not "client_credentials" in input.registration.grant_types
}

deny contains "request_object_signing_alg: not PS256" if {
	input.registration.request_object_signing_alg != "PS256"
}

deny contains "iss: not the software's" if input.request.iss != input.ssa.software_id

deny contains "exp: more than an hour after iat" if input.request.exp - input.request.iat > 3600

in_gb if {
	some a in input.ssa.organisation_competent_authority_claims.authorisations
	object.get(a, "member_state", "") == "GB"
}

day := 86400000000000 # in nanoseconds
