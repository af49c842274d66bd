package authserver

import "encoding/base64"

// ClientCertHeader carries a client's verified certificate to the AS (RFC 9440 2).
const ClientCertHeader = "Client-Cert"

// ClientCert is the header's value: a byte sequence (RFC 9440 2.1, RFC 8941 3.3.5).
func ClientCert(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }
