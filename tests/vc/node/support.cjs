// Our side, and what the other side needs of its platform.
const { spawn } = require('node:child_process');
const { webcrypto: crypto } = require('node:crypto');
const readline = require('node:readline');

/** Our side: one JSON object a line, in and out. */
class Peer {
  constructor(program) {
    this.process = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = readline.createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async ask(what, members = {}) {
    this.process.stdin.write(`${JSON.stringify({ do: what, ...members })}\n`);
    return JSON.parse((await this.lines.next()).value);
  }

  stop() {
    this.process.stdin.end();
  }
}

const b64u = (bytes) => Buffer.from(bytes).toString('base64url');

/** A key of P-256 with a signer and a verifier as @sd-jwt wants them. */
async function keyPair() {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
  const { kty, crv, x, y } = jwk;
  const signature = { name: 'ECDSA', hash: 'SHA-256' };
  const sign = async (data) => b64u(await crypto.subtle.sign(signature, pair.privateKey, Buffer.from(data)));
  return { jwk: { kty, crv, x, y }, sign };
}

async function verifier({ kty, crv, x, y }) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, y }, algorithm, true, ['verify']);
  return async (data, signature) =>
    crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, Buffer.from(signature, 'base64url'), Buffer.from(data));
}

const now = () => Math.floor(Date.now() / 1000);

module.exports = { Peer, b64u, keyPair, now, verifier };
