// `oidc-provider` as the identity provider of an organization: its tokens at the gateway, and exchanged for ours.
'use strict'

const assert = require('node:assert/strict')
const { rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, before, describe, test } = require('node:test')
const oauth = require('oauth4webapi')
const { Idp, INSECURE, SECRET } = require('./provider.cjs')
const { PEM } = require('./certificate.cjs')
const { Exeat, LAB, certificate, claims } = require('./support.cjs')

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const CERTIFIED = { client_id: 'certified' }
/** The gateway asks again for keys no more often than every five seconds. */
const KEYS_WITHIN = 15_000

const secretFile = join(tmpdir(), `exeat-idp-secret-${process.pid}`)
let idp
let exeat
let sts

before(async () => {
  idp = await Idp.start()
  writeFileSync(secretFile, SECRET, { mode: 0o600 })
  const introspection = { endpoint: idp.metadata.introspection_endpoint, client_id: 'gateway', client_secret_file: secretFile, remember_seconds: 1 }
  exeat = await Exeat.start([{ channel: 'larkspur-idp', issuer: idp.url, jwks_uri: idp.metadata.jwks_uri, introspection }])
  idp.resource = exeat.origin
  await exeat.admin('POST', '/admin/v1/organizations', { id: LAB, legal_name: 'Larkspur Labs, Inc.', country: 'US', kind: 'us', screening: 'cleared', coverage: 'none', resells: false })
  await exeat.person('ada')
  await exeat.set('token_issuer', { channel: 'larkspur-idp', organization: LAB, issuer: idp.url, audiences: ['app', exeat.origin], keys: 'discovered', algorithms: ['RS256'], speaks_of: 'people', scopes: ['models'] })
  await exeat.set('token_account', { channel: 'larkspur-idp', subject: 'u-1', person: 'ada' })
  const answer = await oauth.discoveryRequest(new URL(exeat.origin), { algorithm: 'oauth2', ...INSECURE })
  sts = await oauth.processDiscoveryResponse(new URL(exeat.origin), answer)
})

after(async () => {
  await exeat?.stop()
  idp?.stop()
  rmSync(secretFile, { force: true })
})

const cli = { client_id: 'cli' }

async function exchanged(token, kind, options = {}) {
  const parameters = { subject_token: token, subject_token_type: kind }
  const answer = await oauth.genericTokenEndpointRequest(sts, cli, oauth.None(), EXCHANGE, parameters, { ...INSECURE, ...options })
  return oauth.processGenericTokenEndpointResponse(sts, cli, answer)
}

async function withNonce(ask) {
  try {
    return await ask()
  } catch (error) {
    assert.ok(oauth.isDPoPNonceError(error), error)
    return ask()
  }
}

const status = async (token, more) => (await exeat.call({ authorization: `Bearer ${token}`, ...more })).status
const refused = (error) => error instanceof oauth.ResponseBodyError && error.error === 'invalid_grant'

/** Calls the model with a token that is bound to the key of `DPoP`. */
function callWith(DPoP, token) {
  const body = JSON.stringify({ model: 'ember-2', messages: [{ role: 'user', content: 'Hi' }] })
  const headers = new Headers({ 'content-type': 'application/json' })
  return withNonce(() => oauth.protectedResourceRequest(token, 'POST', new URL(exeat.chat), headers, body, { DPoP, ...INSECURE }))
}

describe('a provider of others', { concurrency: false }, () => {
  test('logs a person in, whose access token calls the model and whose ID token becomes a token of ours', async () => {
    const tokens = await idp.login()
    assert.equal(await status(tokens.access_token), 200)
    assert.equal(await status(tokens.id_token), 401)
    for (const [token, kind] of [[tokens.id_token, ID_TOKEN], [tokens.access_token, ACCESS_TOKEN]]) {
      const ours = await exchanged(token, kind)
      assert.equal(claims(ours.access_token).sub, 'person:ada')
      assert.equal(await status(ours.access_token), 200)
    }
    await assert.rejects(exchanged(tokens.id_token, ACCESS_TOKEN), refused)
    await assert.rejects(exchanged(tokens.access_token, ID_TOKEN), refused)
  })

  test('vouches for an application, which is nobody that we know', async () => {
    const { access_token } = await idp.credentials()
    assert.equal(await status(access_token), 403)
    await assert.rejects(exchanged(access_token, ACCESS_TOKEN), refused)
  })

  test('issues tokens for others, which open nothing here', async () => {
    idp.resource = 'https://other.example'
    const { access_token } = await idp.login()
    idp.resource = exeat.origin
    assert.equal(await status(access_token), 401)
    await assert.rejects(exchanged(access_token, ACCESS_TOKEN), refused)
  })

  test('binds a token to a key, which the gateway and the exchange ask for', async () => {
    const DPoP = oauth.DPoP(cli, await oauth.generateKeyPair('ES256'))
    const { access_token } = await idp.login({ DPoP })
    assert.equal(claims(access_token).cnf.jkt, await DPoP.calculateThumbprint())
    assert.equal((await callWith(DPoP, access_token)).status, 200)
    assert.equal(await status(access_token), 401)
    await assert.rejects(exchanged(access_token, ACCESS_TOKEN), refused)
    const ours = await withNonce(() => exchanged(access_token, ACCESS_TOKEN, { DPoP }))
    assert.equal((await callWith(DPoP, ours.access_token)).status, 200)
  })

  test('binds a token to a certificate, which the gateway and the exchange ask for', async () => {
    const mine = certificate(PEM.first)
    const { access_token } = await idp.login({ client: CERTIFIED, certificate: mine })
    assert.equal(claims(access_token).cnf['x5t#S256'], mine.sha256)
    assert.equal(await status(access_token, { 'client-cert': mine.header }), 200)
    for (const other of [{}, { 'client-cert': certificate(PEM.second).header }]) {
      assert.equal(await status(access_token, other), 401)
      await assert.rejects(exchanged(access_token, ACCESS_TOKEN, { headers: new Headers(other) }), refused)
    }
    const ours = await exchanged(access_token, ACCESS_TOKEN, { headers: new Headers({ 'client-cert': mine.header }) })
    assert.equal(claims(ours.access_token).cnf['x5t#S256'], mine.sha256)
  })

  test('is asked about an opaque token, which is good until it is revoked', async () => {
    idp.format = 'opaque'
    const { access_token } = await idp.login()
    idp.format = 'jwt'
    assert.ok(!access_token.includes('.'))
    assert.equal(await status(access_token), 200)
    await idp.revoke(access_token)
    await sleep(1_100)
    assert.equal(await status(access_token), 401)
  })

  test('changes its keys: a new token is taken within seconds, an old one no more', async () => {
    const before = await idp.login()
    assert.equal(await status(before.access_token), 200)
    idp.rotate()
    const { access_token, id_token } = await idp.login()
    const deadline = Date.now() + KEYS_WITHIN
    const taken = async () => (await status(access_token)) === 200 && (await exchanged(id_token, ID_TOKEN).catch(() => undefined))
    while (!(await taken())) {
      assert.ok(Date.now() < deadline, 'the new key is not found')
      await sleep(500)
    }
    assert.equal(await status(before.access_token), 401)
    await assert.rejects(exchanged(before.id_token, ID_TOKEN), refused)
  })
})
