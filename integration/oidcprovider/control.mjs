// The control listener, on which tests look at the server and provoke faults.
// Its client is Process of ../authserverprocess.

const faultFields = new Set(['path_contains', 'method', 'times', 'after', 'hold', 'delay_ms', 'drop', 'status', 'body', 'header', 'set']);

// controlHandler takes the edge and a function that returns all registered clients.
export function controlHandler(edge, clients) {
  const routes = {
    'GET /requests': () => edge.requests,
    'POST /requests/reset': () => { edge.forget(); },
    'GET /clients': () => clients(),
    'POST /faults': async (req) => { edge.add(await readFault(req)); },
    'GET /faults/held': (req, url) => edge.waitHeld(Number(url.searchParams.get('count'))),
    'POST /faults/release': () => { edge.release(); },
    'POST /faults/reset': () => { edge.reset(); },
  };
  return async (req, res) => {
    try {
      const url = new URL(req.url, 'http://control');
      const route = routes[`${req.method} ${url.pathname}`];
      if (!route) {
        res.writeHead(404).end();
        return;
      }
      const value = await route(req, url);
      if (value === undefined) {
        res.writeHead(204).end();
        return;
      }
      res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    } catch (err) {
      res.writeHead(400).end(err.message);
    }
  };
}

async function readFault(req) {
  let raw = '';
  for await (const chunk of req) raw += chunk;
  const fault = JSON.parse(raw);
  const unknown = Object.keys(fault).filter((name) => !faultFields.has(name));
  if (unknown.length) throw new Error(`unknown fields: ${unknown.join(', ')}`);
  return fault;
}
