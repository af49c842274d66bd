// The software as its directory enrolled it: what it is told on stdin, its key,
// and what it registers.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { importPKCS8 } from 'jose';
import { PrivateKeyJwt, TlsClientAuth } from 'openid-client';

const fields = [
  'issuer', 'ca_file', 'transport_certificate_file', 'transport_key_file', 'signing_key', 'signing_kid', 'signing_alg',
  'software_statement', 'software_id', 'audience', 'registration_token', 'auth_method', 'redirect_uris', 'scope',
  'response_types', 'token_scope', 'sign_requests', 'direct_origin',
];

// readInput reads the document. Input of run.go is the same.
export function readInput() {
  const input = JSON.parse(readFileSync(0, 'utf8'));
  const unknown = Object.keys(input).filter((name) => !fields.includes(name));
  const missing = fields.filter((name) => input[name] === undefined);
  if (unknown.length || missing.length) throw new Error(`unknown fields: ${unknown.join(', ')}; missing: ${missing.join(', ')}`);
  return input;
}

// signingKey signs requests, assertions and request objects.
export async function signingKey(input) {
  return { key: await importPKCS8(input.signing_key, input.signing_alg), kid: input.signing_kid };
}

// authentication is how the client shows who it is at the token endpoint.
export function authentication(input, key) {
  switch (input.auth_method) {
    case 'tls_client_auth':
      return TlsClientAuth();
    case 'private_key_jwt':
      return PrivateKeyJwt(key);
    default:
      throw new Error(`no client authenticates with ${input.auth_method} here`);
  }
}

// metadata is what is registered for these redirect URIs.
export function metadata(input, redirectURIs) {
  return {
    software_id: input.software_id,
    software_statement: input.software_statement,
    redirect_uris: redirectURIs,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: input.response_types,
    application_type: 'web',
    id_token_signed_response_alg: input.signing_alg,
    request_object_signing_alg: input.signing_alg,
    scope: input.scope,
    token_endpoint_auth_method: input.auth_method,
    ...(input.auth_method === 'tls_client_auth'
      ? { tls_client_auth_subject_dn: subjectDN(readFileSync(input.transport_certificate_file)) }
      : { token_endpoint_auth_signing_alg: input.signing_alg }),
  };
}

// subjectDN is the certificate's subject in the order of RFC 4514. Node gives the
// order of the certificate, a line for each RDN, " + " within one.
function subjectDN(pem) {
  return new X509Certificate(pem).subject.split('\n').reverse().map((rdn) => rdn.replaceAll(' + ', '+')).join(',');
}
