// Credentials and status lists that cross between us and @sd-jwt, in both directions.
const assert = require('node:assert');
const { after, before, test } = require('node:test');
const { SDJwtVcInstance } = require('@sd-jwt/sd-jwt-vc');
const { digest, generateSalt } = require('@sd-jwt/crypto-nodejs');
const { SDJwtInstance } = require('@sd-jwt/core');
const { StatusList, getListFromStatusListJWT } = require('@sd-jwt/jwt-status-list');
const { Peer, b64u, keyPair, now, verifier } = require('./support.cjs');

const AUDIENCE = 'x509_san_dns:verifier.example.com';
const NONCE = 'n-0S6_WzA2Mj';
const VCT = 'urn:eudi:pid:1';

let ours;
let keys;
let issuer;
let holder;

before(async () => {
  ours = new Peer(process.env.VC_PEER);
  keys = await ours.ask('keys');
  issuer = await keyPair();
  holder = await keyPair();
});
after(() => ours.stop());

async function instance(Kind = SDJwtVcInstance, jwk = issuer.jwk) {
  return new Kind({
    signer: issuer.sign,
    signAlg: 'ES256',
    verifier: await verifier(jwk),
    kbSigner: holder.sign,
    kbSignAlg: 'ES256',
    kbVerifier: async (data, signature, payload) => (await verifier(payload.cnf.jwk))(data, signature),
    hasher: digest,
    hashAlg: 'sha-256',
    saltGenerator: generateSalt,
  });
}

const claims = (jwk) => ({
  iss: 'https://pid.example',
  vct: VCT,
  iat: now(),
  exp: now() + 3600,
  cnf: { jwk },
  nationalities: ['US', 'KR'],
  address: { city: 'Seoul', country: 'KR' },
  birthdate: '1815-12-10',
});
const frame = { _sd: ['birthdate', 'address', 'nationalities'], address: { _sd: ['city'] }, nationalities: { _sd: [0, 1] } };

async function presented(shown, { nonce = NONCE, aud = AUDIENCE, iat = now() } = {}) {
  const theirs = await instance();
  const credential = await theirs.issue(claims(holder.jwk), frame);
  return theirs.present(credential, shown, { kb: { payload: { iat, aud, nonce } } });
}

const verify = (presentation) => ours.ask('verify', { presentation, issuer: issuer.jwk, audience: AUDIENCE, nonce: NONCE });

test('what they issue and present we verify', async () => {
  const all = { birthdate: true, address: { city: true }, nationalities: { 0: true, 1: true } };
  const told = await verify(await presented(all));
  assert.deepStrictEqual(told.claims?.nationalities, ['US', 'KR'], told.fault);
  assert.strictEqual(told.claims.birthdate, '1815-12-10');
  assert.deepStrictEqual(told.claims.address, { city: 'Seoul', country: 'KR' });
  assert.deepStrictEqual(told.incomplete, []);
});

test('a nationality that they withhold we see is withheld', async () => {
  const told = await verify(await presented({ nationalities: { 0: true } }));
  assert.deepStrictEqual(told.claims?.nationalities, ['US'], told.fault);
  assert.deepStrictEqual(told.incomplete, ['nationalities']);
  assert.strictEqual(told.claims.birthdate, undefined);
});

test('a key binding of theirs for another request, verifier or time we refuse', async () => {
  for (const [changes, word] of [[{ nonce: 'other' }, 'nonce'], [{ aud: 'other' }, 'aud'], [{ iat: now() - 3600 }, 'ago'], [{ iat: now() + 3600 }, 'future']]) {
    const told = await verify(await presented({ birthdate: true }, changes));
    assert.match(told.fault ?? 'verified', new RegExp(word));
  }
});

test('a presentation of theirs with a disclosure taken away or twice we refuse', async () => {
  const parts = (await presented({ birthdate: true, nationalities: { 0: true } })).split('~');
  const fewer = [parts[0], ...parts.slice(2)].join('~');
  assert.ok((await verify(fewer)).fault);
  const twice = [parts[0], parts[1], ...parts.slice(1)].join('~');
  assert.match((await verify(twice)).fault, /twice/);
});

test('what we issue they verify, and what we bind they verify', async () => {
  const { credential } = await ours.ask('issue', {
    claims: claims(keys.holder),
    paths: [['birthdate'], ['nationalities', null], ['address', 'city'], ['address']],
  });
  const theirs = await instance(SDJwtVcInstance, keys.issuer);
  const read = await theirs.verify(credential);
  assert.deepStrictEqual(read.payload.nationalities, ['US', 'KR']);
  assert.deepStrictEqual(read.payload.address, { country: 'KR', city: 'Seoul' });
  const asked = { credential, names: ['birthdate'], audience: AUDIENCE, nonce: NONCE };
  const { presentation } = await ours.ask('present', asked);
  const bound = await theirs.verify(presentation, { keyBindingNonce: NONCE });
  assert.strictEqual(bound.payload.birthdate, '1815-12-10');
  assert.strictEqual(bound.payload.address, undefined);
  assert.strictEqual(bound.kb.payload.aud, AUDIENCE);
  await assert.rejects(theirs.verify(presentation, { keyBindingNonce: 'other' }));
});

test('a plain SD-JWT of theirs is not taken for a credential', async () => {
  const theirs = await instance(SDJwtInstance);
  const plain = await theirs.issue(claims(holder.jwk), { _sd: ['birthdate'] }, { header: { typ: 'example+sd-jwt' } });
  assert.match((await verify(plain)).fault, /typ/);
});

test('a status list of theirs we read, in every width', async () => {
  for (const bits of [1, 2, 4, 8]) {
    const statuses = Array.from({ length: 100 }, (_, at) => (at === 7 ? 1 : 0));
    const uri = 'https://pid.example/status/1';
    const list = new StatusList(statuses, bits);
    const head = b64u(JSON.stringify({ alg: 'ES256', typ: 'statuslist+jwt' }));
    const body = b64u(JSON.stringify({ sub: uri, iat: now(), ttl: 60, status_list: { bits, lst: list.compressStatusList() } }));
    const token = `${head}.${body}.${await issuer.sign(`${head}.${body}`)}`;
    for (const [idx, status] of [[7, 1], [6, 0]]) {
      const told = await ours.ask('status', { token, issuer: issuer.jwk, uri, idx });
      assert.strictEqual(told.status, status, told.fault);
    }
    assert.match((await ours.ask('status', { token, issuer: issuer.jwk, uri: `${uri}0`, idx: 7 })).fault, /sub/);
  }
});

test('a status list of ours they read, in every width', async () => {
  for (const bits of [1, 2, 4, 8]) {
    const asked = { uri: 'https://pid.example/status/1', bits, entries: 100, idx: 7, status: 1 };
    const { token } = await ours.ask('status_list', asked);
    const list = getListFromStatusListJWT(token);
    assert.deepStrictEqual([list.getStatus(6), list.getStatus(7)], [0, 1]);
  }
});
