// The connection to the bank: over mTLS, and with every JSON body signed, which
// is all that Open Banking wants beyond what openid-client does by itself.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { SignJWT } from 'jose';
import { Agent, Headers, fetch } from 'undici';

// lifetime of a signed body, in seconds: that of real tools.
const lifetime = 3600;

export class Connection {
  // key is { key, kid } as openid-client takes it.
  constructor(input, key) {
    this.input = input;
    this.key = key;
    // Only an agent of the same undici as fetch is sure to fit: Node's own fetch has another.
    this.agent = new Agent({
      connect: {
        ca: readFileSync(input.ca_file),
        cert: readFileSync(input.transport_certificate_file),
        key: readFileSync(input.transport_key_file),
      },
    });
    this.status = 0; // of the last answer
    this.fetch = this.fetch.bind(this);
  }

  // fetch is openid-client's customFetch. It knows a registration request by its
  // type: all else that openid-client sends is a form.
  async fetch(url, options) {
    const headers = new Headers(options.headers);
    let { body } = options;
    if (headers.get('content-type') === 'application/json') {
      headers.set('content-type', 'application/jose');
      body = await this.sign(JSON.parse(body));
    }
    const response = await fetch(this.address(url, headers), { ...options, headers, body, dispatcher: this.agent });
    this.status = response.status;
    return response;
  }

  // address is where a request goes: forms to the authorization server itself, where
  // that takes certificates at an address of its own.
  address(url, headers) {
    if (!this.input.direct_origin || headers.get('content-type')?.split(';')[0] !== 'application/x-www-form-urlencoded') return url;
    return String(url).replace(new URL(url).origin, this.input.direct_origin);
  }

  // sign makes a registration request of metadata (Open Banking DCR v3.2): an
  // hour's life and a new jti each time.
  sign(metadata) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: this.input.software_id, aud: this.input.audience, iat: now, exp: now + lifetime, jti: randomUUID(),
    };
    return new SignJWT({ ...metadata, ...claims })
      .setProtectedHeader({ alg: this.input.signing_alg, kid: this.key.kid, typ: 'JWT' })
      .sign(this.key.key);
  }

  // close does not wait for answers that nobody read.
  close() {
    return this.agent.destroy();
  }
}
