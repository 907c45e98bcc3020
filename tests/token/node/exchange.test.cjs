// `oauth4webapi` and `openid-client` against our token service: discovery, every grant, DPoP, introspection, revocation.
'use strict'

const assert = require('node:assert/strict')
const { after, before, describe, test } = require('node:test')
const client = require('openid-client')
const oauth = require('oauth4webapi')
const { Exeat, LAB, Platform, certificate, claims } = require('./support.cjs')
const { PEM } = require('./certificate.cjs')

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const TXN_TOKEN = 'urn:ietf:params:oauth:token-type:txn_token'
const SUBJECT = 'system:serviceaccount:prod:api'
const INSECURE = { [oauth.allowInsecureRequests]: true }

const provider = new Platform('https://idp.larkspur.example')
const cluster = new Platform('https://k8s.larkspur.example')
let exeat
let secret
let server

before(async () => {
  exeat = await Exeat.start()
  await exeat.admin('POST', '/admin/v1/organizations', { id: LAB, legal_name: 'Larkspur Labs, Inc.', country: 'US', kind: 'us', screening: 'cleared', coverage: 'none', resells: false })
  await exeat.person('ada')
  await exeat.admin('POST', '/admin/v1/workloads', { id: 'api', purpose: 'answers', organization: LAB, owners: ['ada'] })
  const issuer = (channel, from, speaks_of) => ({
    channel, organization: LAB, issuer: from.issuer, audiences: [exeat.origin], keys: { given: { keys: [from.jwk] } }, algorithms: ['RS256'], speaks_of,
  })
  await exeat.set('token_issuer', { ...issuer('larkspur-idp', provider, 'people'), scopes: ['models'] })
  await exeat.set('token_issuer', issuer('larkspur-k8s', cluster, 'workloads'))
  await exeat.set('token_account', { channel: 'larkspur-idp', subject: 'u-1', person: 'ada' })
  await exeat.set('token_rule', {
    id: 'api', issuer: 'larkspur-k8s', audience: exeat.origin, claims: { sub: SUBJECT }, workload: 'api', organization: LAB, lifetime_s: 300, reusable: true,
  })
  const placed = await exeat.set('token_client', { id: 'siem', organization: LAB, scopes: ['token.introspect', 'token.revoke', 'ssf.read'], lifetime_s: 600 })
  secret = placed.secret
  const issuerUrl = new URL(exeat.origin)
  const answer = await oauth.discoveryRequest(issuerUrl, { algorithm: 'oauth2', ...INSECURE })
  server = await oauth.processDiscoveryResponse(issuerUrl, answer)
})

after(() => exeat?.stop())

const siem = { client_id: 'siem' }
const cli = { client_id: 'cli' }
const idToken = (more) => provider.token({ aud: exeat.origin, sub: 'u-1', ...more })
const assertion = (more) => cluster.token({ aud: exeat.origin, sub: SUBJECT, ...more })
const subject = (token, kind = ID_TOKEN) => ({ subject_token: token, subject_token_type: kind })

/** Asks for a token as a client that has no secret. */
async function granted(grant, parameters, options = {}) {
  const answer = await oauth.genericTokenEndpointRequest(server, cli, oauth.None(), grant, parameters, { ...INSECURE, ...options })
  return oauth.processGenericTokenEndpointResponse(server, cli, answer, options)
}

/** Asks so that a nonce is learned from the first refusal, as RFC 9449 section 8 has it. */
async function withNonce(DPoP, ask) {
  try {
    return await ask()
  } catch (error) {
    assert.ok(oauth.isDPoPNonceError(error), error)
    return ask()
  }
}

const refused = (code) => (error) => error instanceof oauth.ResponseBodyError && error.error === code

describe('our token service', { concurrency: false }, () => {
  test('is discovered by the metadata of RFC 8414', () => {
    assert.equal(server.issuer, exeat.origin)
    assert.ok(server.grant_types_supported.includes(EXCHANGE))
    assert.equal(new URL(server.token_endpoint).origin, exeat.origin)
  })

  test('exchanges a token of the provider for one that calls the model', async () => {
    const tokens = await granted(EXCHANGE, subject(idToken()))
    assert.equal(tokens.token_type, 'bearer')
    assert.equal(claims(tokens.access_token).sub, 'person:ada')
    assert.equal((await exeat.call({ authorization: `Bearer ${tokens.access_token}` })).status, 200)
  })

  test('gives no token for a stranger, an old token or another audience', async () => {
    for (const wrong of [{ sub: 'u-2' }, { exp: Math.floor(Date.now() / 1000) - 61 }, { aud: 'https://other.example' }]) {
      await assert.rejects(granted(EXCHANGE, subject(idToken(wrong))), refused('invalid_grant'), JSON.stringify(wrong))
    }
  })

  test('takes the generic grant of openid-client and its discovery', async () => {
    const config = await client.discovery(new URL(exeat.origin), 'cli', undefined, client.None(), { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })
    const tokens = await client.genericGrantRequest(config, EXCHANGE, subject(idToken()))
    assert.equal(claims(tokens.access_token).org, LAB)
    await assert.rejects(client.genericGrantRequest(config, EXCHANGE, subject('x')), { error: 'invalid_grant' })
  })

  test('turns a service account into its workload, which calls the model', async () => {
    const tokens = await granted(BEARER, { assertion: assertion() })
    assert.equal(claims(tokens.access_token).sub, 'workload:api')
    assert.equal((await exeat.call({ authorization: `Bearer ${tokens.access_token}` })).status, 200)
    await assert.rejects(granted(BEARER, { assertion: assertion({ sub: `${SUBJECT}2` }) }), refused('invalid_grant'))
  })

  test('binds a token to the key of a proof, after a nonce, and the gateway asks for that key', async () => {
    const DPoP = oauth.DPoP(cli, await oauth.generateKeyPair('ES256'))
    const tokens = await withNonce(DPoP, () => granted(EXCHANGE, subject(idToken()), { DPoP }))
    assert.equal(tokens.token_type, 'dpop')
    assert.equal(claims(tokens.access_token).cnf.jkt, await DPoP.calculateThumbprint())
    const call = () => oauth.protectedResourceRequest(tokens.access_token, 'POST', new URL(exeat.chat), new Headers({ 'content-type': 'application/json' }), JSON.stringify({ model: 'ember-2', messages: [{ role: 'user', content: 'Hi' }] }), { DPoP, ...INSECURE })
    const answer = await withNonce(DPoP, call)
    assert.equal(answer.status, 200)
    assert.equal((await exeat.call({ authorization: `Bearer ${tokens.access_token}` })).status, 401)
    const thief = oauth.DPoP(cli, await oauth.generateKeyPair('ES256'))
    await assert.rejects(withNonce(thief, () => granted(EXCHANGE, subject(tokens.access_token, ACCESS_TOKEN), { DPoP: thief })), refused('invalid_grant'))
  })

  test('binds a token to the certificate of the connection', async () => {
    const { header, sha256 } = certificate(PEM.first)
    const headers = new Headers({ 'client-cert': header })
    const tokens = await granted(EXCHANGE, subject(idToken()), { headers })
    assert.equal(claims(tokens.access_token).cnf['x5t#S256'], sha256)
    const authorization = `Bearer ${tokens.access_token}`
    assert.equal((await exeat.call({ authorization, 'client-cert': header })).status, 200)
    for (const other of [{}, { 'client-cert': certificate(PEM.second).header }]) {
      assert.equal((await exeat.call({ authorization, ...other })).status, 401)
    }
  })

  test('gives clients tokens by each way to authenticate, and refuses a wrong secret', async () => {
    for (const authentication of [oauth.ClientSecretBasic(secret), oauth.ClientSecretPost(secret)]) {
      const answer = await oauth.clientCredentialsGrantRequest(server, siem, authentication, { scope: 'ssf.read' }, INSECURE)
      const tokens = await oauth.processClientCredentialsResponse(server, siem, answer)
      assert.equal(claims(tokens.access_token).scope, 'ssf.read')
      assert.equal((await exeat.call({ authorization: `Bearer ${tokens.access_token}` })).status, 401)
    }
    const wrong = await oauth.clientCredentialsGrantRequest(server, siem, oauth.ClientSecretBasic('ex_client_x'), {}, INSECURE)
    await assert.rejects(oauth.processClientCredentialsResponse(server, siem, wrong))
  })

  test('takes a client assertion once', async () => {
    const { privateKey, publicKey } = await oauth.generateKeyPair('ES256', { extractable: true })
    const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'auditor-1', alg: 'ES256' }
    await exeat.set('token_client', { id: 'auditor', scopes: [], lifetime_s: 60, keys: { keys: { given: { keys: [jwk] } }, algorithms: ['ES256'] } })
    const auditor = { client_id: 'auditor' }
    let sent
    const spy = (url, options) => {
      sent = new URLSearchParams(options.body).get('client_assertion')
      return fetch(url, options)
    }
    const authentication = oauth.PrivateKeyJwt({ key: privateKey, kid: jwk.kid })
    const answer = await oauth.clientCredentialsGrantRequest(server, auditor, authentication, {}, { ...INSECURE, [oauth.customFetch]: spy })
    assert.equal(claims((await oauth.processClientCredentialsResponse(server, auditor, answer)).access_token).sub, 'client:auditor')
    const again = (as, its, body) => {
      body.set('client_id', 'auditor')
      body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
      body.set('client_assertion', sent)
    }
    const replayed = await oauth.clientCredentialsGrantRequest(server, auditor, again, {}, INSECURE)
    await assert.rejects(oauth.processClientCredentialsResponse(server, auditor, replayed))
  })

  test('tells clients what a token is, until one revokes it and calls with it end', async () => {
    const tokens = await granted(EXCHANGE, subject(idToken()))
    const told = async () => {
      const answer = await oauth.introspectionRequest(server, siem, oauth.ClientSecretBasic(secret), tokens.access_token, INSECURE)
      return oauth.processIntrospectionResponse(server, siem, answer)
    }
    const before = await told()
    assert.deepEqual([before.active, before.sub, before.scope], [true, 'person:ada', 'models'])
    const authorization = `Bearer ${tokens.access_token}`
    assert.equal((await exeat.call({ authorization })).status, 200)
    const answer = await oauth.revocationRequest(server, siem, oauth.ClientSecretBasic(secret), tokens.access_token, INSECURE)
    await oauth.processRevocationResponse(answer)
    assert.deepEqual(await told(), { active: false })
    assert.equal((await exeat.call({ authorization })).status, 401)
  })

  test('gives a workload word about the person it calls for, and the gateway takes it once', async () => {
    const actor = await granted(BEARER, { assertion: assertion() })
    const authorization = `Bearer ${actor.access_token}`
    const parameters = { ...subject(idToken()), actor_token: actor.access_token, actor_token_type: ACCESS_TOKEN, requested_token_type: TXN_TOKEN }
    const word = await oauth.genericTokenEndpointRequest(server, cli, oauth.None(), EXCHANGE, parameters, INSECURE).then((answer) => answer.json())
    assert.deepEqual([word.token_type, word.issued_token_type], ['N_A', TXN_TOKEN])
    const call = () => exeat.call({ authorization, 'txn-token': word.access_token })
    assert.equal((await call()).status, 200)
    assert.equal((await call()).status, 401)
    assert.equal((await exeat.call({ authorization: `Bearer ${word.access_token}` })).status, 401)
  })

  test('gives no token to anybody whose access was withdrawn, and their tokens end', async () => {
    const tokens = await granted(EXCHANGE, subject(idToken()))
    await exeat.admin('PATCH', '/admin/v1/people/ada', { active: false })
    await assert.rejects(granted(EXCHANGE, subject(idToken())), refused('invalid_grant'))
    await assert.rejects(granted(BEARER, { assertion: assertion() }), refused('invalid_grant'))
    assert.equal((await exeat.call({ authorization: `Bearer ${tokens.access_token}` })).status, 403)
    await exeat.admin('PATCH', '/admin/v1/people/ada', { active: true })
    assert.equal((await granted(EXCHANGE, subject(idToken()))).token_type, 'bearer')
  })
})
