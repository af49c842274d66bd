# Certificates of payment service providers alone: the directory's OBWAC, or a QWAC.
package openbanking_dcr

deny contains "client certificate: names no PSD2 role; connect with an OBWAC or a QWAC" if {
	count(input.certificate.psd2_roles) == 0
}
