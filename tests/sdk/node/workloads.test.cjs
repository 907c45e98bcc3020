// Programs without a key: the SDKs exchange the token that their platform gives them.
'use strict';

const assert = require('node:assert/strict');
const { generateKeyPairSync, randomUUID, sign } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Anthropic, OpenAI, admin, ask, baseUrl, best } = require('./support.cjs');

const LAB = 'larkspur-labs';
const SUBJECT = 'system:serviceaccount:prod:sdk';
const name = `sdk-node-${process.pid}`;
const issuer = `https://${name}.k8s.example`;
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const file = path.join(os.tmpdir(), `${name}.token`);
const short = { model: best, messages: ask(), max_tokens: 4 };

/** What the platform says that a program is. */
function token(sub = SUBJECT) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'RS256', kid: 'k1' })}.${part({ iss: issuer, aud: ['exeat'], sub, iat: now, exp: now + 3600, jti: randomUUID() })}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
}

before(async () => {
  const set = (kind, setting) => admin('POST', `/admin/v1/sources/${kind}`, setting);
  const keys = { given: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256' }] } };
  await set('token_issuer', { channel: name, organization: LAB, issuer, audiences: ['exeat'], keys, algorithms: ['RS256'], speaks_of: 'workloads' });
  await admin('POST', '/admin/v1/workloads', { id: name, purpose: 'SDK tests', organization: LAB, owners: ['ada'], recipients: ['ada'] });
  await set('token_rule', { id: name, issuer: name, audience: 'exeat', claims: { sub: SUBJECT }, workload: name, organization: LAB, lifetime_s: 300, reusable: true });
  delete process.env.ANTHROPIC_API_KEY;
  const variables = { BASE_URL: baseUrl, IDENTITY_TOKEN_FILE: file, FEDERATION_RULE_ID: name, ORGANIZATION_ID: LAB };
  for (const [variable, value] of Object.entries(variables)) process.env[`ANTHROPIC_${variable}`] = value;
});

after(() => fs.rmSync(file, { force: true }));

test('the Anthropic SDK gets a token and an answer from variables alone', async () => {
  fs.writeFileSync(file, token());
  const answer = await new Anthropic().messages.create(short);
  assert.equal(answer.type, 'message');
});

test('a program that no rule is about gets no token', async () => {
  fs.writeFileSync(file, token('system:serviceaccount:prod:other'));
  await assert.rejects(new Anthropic().messages.create(short), /invalid_grant/);
});

test('the OpenAI SDK calls with a function that exchanges the token of a file', async () => {
  fs.writeFileSync(file, token());
  const apiKey = async () => {
    const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: fs.readFileSync(file, 'utf8') };
    const answer = await fetch(`${baseUrl}/v1/oauth/token`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(grant) });
    return (await answer.json()).access_token;
  };
  const answer = await new OpenAI({ apiKey, baseURL: `${baseUrl}/v1` }).chat.completions.create(short);
  assert.ok(['stop', 'length'].includes(answer.choices[0].finish_reason));
});
