// A third-party provider on the npm package openid-client: it registers at a bank
// and uses and ends its registration, all with openid-client's own functions, which
// hold the bank's answers to the RFCs.
//
//     node tpp.mjs <input.json
//
// One line of JSON on stdout says how each step went; no line has a secret or a
// token. A step that did not go as expected is the last, and the exit status is 1.
import * as client from 'openid-client';

import { Connection } from './connection.mjs';
import { describe, expect, refused } from './refusal.mjs';
import {
  authentication, metadata, readInput, signingKey,
} from './software.mjs';

class TPP {
  constructor(input, key) {
    this.input = input;
    this.key = key;
    this.issuer = new URL(input.issuer);
    this.authentication = authentication(input, key);
    this.connection = new Connection(input, key);
    this.options = { [client.customFetch]: this.connection.fetch, timeout: 15 };
    this.config = undefined; // openid-client's, with the registered metadata
    this.token = undefined;
    this.newToken = undefined; // got after the update
  }

  // discover reads a discovery document in openid-client's way, which wants to know
  // its client: nobody is registered yet.
  async discover(algorithm) {
    const config = await client.discovery(this.issuer, 'nobody', undefined, client.None(), { ...this.options, algorithm });
    const server = config.serverMetadata();
    expect(server.issuer === this.input.issuer, `the issuer is ${server.issuer}`);
    return `registration_endpoint ${new URL(server.registration_endpoint).pathname}`;
  }

  async register() {
    const { input } = this;
    this.config = await client.dynamicClientRegistration(this.issuer, metadata(input, input.redirect_uris), this.authentication, {
      ...this.options, initialAccessToken: input.registration_token,
    });
    this.use(this.config.clientMetadata());
    return this.registered();
  }

  // use goes on as a client with this metadata, as a TPP does that was started anew.
  use(registered) {
    this.config = new client.Configuration(this.config.serverMetadata(), registered.client_id, registered, this.authentication);
    this.config[client.customFetch] = this.connection.fetch;
    this.config.timeout = this.options.timeout;
    if (this.input.response_types.includes('code id_token')) client.useCodeIdTokenResponseType(this.config);
  }

  registered() {
    const { token_endpoint_auth_method: method, redirect_uris: uris } = this.config.clientMetadata();
    expect(method === this.input.auth_method, `registered with ${method}`);
    return `${method}, ${uris.length} redirect URIs`;
  }

  async getToken() {
    // openid-client sends no scope unless it is told one.
    const { token_scope: scope } = this.input;
    const answer = await client.clientCredentialsGrant(this.config, scope ? { scope } : undefined);
    this.token = answer.access_token;
    return described(answer);
  }

  async getNewToken() {
    const scope = this.input.scope.split(' ').filter((each) => each !== 'openid').join(' ');
    const answer = await client.clientCredentialsGrant(this.config, { scope });
    this.newToken = answer.access_token;
    return described(answer);
  }

  async introspect(active) {
    const answer = await client.tokenIntrospection(this.config, this.token);
    expect(answer.active === active, `active is ${answer.active}`);
    return `active ${answer.active}`;
  }

  // manage calls the registration: openid-client has no functions for RFC 7592, but
  // sends the token, and reads the challenge of an answer that has one.
  async manage(method, token, body) {
    const { registration_endpoint: endpoint } = this.config.serverMetadata();
    const { client_id: id } = this.config.clientMetadata();
    const headers = new Headers({ accept: 'application/json' });
    if (body) headers.set('content-type', 'application/json');
    return client.fetchProtectedResource(
      this.config, token, new URL(`${endpoint}/${encodeURIComponent(id)}`), method, body && JSON.stringify(body), headers,
    );
  }

  async read() {
    const registered = await json(await this.manage('GET', this.token));
    const { client_id: id } = this.config.clientMetadata();
    expect(registered.client_id === id, 'another client_id');
    this.use(registered);
    return this.registered();
  }

  // update keeps the first redirect URI. RFC 7592 section 2.2 wants client_id in it.
  async update() {
    const { client_id: id } = this.config.clientMetadata();
    const [first] = this.input.redirect_uris;
    const registered = await json(await this.manage('PUT', this.token, { ...metadata(this.input, [first]), client_id: id }));
    expect(registered.client_id === id && registered.redirect_uris.join() === first, `registered ${registered.redirect_uris}`);
    this.use(registered);
    return this.registered();
  }

  // push sends a request, signed (RFC 9101) where the server takes that, to the PAR
  // endpoint (RFC 9126).
  async push() {
    if (!this.config.serverMetadata().pushed_authorization_request_endpoint) return 'the authorization server has none';
    const parameters = {
      redirect_uri: this.input.redirect_uris[0],
      scope: this.input.scope,
      response_type: this.input.response_types[0],
      nonce: client.randomNonce(),
      state: client.randomState(),
      code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
      code_challenge_method: 'S256',
    };
    const { searchParams } = this.input.sign_requests
      ? await client.buildAuthorizationUrlWithJAR(this.config, parameters, this.key)
      : client.buildAuthorizationUrl(this.config, parameters);
    const url = await client.buildAuthorizationUrlWithPAR(this.config, searchParams);
    expect(url.searchParams.get('request_uri'), 'no request_uri');
    return `to ${url.pathname} with ${[...url.searchParams.keys()].join(' and ')}`;
  }

  async revoke() {
    await client.tokenRevocation(this.config, this.token);
    return '';
  }

  async delete() {
    const response = await this.manage('DELETE', this.newToken);
    expect(response.status === 204, `status ${response.status}`);
    return '';
  }

  // steps go in order: each needs what the ones before it got.
  steps() {
    return [
      ['discovery', () => this.discover('oidc')],
      ['discovery of RFC 8414', () => this.discover('oauth2')],
      ['register', () => this.register()],
      ['token', () => this.getToken()],
      ['introspect', () => this.introspect(true)],
      ['read', () => this.read()],
      ['update', () => this.update()],
      ['token after update', () => this.getNewToken()],
      ['par', () => this.push()],
      ['revoke', () => this.revoke()],
      ['introspect after revoke', () => this.introspect(false)],
      ['read after revoke', () => refused('invalid_token', this.manage('GET', this.token))],
      ['delete', () => this.delete()],
      ['read after delete', () => refused('invalid_token', this.manage('GET', this.newToken))],
      ['token after delete', () => refused('invalid_client', client.clientCredentialsGrant(this.config))],
    ];
  }
}

function described(token) {
  return `${token.token_type}, expires in ${token.expires_in} s, scope ${token.scope ?? 'not told'}`;
}

async function json(response) {
  if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`);
  return response.json();
}

async function main() {
  const input = readInput();
  const tpp = new TPP(input, await signingKey(input));
  try {
    for (const [step, run] of tpp.steps()) {
      let ok = true;
      tpp.connection.status = 0;
      const detail = await run().catch((err) => {
        ok = false;
        return describe(err);
      });
      process.stdout.write(`${JSON.stringify({ step, ok, status: tpp.connection.status, detail: detail.slice(0, 500) })}\n`);
      if (!ok) {
        process.exitCode = 1;
        return;
      }
    }
  } finally {
    await tpp.connection.close();
  }
}

main().catch((err) => {
  console.error(err);
  process.exitCode = 1;
});
