// A real `exeat serve` with one model behind it, and an identity provider of others beside it.
'use strict'

const { spawn } = require('node:child_process')
const { X509Certificate, createHash, generateKeyPairSync, randomUUID, sign } = require('node:crypto')
const { mkdtempSync, readFileSync, rmSync, writeFileSync, openSync } = require('node:fs')
const http = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const LAB = 'larkspur-labs'
const MODEL = 'ember-2'
const READY_WITHIN = 30_000

/** Listens on a free port of the loopback interface. */
async function listening(handler) {
  const server = http.createServer(handler)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: server.address().port, url: `http://127.0.0.1:${server.address().port}` }
}

async function freePort() {
  const { server, port } = await listening(() => {})
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A model that always says the same. */
async function model() {
  return listening((request, response) => {
    request.resume()
    request.on('end', () => {
      const message = { role: 'assistant', content: 'Yes.' }
      const answer = { id: 'c-1', object: 'chat.completion', created: 1, model: MODEL, choices: [{ index: 0, message, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(answer))
    })
  })
}

/** The server of ours. */
class Exeat {
  /** Starts it with `issuers`, tables of `[[server.issuers]]`, and waits until it is ready. */
  static async start(issuers = []) {
    const upstream = await model()
    const dir = mkdtempSync(join(tmpdir(), 'exeat-token-'))
    const [calls, admin, identity] = [await freePort(), await freePort(), await freePort()]
    const config = configuration({ upstream: upstream.url, calls, admin, identity, issuers })
    writeFileSync(join(dir, 'exeat.toml'), config)
    const log = openSync(join(dir, 'server.log'), 'a')
    const child = spawn(process.env.EXEAT_BIN, ['serve', '--config', join(dir, 'exeat.toml')], { stdio: ['ignore', log, log] })
    const exeat = new Exeat({ upstream, dir, child, origin: `http://127.0.0.1:${calls}`, adminUrl: `http://127.0.0.1:${admin}` })
    try {
      await exeat.ready()
    } catch (error) {
      await exeat.stop()
      throw error
    }
    return exeat
  }

  constructor(parts) {
    Object.assign(this, parts)
  }

  async ready() {
    const deadline = Date.now() + READY_WITHIN
    while (!(await fetch(`${this.origin}/readyz`).then((answer) => answer.ok, () => false))) {
      if (this.child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the server is not ready: ${readFileSync(join(this.dir, 'server.log'))}`)
      }
      await sleep(50)
    }
    this.adminToken = readFileSync(join(this.dir, 'data', 'admin.token'), 'utf8').trim()
  }

  async stop() {
    if (this.child.exitCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve))
      this.child.kill('SIGTERM')
      await ended
    }
    this.upstream.server.closeAllConnections()
    this.upstream.server.close()
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** Asks the admin API; throws what it refuses. */
  async admin(method, path, body) {
    const answer = await fetch(this.adminUrl + path, {
      method,
      headers: { authorization: `Bearer ${this.adminToken}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }

  set(kind, setting) {
    return this.admin('POST', `/admin/v1/sources/${kind}`, setting)
  }

  /** Adds a person of the laboratory. */
  async person(id) {
    const [now, year] = [Date.now(), 365 * 24 * 3600 * 1000]
    const from = new Date(now).toISOString()
    const until = new Date(now + year).toISOString()
    await this.admin('POST', '/admin/v1/people', { id, display_name: id, screening: 'cleared' })
    await this.admin('POST', '/admin/v1/affiliations', {
      person: id, organization: LAB, engagement: 'employee', issuer: 'larkspur-hr', evidence: 'staff roster', attested_at: from, ends_at: until,
    })
  }

  /** Calls the model; `how` is put into the request's headers. */
  async call(how) {
    const answer = await fetch(this.chat, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...how },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Is it you?' }] }),
    })
    return { status: answer.status, headers: answer.headers, body: await answer.json() }
  }

  get chat() {
    return `${this.origin}/v1/chat/completions`
  }
}

function configuration({ upstream, calls, admin, identity, issuers }) {
  const tables = issuers.map((issuer) => `[[server.issuers]]\n${Object.entries(issuer).map(([name, value]) => `${name} = ${toml(value)}`).join('\n')}\n`)
  return `data_dir = "data"
lab = "${LAB}"

[server]
listen = ["127.0.0.1:${calls}"]
external_origin = "http://127.0.0.1:${calls}"
trusted_proxies = ["127.0.0.1"]
workers = 1

${tables.join('\n')}
[outbound]
allow = ["127.0.0.1"]

[federation]
origin = "http://127.0.0.1:${identity}"
listen = "127.0.0.1:${identity}"

[control]
listen = "127.0.0.1:${admin}"

[desk]
approvals = 0

[proofs]
required = false

[[models]]
id = "${MODEL}"
family = "${MODEL}"
control = "published"
clearance = "identified"

[[models.endpoints]]
url = "${upstream}"
dialects = ["openai"]

[ledger]
origin = "log.example.com/exeat/test"
segment_mib = 4
checkpoint_ms = 200
`
}

function toml(value) {
  if (typeof value !== 'object') return JSON.stringify(value)
  return `{ ${Object.entries(value).map(([name, inner]) => `${name} = ${toml(inner)}`).join(', ')} }`
}

/** Signs a token with RS256 as a platform of workloads does. */
class Platform {
  constructor(issuer) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.issuer = issuer
    this.privateKey = privateKey
    this.jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'platform-1', alg: 'RS256', use: 'sig' }
  }

  token(claims) {
    const now = Math.floor(Date.now() / 1000)
    const all = { iss: this.issuer, iat: now, exp: now + 3600, jti: randomUUID(), ...claims }
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${part({ alg: 'RS256', kid: this.jwk.kid, typ: 'JWT' })}.${part(all)}`
    return `${signed}.${sign('sha256', Buffer.from(signed), this.privateKey).toString('base64url')}`
  }
}

/** Reads what a token says, without verifying it. */
function claims(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
}

/** A certificate in PEM, as its SHA-256 and as the header of a proxy (RFC 9440). */
function certificate(pem) {
  const { raw } = new X509Certificate(pem)
  return { raw, sha256: createHash('sha256').update(raw).digest('base64url'), header: `:${raw.toString('base64')}:` }
}

module.exports = { Exeat, LAB, MODEL, Platform, certificate, claims, freePort, listening }
