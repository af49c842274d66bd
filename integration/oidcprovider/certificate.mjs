// The client certificate of a request, and what oidc-provider compares it with.
import { X509Certificate } from 'node:crypto';

// clientCertificate finds it in the header if that is trusted, else in the
// connection, never in both. What cannot be parsed is no certificate.
export function clientCertificate(req, trustHeader) {
  if (!trustHeader) {
    return req.socket.authorized ? req.socket.getPeerX509Certificate() : undefined;
  }
  // A Byte Sequence of RFC 9440 2.1: ":base64:".
  const sequence = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(req.headers['client-cert'] ?? '');
  if (!sequence) return undefined;
  try {
    return new X509Certificate(Buffer.from(sequence[1], 'base64'));
  } catch (err) {
    console.error('Client-Cert is not a certificate:', err.message);
    return undefined;
  }
}

// subjectMatches compares one tls_client_auth_* member of a client with a certificate.
export function subjectMatches(certificate, property, expected) {
  if (!certificate) return false;
  switch (property) {
    case 'tls_client_auth_subject_dn':
      return rfc4514(certificate) === expected;
    case 'tls_client_auth_san_dns':
      return alternatives(certificate).includes(`DNS:${expected}`);
    case 'tls_client_auth_san_uri':
      return alternatives(certificate).includes(`URI:${expected}`);
    case 'tls_client_auth_san_ip':
      return alternatives(certificate).includes(`IP Address:${expected}`);
    case 'tls_client_auth_san_email':
      return alternatives(certificate).includes(`email:${expected}`);
    default:
      return false;
  }
}

// rfc4514 is the subject in RFC 4514 order with OpenSSL's short names. Node gives
// the order of the certificate, a line for each RDN, " + " within one.
export function rfc4514(certificate) {
  return certificate.subject.split('\n').reverse().map((rdn) => rdn.replaceAll(' + ', '+')).join(',');
}

function alternatives(certificate) {
  return (certificate.subjectAltName ?? '').split(', ');
}
