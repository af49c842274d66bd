// The store of the authorization server: unlike oidc-provider's own, which keeps
// 1000 entries of all kinds together, it forgets nothing but what has expired.

const grantable = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest']);

const models = new Map(); // model -> id -> { payload, expires }
const grants = new Map(); // grantId -> Set of "model:id"
const uids = new Map(); // Session uid -> id
const userCodes = new Map(); // user code -> id

function table(model) {
  if (!models.has(model)) models.set(model, new Map());
  return models.get(model);
}

export class MemoryAdapter {
  constructor(model) {
    this.model = model;
    this.table = table(model);
  }

  // all returns what is stored of one model, oldest first.
  static all(model) {
    return [...table(model).values()].map(({ payload }) => payload);
  }

  async upsert(id, payload, expiresIn) {
    // A Map keeps the place of a key that is set again.
    this.table.set(id, { payload, expires: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
    if (this.model === 'Session') uids.set(payload.uid, id);
    if (payload.userCode) userCodes.set(payload.userCode, id);
    if (payload.grantId && grantable.has(this.model)) {
      if (!grants.has(payload.grantId)) grants.set(payload.grantId, new Set());
      grants.get(payload.grantId).add(`${this.model}:${id}`);
    }
  }

  async find(id) {
    const entry = this.table.get(id);
    if (!entry) return undefined;
    if (entry.expires < Date.now()) {
      this.table.delete(id);
      return undefined;
    }
    return entry.payload;
  }

  async findByUid(uid) {
    return this.find(uids.get(uid));
  }

  async findByUserCode(userCode) {
    return this.find(userCodes.get(userCode));
  }

  async consume(id) {
    const entry = this.table.get(id);
    if (entry) entry.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.table.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const member of grants.get(grantId) ?? []) {
      const colon = member.indexOf(':');
      table(member.slice(0, colon)).delete(member.slice(colon + 1));
    }
    grants.delete(grantId);
  }
}
