// Our verifier and our clearance credentials over HTTP, with @openid4vc/openid4vp as the wallet and @sd-jwt as issuer and
// verifier.
const assert = require('node:assert');
const { after, before, test } = require('node:test');
const { getListFromStatusListJWT } = require('@sd-jwt/jwt-status-list');
const { Peer } = require('../../vc/node/support.cjs');
const { IDX, Issuer, SDJwtVcInstance, VCT, Wallet, digest, dpop, keyPair, now, scan, verifier } = require('./support.cjs');

const REVOKED = 11;
const ALL = { nationalities: { 0: true, 1: true } };

let ours;
let origin;
let issuer;
let holder;

before(async () => {
  ours = new Peer(process.env.WALLET_PEER);
  ({ origin } = await ours.ask('origin'));
  issuer = await new Issuer().start();
  issuer.statuses[REVOKED] = 1;
  holder = await keyPair();
  const trusted = { id: 'pid-provider', iss: issuer.iss, vct_values: [VCT], keys: 'discovered' };
  assert.deepStrictEqual(await ours.ask('trust', { issuer: trusted }), {});
});
after(() => {
  issuer.stop();
  ours.stop();
});

const link = async () => (await ours.ask('link')).link.split('/').pop();
const countries = async () => (await ours.ask('held')).claims.map((claim) => claim.country).sort();

async function post(path, body, headers = {}) {
  const options = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
  return fetch(`${origin}${path}`, { ...options, body: JSON.stringify(body) });
}

/** Begins a presentation and lets the wallet fetch the request. */
async function asked(wallet) {
  const begun = await (await post('/wallet/presentations', { link: await link() })).json();
  return { begun, resolved: await wallet.resolve(begun.wallet_url) };
}

async function walletOf(nationalities, idx) {
  return new Wallet(issuer, holder, await issuer.issue(holder, nationalities, idx));
}

async function until(done, seconds) {
  for (let tries = 0; tries < seconds * 4; tries += 1) {
    if (await done()) return;
    await new Promise((wake) => setTimeout(wake, 250));
  }
  assert.fail(`not within ${seconds} s`);
}

test('a wallet takes our signed request for what it is', async () => {
  const { resolved } = await asked(await walletOf());
  assert.strictEqual(resolved.version, 100);
  assert.strictEqual(resolved.client.prefix, 'x509_hash');
  const { response_mode: mode, response_type: type } = resolved.authorizationRequestPayload;
  assert.deepStrictEqual([mode, type], ['direct_post.jwt', 'vp_token']);
  assert.deepStrictEqual(resolved.dcql.query.credentials[0].meta.vct_values, [VCT]);
});

test('a person comes by a link once, and the page opens the wallet there or by its code', async () => {
  const { link: path } = await ours.ask('link');
  const door = await (await fetch(`${origin}${path}`)).text();
  assert.match(door, /<form method="post">/);
  const press = () => fetch(`${origin}${path}`, { method: 'POST', redirect: 'manual' });
  const pressed = await press();
  assert.strictEqual(pressed.status, 303);
  const page = await (await fetch(`${origin}${pressed.headers.get('location')}`)).text();
  const url = /href="(openid4vp:[^"]*)"/.exec(page)[1].replaceAll('&amp;', '&');
  assert.strictEqual(scan(page), url);
  const { authorizationRequestPayload: request } = await (await walletOf()).resolve(url);
  assert.strictEqual(request.response_type, 'vp_token');
  assert.strictEqual((await press()).status, 404);
});

test('what a wallet does not show in full, or binds to another request, is not attested', async () => {
  const wallet = await walletOf();
  const wrong = [
    [{ nationalities: { 0: true } }, {}, /withholds/],
    [ALL, { nonce: 'other' }, /nonce/],
    [ALL, { aud: 'x509_hash:other' }, /aud/],
    [ALL, { iat: 1 }, /ago/],
  ];
  for (const [shown, changes, word] of wrong) {
    const { resolved } = await asked(wallet);
    const response = await wallet.answer(resolved, shown, changes);
    assert.strictEqual(response.status, 400);
    assert.match((await response.json()).error_description, word);
  }
  assert.deepStrictEqual(await countries(), []);
});

test('an unknown nationality and a revoked credential are not attested', async () => {
  const unknown = await walletOf(['QU']);
  let { resolved } = await asked(unknown);
  assert.strictEqual((await unknown.answer(resolved, { nationalities: { 0: true } })).status, 400);
  const revoked = await walletOf(['FR'], REVOKED);
  ({ resolved } = await asked(revoked));
  assert.strictEqual((await revoked.answer(resolved, { nationalities: { 0: true } })).status, 403);
  assert.deepStrictEqual(await countries(), []);
});

test('what a wallet presents encrypted is attested, once, and withdrawn when the issuer revokes it', async () => {
  const wallet = await walletOf();
  const { begun, resolved } = await asked(wallet);
  const response = await wallet.answer(resolved, ALL);
  assert.strictEqual(response.status, 200, await response.clone().text());
  assert.strictEqual((await response.json()).redirect_uri, `${origin}/wallet/present/${begun.id}`);
  assert.deepStrictEqual(await countries(), ['KR', 'US']);
  const outcome = await fetch(`${origin}/wallet/presentations/${begun.id}`);
  assert.deepStrictEqual(await outcome.json(), { state: 'accepted' });
  assert.strictEqual((await wallet.answer(resolved, ALL)).status, 404);
  issuer.statuses[IDX] = 1;
  await until(async () => (await countries()).length === 0, 30);
});

/** Has a clearance credential issued to the holder. */
async function cleared() {
  const headers = { dpop: await dpop(holder, `${origin}/wallet/clearances`) };
  return post('/wallet/clearances', { link: await link() }, headers);
}

/** A verifier of theirs, which finds our key and our list as anybody would. */
async function theirVerifier() {
  const metadata = await (await fetch(`${origin}/.well-known/jwt-vc-issuer`)).json();
  assert.strictEqual(metadata.issuer, origin);
  const verify = await verifier(metadata.jwks.keys[0]);
  return new SDJwtVcInstance({
    verifier: verify,
    statusVerifier: verify,
    kbVerifier: async (data, signature, payload) => (await verifier(payload.cnf.jwk))(data, signature),
    statusListFetcher: async (uri) => {
      const response = await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } });
      assert.strictEqual(response.headers.get('content-type'), 'application/statuslist+jwt');
      return response.text();
    },
    kbSigner: holder.sign,
    kbSignAlg: 'ES256',
    hasher: digest,
    hashAlg: 'sha-256',
  });
}

test('nothing is issued to a person of whom nothing is established', async () => {
  assert.strictEqual((await cleared()).status, 403);
});

test('they verify our clearance credential without what its holder withholds', async () => {
  await ours.ask('attest');
  const response = await cleared();
  assert.strictEqual(response.status, 201, await response.clone().text());
  const { credential } = await response.json();
  const theirs = await theirVerifier();
  const kb = { payload: { iat: now(), aud: 'https://lab.example', nonce: 'n-1' } };
  const presentation = await theirs.present(credential, { organizations: true }, { kb });
  const { payload } = await theirs.verify(presentation, { keyBindingNonce: 'n-1' });
  assert.deepStrictEqual([payload.organizations, payload.standing], [['larkspur'], undefined]);
  await assert.rejects(theirs.verify(presentation, { keyBindingNonce: 'n-2' }));
  await ours.ask('withdraw');
});

test('they verify our clearance credential, until what it says ends', async () => {
  await ours.ask('attest');
  const response = await cleared();
  assert.strictEqual(response.status, 201, await response.clone().text());
  const { credential } = await response.json();
  const theirs = await theirVerifier();
  const verified = await theirs.verify(credential);
  assert.strictEqual(verified.payload.vct, 'urn:exeat:clearance:1');
  assert.deepStrictEqual(verified.payload.organizations, ['larkspur']);
  assert.strictEqual(verified.payload.standing, 'us_person');
  const { uri } = verified.payload.status.status_list;
  const list = getListFromStatusListJWT(await (await fetch(uri)).text());
  assert.strictEqual(list.getStatus(verified.payload.status.status_list.idx), 0);
  await ours.ask('withdraw');
  await until(() => theirs.verify(credential).then(() => false, (fault) => /[Ss]tatus/.test(fault.message)), 2);
});
