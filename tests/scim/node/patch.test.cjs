// Random patches of random users: what scim-patch makes of them, our server makes of them too.
//
// Only what RFC 7644 section 3.5.2 leaves no choice about is compared. Left out: values that differ in parts besides their
// `value` and `type` (ours are one value, scim-patch keeps both), and the parts that a complex attribute keeps when it is
// replaced without a path (ours keeps them, as with a path; scim-patch keeps them with a path only).
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { createInterface } = require('node:readline')
const { after, before, test } = require('node:test')
const { scimPatch, patchBodyValidation } = require('scim-patch')

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User'
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
const ROUNDS = 400

let server
let folder
let ready

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scim-'))
  server = spawn(process.env.SCIM_SERVER, [folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
  ready = JSON.parse((await lines.next()).value)
})

after(() => {
  server.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${ready.token}`, 'content-type': 'application/scim+json' }
  const response = await fetch(ready.url + path, { method, headers, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json() }
}

/** Numbers that look random and are the same in every run (mulberry32). */
function numbers(seed) {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const pick = (random, list) => list[random(list.length)]
let fresh = 0
const word = () => `w${(fresh += 1)}`

const TYPES = ['work', 'home', 'other']
const SINGLE = ['title', 'nickName', 'displayName', 'userType', 'locale', `${ENTERPRISE}:department`, `${ENTERPRISE}:division`]
const PARTS = ['name.givenName', 'name.familyName', 'name.middleName']
const SEVERAL = ['emails', 'phoneNumbers', 'ims']

const values = (random) => Array.from({ length: 1 + random(3) }, () => ({ value: word(), type: pick(random, TYPES) }))
const has = (user, name, type) => (user[name] ?? []).some((one) => one.type === type)

/** Operations that the standard settles, given the user as it is. */
const OPERATIONS = [
  (random) => ({ op: pick(random, ['add', 'replace', 'Add', 'Replace']), path: pick(random, SINGLE), value: word() }),
  (random) => ({ op: pick(random, ['add', 'replace']), path: pick(random, PARTS), value: word() }),
  (random) => ({ op: 'remove', path: pick(random, [...SINGLE, ...PARTS]) }),
  (random) => ({ op: 'add', path: pick(random, SEVERAL), value: values(random) }),
  (random) => ({ op: 'replace', path: pick(random, SEVERAL), value: values(random) }),
  (random) => ({ op: 'remove', path: pick(random, SEVERAL) }),
  (random) => ({ op: 'add', value: { title: word(), nickName: word() } }),
  (random) => ({ op: 'replace', value: { displayName: word(), userType: word() } }),
  (random) => ({ op: pick(random, ['add', 'replace']), path: 'name', value: { givenName: word(), familyName: word() } }),
  (random) => ({ op: 'replace', value: { [pick(random, SEVERAL)]: values(random) } }),
  (random, user) => {
    const [name, type] = [pick(random, SEVERAL), pick(random, TYPES)]
    const path = `${name}[type eq "${type}"]`
    if (!has(user, name, type)) return { op: 'add', path: `${path}.value`, value: word() }
    return pick(random, [
      { op: 'remove', path },
      { op: 'add', path: `${path}.display`, value: word() },
      { op: 'replace', path: `${path}.display`, value: word() },
      { op: 'remove', path: `${path}.display` },
    ])
  },
  (random, user) => {
    const name = pick(random, SEVERAL)
    const one = (user[name] ?? [])[0]
    if (one === undefined) return { op: 'add', path: name, value: values(random) }
    return pick(random, [
      { op: 'remove', path: `${name}[value eq "${one.value}"]` },
      { op: 'replace', path: `${name}[value eq "${one.value}"].value`, value: word() },
      { op: 'remove', path: `${name}[type eq "${one.type}" and value eq "${one.value}"]` },
      { op: 'add', path: name, value: [one] },
    ])
  },
]

/** The user without what only a server sets, and without what holds nothing: to be empty is to be absent. */
function plain(user) {
  const { id, meta, schemas, groups, ...rest } = user
  const full = ([, value]) => value !== null && (typeof value !== 'object' || Object.keys(value).length > 0)
  return Object.fromEntries(Object.entries(rest).filter(full))
}

function patched(user, operations) {
  const copy = structuredClone(user)
  patchBodyValidation({ schemas: [PATCH], Operations: operations })
  return plain(scimPatch(copy, structuredClone(operations), { mutateDocument: true, treatMissingAsAdd: false }))
}

const start = (name) => ({
  schemas: [USER, ENTERPRISE],
  userName: name,
  active: true,
  title: 'Captain',
  name: { givenName: 'Ada', familyName: 'L' },
  emails: [{ value: 'a@example.com', type: 'work' }, { value: 'b@example.com', type: 'home' }],
  [ENTERPRISE]: { department: 'Ships' },
})

test('random_patches_make_of_random_users_what_scim_patch_makes_of_them', async () => {
  const random = numbers(7644)
  const created = await call('POST', '/Users', start('ada'))
  assert.equal(created.status, 201)
  const path = `/Users/${created.body.id}`
  let user = plain(created.body)
  const seen = new Set()
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round % 25 === 24) user = plain((await call('PUT', path, start('ada'))).body)
    const operations = []
    let expected = user
    for (let count = 1 + random(4); count > 0; count -= 1) {
      const operation = pick(random, OPERATIONS)(random, expected)
      operations.push(operation)
      expected = patched(expected, [operation])
      seen.add(`${operation.op} ${(operation.path ?? 'none').replace(/".*?"/g, '""')}`)
    }
    const answer = await call('PATCH', path, { schemas: [PATCH], Operations: operations })
    const context = JSON.stringify({ user, operations }, null, 1)
    assert.equal(answer.status, 200, `${JSON.stringify(answer.body)} ${context}`)
    assert.deepEqual(plain(answer.body), expected, context)
    user = plain(answer.body)
  }
  assert.ok(seen.size > 60, `${seen.size} forms of operations were tried`)
})

test('what_scim_patch_refuses_is_refused_and_leaves_the_user_as_it_was', async () => {
  const created = await call('POST', '/Users', start('bo'))
  const path = `/Users/${created.body.id}`
  const refused = [
    [{ op: 'remove' }],
    [{ op: 'melt', path: 'title' }],
    [{ op: 'add', path: 'title' }],
    [{ op: 'replace', path: 'emails[type eq "none"]', value: { value: 'x' } }],
    [{ op: 'replace', path: 'emails[type eq "none"].value', value: 'x' }],
    [{ op: 'replace', path: 'title', value: 'Mate' }, { op: 'remove' }],
    [],
  ]
  for (const operations of refused) {
    assert.throws(() => patched(created.body, operations), JSON.stringify(operations))
    const answer = await call('PATCH', path, { schemas: [PATCH], Operations: operations })
    assert.equal(answer.status, 400, JSON.stringify(operations))
    assert.ok(answer.body.scimType, JSON.stringify(operations))
  }
  const now = await call('GET', path)
  assert.deepEqual(now.body, created.body)
})
