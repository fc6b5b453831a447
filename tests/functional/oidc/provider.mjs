// A real OpenID Connect provider (oidc-provider) whose people, clock, keys and presence the tests change.
// Arguments: the Hub's address and the client's secret; for others than this machine, its own address, certificate and key. It prints one line of JSON with its two addresses.
// What the tests change comes as JSON to the second address, which has nothing to do with OpenID Connect.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import Provider from 'oidc-provider';

const [hub, secret, host = '127.0.0.1', certificate, key] = process.argv.slice(2);
const realNow = Date.now;
const state = { people: new Map(), offset: 0, refresh: true, secret, keys: [newKey()] };
Date.now = () => realNow() + state.offset * 1000;

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

// Everything it keeps, so that a new key does not end all sessions.
const kept = new Map();
class Kept {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async find(id) { return kept.get(this.key(id)); }
  async findByUid(uid) { return [...kept.values()].find((one) => one.kind === 'Session' && one.uid === uid); }
  async findByUserCode() { return undefined; }
  async upsert(id, payload) { kept.set(this.key(id), payload); }
  async destroy(id) { kept.delete(this.key(id)); }
  async consume(id) { kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async revokeByGrantId(grantId) {
    for (const [key, payload] of kept) if (payload.grantId === grantId) kept.delete(key);
  }
}

function make() {
  const made = new Provider(issuer, {
    adapter: Kept,
    jwks: { keys: state.keys },
    clockTolerance: 0,
    cookies: { keys: ['only for tests'] },
    clients: [{
      client_id: 'hub-ext',
      client_secret: state.secret,
      redirect_uris: [`${hub}/hub/oauth_callback`],
      post_logout_redirect_uris: [`${hub}/hub/login`],
      backchannel_logout_uri: `${hub}/hub/backchannel_logout`,
      backchannel_logout_session_required: true,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    }],
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups', 'employee'] },
    features: {
      devInteractions: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      backchannelLogout: { enabled: true },
    },
    pkce: { required: () => true },
    issueRefreshToken: async () => state.refresh,
    rotateRefreshToken: () => true,
    ttl: {
      AccessToken: 3600, RefreshToken: 86400, IdToken: 3600, AuthorizationCode: 300, Grant: 86400, Session: 86400,
      Interaction: 3600,
    },
    async findAccount(_ctx, sub) {
      const person = state.people.get(sub);
      return person && { accountId: sub, claims: async () => ({ sub, ...person }) };
    },
  });
  made.on('server_error', (_ctx, error) => console.error(error));
  return made;
}

const forward = (request, response) => answer(request, response);
const server = certificate
  ? createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, forward) : createServer(forward);
const listen = (one, port, at) => new Promise((done) => { one.listen(port, at, done); });
await listen(server, 0, host);
const { port } = server.address();
const issuer = `${certificate ? 'https' : 'http'}://${host}:${port}`;
let provider = make();
const answer = (request, response) => provider.callback()(request, response);

const acts = {
  people: ({ people }) => Object.entries(people).forEach(([sub, one]) => (one ? state.people.set(sub, one) : state.people.delete(sub))),
  set: ({ values }) => { Object.assign(state, values); if ('secret' in values) provider = make(); },
  rotate: () => { state.keys = [newKey()]; provider = make(); },
  // What an admin of the provider does: all that somebody was granted is void.
  revoke: ({ sub }) => { for (const [key, one] of kept) if (one.accountId === sub && one.kind !== 'Session') kept.delete(key); },
  // Some tokens of somebody are over, as if their time had come.
  expire: ({ sub, kinds }) => {
    for (const one of kept.values()) if (one.accountId === sub && kinds.includes(one.kind)) one.exp = 1;
  },
  // Another application that people may be signed in to.
  client: ({ id, back }) => kept.set(`Client:${id}`, {
    client_id: id, client_secret: secret, redirect_uris: [back], grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }),
  down: async () => { server.closeAllConnections(); await new Promise((done) => { server.close(done); server.closeAllConnections(); }); },
  up: () => listen(server, port, host),
  // A logout token as the provider makes it, to be changed and sent by a test.
  token: async ({ sub, sid }) => {
    const client = await provider.Client.find('hub-ext');
    const token = new provider.IdToken({ sub, ...(sid ? { sid } : {}) }, { client, ctx: undefined });
    token.mask = { sub: null };
    token.set('jti', randomUUID());
    token.set('events', { 'http://schemas.openid.net/event/backchannel-logout': {} });
    return token.issue({ use: 'logout' });
  },
};

const control = createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  try {
    const { act, ...rest } = JSON.parse(text);
    response.end(JSON.stringify((await acts[act](rest)) ?? null));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error.stack));
  }
});
await listen(control, 0, '127.0.0.1');
console.log(JSON.stringify({ issuer, control: `http://127.0.0.1:${control.address().port}` }));
process.stdin.resume().on('end', () => process.exit(0)); // the test that started it is gone
