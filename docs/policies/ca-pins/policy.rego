# Certificates of these CAs alone, by their public keys.
package openbanking_dcr

pins := {"YLh1dUR9y6Kja30RrAn7JKnbQG/uEtLMkBgFF2Fuihg="}

deny contains "client certificate: of a CA that this bank does not take; connect with one of the directory's" if {
	count(pins & {key | some key in input.certificate.ca_spki}) == 0
}
