// Stands between the network and the server: records requests and provokes
// faults. Request and Fault are those of ../authserverprocess/config.go.

const maxRecorded = 16 << 10;

export class Edge {
  constructor(serve) {
    this.serve = serve;
    this.requests = [];
    this.faults = [];
    this.gates = new Set(); // one function for each held request
    this.waiting = new Set(); // of waitHeld
    this.handler = (req, res) => {
      this.handle(req, res).catch((err) => {
        console.error(err);
        res.destroy();
      });
    };
  }

  async handle(req, res) {
    const record = this.record(req);
    const fault = this.match(req);
    this.intercept(res, record, fault?.after ? fault : undefined);
    if (fault && !fault.after) {
      await this.hold(fault, res);
      if (fault.drop || res.destroyed) {
        res.destroy();
        return;
      }
      if (fault.status) {
        answer(res, fault);
        return;
      }
    }
    this.serve(req, res);
  }

  // intercept notes the status before the answer is sent and, given a fault, lets
  // it come between the work and the answer.
  intercept(res, record, fault) {
    const send = res.end;
    res.end = (...args) => {
      res.end = send;
      record.status = res.statusCode;
      if (!fault) return res.end(...args);
      this.hold(fault, res).then(() => {
        if (fault.drop || res.destroyed) {
          res.destroy();
          return;
        }
        if (fault.status) {
          record.status = fault.status;
          answer(res, fault);
          return;
        }
        res.end(...changed(res, fault, args));
      });
      return res;
    };
  }

  // hold waits until a held request is released, and then as long as the delay.
  async hold(fault, res) {
    if (fault.hold) {
      await new Promise((resolve) => {
        this.gates.add(resolve);
        res.once('close', () => {
          this.gates.delete(resolve);
          resolve();
        });
        for (const check of this.waiting) check();
      });
    }
    if (fault.delay_ms) await new Promise((resolve) => { setTimeout(resolve, fault.delay_ms); });
  }

  // waitHeld resolves when count requests are held.
  waitHeld(count) {
    return new Promise((resolve) => {
      const check = () => {
        if (this.gates.size < count) return;
        this.waiting.delete(check);
        resolve();
      };
      this.waiting.add(check);
      check();
    });
  }

  release() {
    for (const open of this.gates) open();
    this.gates.clear();
  }

  reset() {
    this.faults = [];
    this.release();
  }

  add(fault) {
    this.faults.push({ ...fault, times: fault.times || 1 });
  }

  // match takes one of the times of the oldest fault that fits.
  match(req) {
    const { pathname } = split(req.url);
    const fault = this.faults.find((each) => each.times !== 0
      && pathname.includes(each.path_contains ?? '')
      && (!each.method || each.method === req.method));
    if (fault && fault.times > 0) fault.times -= 1;
    return fault;
  }

  record(req) {
    const { pathname, query } = split(req.url);
    const headers = {};
    for (let i = 0; i < req.rawHeaders.length; i += 2) {
      (headers[req.rawHeaders[i]] ??= []).push(req.rawHeaders[i + 1]);
    }
    const record = {
      method: req.method, target: req.url, path: pathname, query, headers, body_length: 0, body: '', status: 0,
    };
    this.requests.push(record);

    // The provider reads the body itself; the parser hands every chunk to push.
    const { push } = req;
    req.push = (chunk, encoding) => {
      if (chunk) {
        record.body_length += chunk.length;
        if (record.body.length < maxRecorded) record.body += chunk.toString('utf8');
      }
      return push.call(req, chunk, encoding);
    };
    return record;
  }

  forget() {
    this.requests = [];
  }
}

// changed are the arguments of res.end with the members of a JSON answer that a
// fault sets.
function changed(res, fault, args) {
  if (!fault.set) return args;
  const body = JSON.stringify({ ...JSON.parse(args[0].toString()), ...fault.set });
  res.setHeader('Content-Length', Buffer.byteLength(body));
  return [body];
}

function answer(res, fault) {
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  res.statusCode = fault.status;
  res.setHeader('Content-Type', 'application/json');
  for (const [name, value] of Object.entries(fault.header ?? {})) res.setHeader(name, value);
  res.end(fault.body ?? '');
}

function split(url) {
  const mark = url.indexOf('?');
  return mark < 0 ? { pathname: url, query: '' } : { pathname: url.slice(0, mark), query: url.slice(mark + 1) };
}
