package verify

import "slices"

// Leniency are the omissions of real software that an operator accepts, by the
// name of the claim. What is there is checked all the same. The values that an
// absent claim then has:
//
//	aud                         this server
//	jti                         the hash of the request, so that a copy is still a replay
//	application_type            web
//	request_object_signing_alg  the first of those that are accepted
//	software_id                 (of the statement) may be a UUID, as some directories issue
//	tls_client_auth_subject_dn  may lack attributes of the presented certificate's subject, which is registered whole;
//	                            in version 3.4 it need not follow the pattern
type Leniency []string

// LenientClaims are those that a Leniency may name.
var LenientClaims = Leniency{"aud", "jti", "application_type", "request_object_signing_alg", "software_id", "tls_client_auth_subject_dn"}

func (l Leniency) allows(claim string) bool { return slices.Contains(l, claim) }
