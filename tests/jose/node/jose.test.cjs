// Tokens that cross between our JOSE core and two Node libraries, in both directions.
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { createInterface } = require('node:readline')
const { after, before, describe, test } = require('node:test')
const jose = require('jose')
const dpop = require('dpop')

const ALGS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']
const HTU = 'https://api.example.com/v1/chat/completions'
const AT = { typ: 'at+jwt' }

let peer
let answers

before(() => {
  peer = spawn(process.env.JOSE_PEER, { stdio: ['pipe', 'pipe', 'inherit'] })
  answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]()
})

after(() => peer.stdin.end())

/** Asks our side: one JSON object a line, in and out. */
async function ask(todo, members) {
  peer.stdin.write(`${JSON.stringify({ do: todo, ...members })}\n`)
  return JSON.parse((await answers.next()).value)
}

function claims() {
  const now = Math.floor(Date.now() / 1000)
  return { iss: 'https://issuer.example', sub: 'ada', aud: 'https://api.example', client_id: 'c1', iat: now, exp: now + 300, jti: 'j-1' }
}

describe('signatures', { concurrency: false }, () => {
  for (const alg of ALGS) {
    test(`what we sign with ${alg} is read`, async () => {
      const { token, jwk } = await ask('sign', { alg, typ: 'at+jwt', claims: claims() })
      const options = { algorithms: [alg], typ: 'at+jwt', issuer: 'https://issuer.example', audience: 'https://api.example' }
      const { payload, protectedHeader } = await jose.jwtVerify(token, await jose.importJWK(jwk), options)
      assert.equal(payload.sub, 'ada')
      assert.equal(protectedHeader.kid, await jose.calculateJwkThumbprint(jwk))
      const set = jose.createLocalJWKSet({ keys: [jwk] })
      await jose.jwtVerify(token, set, options)
    })

    test(`what is signed with ${alg} is read by us, and nothing that was changed`, async () => {
      const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true })
      const sent = claims()
      const token = await new jose.SignJWT(sent).setProtectedHeader({ alg, ...AT }).sign(privateKey)
      const jwk = await jose.exportJWK(publicKey)
      assert.deepEqual(await ask('verify', { use: 'at+jwt', token, jwk }), { claims: sent, alg })
      const [header, , signature] = token.split('.')
      const other = jose.base64url.encode(JSON.stringify({ ...sent, sub: 'eve' }))
      const changed = await ask('verify', { use: 'at+jwt', token: `${header}.${other}.${signature}`, jwk })
      assert.match(changed.error, /signature/)
      const secret = await ask('verify', { use: 'at+jwt', token, jwk: await jose.exportJWK(privateKey) })
      assert.match(secret.error, /private member/)
    })
  }

  test('the fully specified name Ed25519 is read by us', async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair('Ed25519')
    const token = await new jose.SignJWT(claims()).setProtectedHeader({ alg: 'Ed25519', ...AT }).sign(privateKey)
    assert.equal((await ask('verify', { use: 'at+jwt', token, jwk: await jose.exportJWK(publicKey) })).alg, 'EdDSA')
  })

  test('critical extensions and unsecured tokens are refused by us', async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair('ES256')
    const jwk = await jose.exportJWK(publicKey)
    const header = { alg: 'ES256', ...AT, crit: ['x'], x: 1 }
    const signing = new jose.CompactSign(new TextEncoder().encode(JSON.stringify(claims()))).setProtectedHeader(header)
    const token = await signing.sign(privateKey, { crit: { x: true } })
    assert.match((await ask('verify', { use: 'at+jwt', token, jwk })).error, /crit/)
    const unsecured = new jose.UnsecuredJWT(claims()).encode()
    assert.ok((await ask('verify', { use: 'JWT', token: unsecured, jwk })).error)
  })
})

describe('messages', { concurrency: false }, () => {
  for (const enc of ['A128GCM', 'A256GCM']) {
    test(`${enc} crosses in both directions`, async () => {
      const { privateKey, publicKey } = await jose.generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
      const made = await ask('encrypt', { plaintext: 'hello', jwk: await jose.exportJWK(publicKey), enc })
      const { plaintext } = await jose.compactDecrypt(made.token, privateKey, { contentEncryptionAlgorithms: [enc] })
      assert.equal(new TextDecoder().decode(plaintext), 'hello')
      const { jwk } = await ask('encryption_key', {})
      const encrypting = new jose.CompactEncrypt(new TextEncoder().encode('back'))
      encrypting.setProtectedHeader({ alg: 'ECDH-ES', enc })
      encrypting.setKeyManagementParameters({ apu: new Uint8Array([1]), apv: new Uint8Array([2, 3]) })
      const token = await encrypting.encrypt(await jose.importJWK(jwk, 'ECDH-ES'))
      assert.equal((await ask('decrypt', { token })).plaintext, 'back')
    })
  }
})

describe('proofs of possession', { concurrency: false }, () => {
  for (const alg of ['ES256', 'RS256', 'PS256', 'Ed25519']) {
    test(`a proof that is made with ${alg} counts for its request only`, async () => {
      const keys = await dpop.generateKeyPair(alg)
      const token = await dpop.generateProof(keys, HTU, 'POST', undefined, 'token')
      const now = Math.floor(Date.now() / 1000)
      const good = { token, htm: 'POST', htu: HTU, access_token: 'token', now }
      assert.equal((await ask('check_proof', good)).jkt, await dpop.calculateThumbprint(keys.publicKey))
      for (const other of [{ htm: 'PUT' }, { htu: `${HTU}/` }, { access_token: 'x' }, { now: now + 70 }]) {
        assert.ok((await ask('check_proof', { ...good, ...other })).error)
      }
    })
  }

  test('a proof that we make is read', async () => {
    const { token, jkt } = await ask('prove', { alg: 'ES256', htm: 'POST', htu: HTU, now: Math.floor(Date.now() / 1000) })
    const { payload, protectedHeader } = await jose.jwtVerify(token, jose.EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 30 })
    assert.deepEqual([payload.htm, payload.htu], ['POST', HTU])
    assert.equal(await jose.calculateJwkThumbprint(protectedHeader.jwk), jkt)
    assert.equal(protectedHeader.kid, undefined)
  })
})
