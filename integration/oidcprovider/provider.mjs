// The configuration of oidc-provider.
import { createPrivateKey, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

import Provider from 'oidc-provider';
import { Agent, fetch } from 'undici';

import { MemoryAdapter } from './adapter.mjs';
import { clientCertificate, subjectMatches } from './certificate.mjs';

// The payment service user who is always logged in and consents to everything.
const psu = 'psu';

const scopes = ['openid', 'accounts', 'payments', 'fundsconfirmations', 'dcr_register'];
const algorithms = ['PS256', 'ES256'];

// What a gateway may choose as client_id; it becomes part of a path.
const chosenID = /^[A-Za-z0-9._-]{1,64}$/;

export function newProvider(config) {
  const certificate = (ctx) => clientCertificate(ctx.req, config.trust_client_cert_header);
  const provider = new Provider(config.issuer, {
    adapter: MemoryAdapter,
    jwks: { keys: newKeys(config.signing_key) },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clients: staticClients(config),
    scopes,
    responseTypes: ['code', 'code id_token'],
    clientAuthMethods: ['tls_client_auth', 'private_key_jwt', 'client_secret_basic'],
    enabledJWA: {
      clientAuthSigningAlgValues: algorithms,
      idTokenSigningAlgValues: algorithms,
      requestObjectSigningAlgValues: algorithms,
    },
    clientDefaults: { id_token_signed_response_alg: 'PS256' },
    // The default wants offline_access, and offers the grant only then.
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: { AccessToken: 3600, ClientCredentials: 3600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // Without a policy a foreign client gets 400 and the token stays active.
      introspection: {
        enabled: true,
        allowedPolicy: (ctx, client, token) => client.clientId === config.gateway_id || client.clientId === token.clientId,
      },
      revocation: {
        enabled: true,
        allowedPolicy: (ctx, client, token) => client.clientId === config.gateway_id || client.clientId === token.clientId,
      },
      registration: {
        enabled: true,
        initialAccessToken: config.initial_access_token,
        idFactory: (ctx) => newClientID(ctx, config),
      },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      // Only then are the algorithms published and request_object_signing_alg kept.
      requestObjects: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        certificateBoundAccessTokens: true,
        getCertificate: certificate,
        certificateAuthorized: () => true, // an unverified one was not found
        certificateSubjectMatches: (ctx, property, expected) => subjectMatches(certificate(ctx), property, expected),
      },
      ...jwtAccessTokens(config),
    },
    // Its own never fetches from loopback; the dispatcher is what refuses.
    fetch: newFetch(config.jwks_ca),
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (ctx, interaction) => `${config.prefix}/interaction/${interaction.uid}` },
    loadExistingGrant: grantAll,
  });
  provider.proxy = true;
  provider.on('server_error', (ctx, err) => console.error(err));
  for (const event of ['grant', 'introspection', 'revocation', 'registration_create', 'registration_update']) {
    provider.on(`${event}.error`, (ctx, err) => console.error(event, err.message, err.error_description ?? '', err.error_detail ?? ''));
  }
  return provider;
}

// approve ends an interaction: the user is logged in and consents.
export function approve(provider, req, res) {
  provider.interactionFinished(req, res, { login: { accountId: psu }, consent: {} }).catch((err) => {
    console.error(err);
    if (!res.headersSent) res.writeHead(400).end();
  });
}

async function grantAll(ctx) {
  const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
  grant.addOIDCScope(scopes.join(' '));
  for (const server of Object.values(ctx.oidc.resourceServers ?? {})) {
    grant.addResourceScope(server.identifier(), server.scope);
  }
  await grant.save();
  return grant;
}

function staticClients(config) {
  const machine = {
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'PS256',
  };
  return [
    { ...machine, client_id: config.gateway_id, client_secret: config.gateway_secret, scope: 'openid' },
    { ...machine, client_id: config.registrar_id, client_secret: config.registrar_secret, scope: 'dcr_register' },
  ];
}

function newClientID(ctx, config) {
  const chosen = config.client_id_header ? ctx.get(config.client_id_header) : '';
  const free = chosenID.test(chosen) && chosen !== config.gateway_id && chosen !== config.registrar_id;
  return free ? chosen : randomUUID();
}

// jwtAccessTokens makes every token one for the resource server, the only way to
// a JWT. They can neither be introspected nor revoked.
function jwtAccessTokens(config) {
  if (config.access_tokens !== 'jwt') return {};
  return {
    resourceIndicators: {
      enabled: true,
      defaultResource: () => config.issuer,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: scopes.join(' '), audience: config.issuer, accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'PS256' } },
      }),
    },
  };
}

// newKeys are the signing keys of this run.
function newKeys(signingKey) {
  const rsa = signingKey ? createPrivateKey(signingKey) : generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return [
    { ...rsa.export({ format: 'jwk' }), kid: 'ps256', alg: 'PS256', use: 'sig' },
    { ...ec.export({ format: 'jwk' }), kid: 'es256', alg: 'ES256', use: 'sig' },
  ];
}

// newFetch is for the clients' jwks_uri.
function newFetch(roots) {
  const connect = roots ? { ca: readFileSync(roots) } : {};
  const dispatcher = new Agent({ connect });
  return (url, options) => fetch(url, { ...options, headers: Object.fromEntries(new Headers(options.headers)), dispatcher });
}
