// A real authorization server on the npm package oidc-provider, for end-to-end
// tests and the demo. It keeps everything in memory and approves every
// authorization request: never put it before users.
//
//     node server.mjs -config file.json
//
// The file is Config of ../authserverprocess/config.go. One line on stdout says
// where it listens. authserverprocess starts a bundle of this and its packages.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

import { controlHandler } from './control.mjs';
import { Edge } from './edge.mjs';
import { newProvider, approve } from './provider.mjs';
import { MemoryAdapter } from './adapter.mjs';

// stdout is for the ready line; oidc-provider writes its notices there.
console.info = console.error;
console.log = console.error;

const known = new Set([
  'listen', 'tls_cert', 'tls_key', 'client_ca', 'issuer', 'prefix', 'initial_access_token', 'client_id_header',
  'gateway_id', 'gateway_secret', 'registrar_id', 'registrar_secret', 'jwks_ca', 'trust_client_cert_header',
  'lock_header', 'lock_secret', 'lock_mtls', 'access_tokens', 'signing_key', 'admin', 'control_listen', 'stop_at_stdin_end',
]);

function readConfig() {
  const at = process.argv.indexOf('-config');
  if (at < 0 || !process.argv[at + 1]) throw new Error('usage: node server.mjs -config file.json');
  const config = {
    listen: '127.0.0.1:0', control_listen: '127.0.0.1:0', prefix: '', access_tokens: 'opaque',
    ...JSON.parse(readFileSync(process.argv[at + 1], 'utf8')),
  };
  // A misspelt switch would be off without a word.
  const unknown = Object.keys(config).filter((name) => !known.has(name));
  if (unknown.length) throw new Error(`unknown fields: ${unknown.join(', ')}`);
  if (!['opaque', 'jwt'].includes(config.access_tokens)) throw new Error('access_tokens is neither opaque nor jwt');
  return config;
}

// mount serves the provider under the prefix, as its documentation has it:
// originalUrl tells it the path by which it names itself.
function mount(provider, prefix) {
  const callback = provider.callback();
  return (req, res) => {
    if (prefix && req.url !== prefix && !req.url.startsWith(`${prefix}/`)) {
      res.writeHead(404).end();
      return;
    }
    req.originalUrl = req.url;
    req.url = req.url.slice(prefix.length) || '/';
    if (req.url.startsWith('/interaction/')) {
      approve(provider, req, res);
      return;
    }
    callback(req, res);
  };
}

// locked keeps out whoever goes round the gateway.
function locked(config, next) {
  if (!config.lock_header) return next;
  return (req, res) => {
    if (req.headers[config.lock_header.toLowerCase()] !== config.lock_secret) {
      res.writeHead(403).end('only through the gateway');
      return;
    }
    next(req, res);
  };
}

function listen(server, address) {
  const colon = address.lastIndexOf(':');
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(address.slice(colon + 1)), address.slice(0, colon), () => {
      const bound = server.address();
      resolve(`${bound.address}:${bound.port}`);
    });
  });
}

async function main() {
  const config = readConfig();
  const serve = locked(config, mount(newProvider(config), config.prefix));
  const edge = new Edge(serve);
  const server = https.createServer({
    cert: readFileSync(config.tls_cert),
    key: readFileSync(config.tls_key),
    // A certificate is asked for, never required: certificate.mjs looks at socket.authorized.
    requestCert: Boolean(config.client_ca),
    rejectUnauthorized: Boolean(config.lock_mtls),
    ca: config.client_ca ? readFileSync(config.client_ca) : undefined,
  }, config.admin ? edge.handler : serve);
  // Go's transports keep idle connections for 90 s; Node's default of 5 s closes them under a POST.
  server.keepAliveTimeout = 120_000;

  const servers = [server];
  const ready = { listen: await listen(server, config.listen) };
  if (config.admin) {
    const control = http.createServer(controlHandler(edge, () => MemoryAdapter.all('Client')));
    servers.push(control);
    ready.control = await listen(control, config.control_listen);
  }

  const stop = () => {
    edge.reset(); // a held request would hold the shutdown too
    for (const each of servers) {
      each.close();
      each.closeIdleConnections();
    }
    setTimeout(() => process.exit(0), 3000).unref();
    Promise.all(servers.map((each) => new Promise((done) => { each.on('close', done); }))).then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  if (config.stop_at_stdin_end) process.stdin.on('end', stop).resume();

  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
