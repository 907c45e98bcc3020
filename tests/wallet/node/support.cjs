// A wallet made of @openid4vc/openid4vp and @sd-jwt, and an issuer that publishes its keys and a status list.
const { createHash, randomBytes, X509Certificate } = require('node:crypto');
const http = require('node:http');
const { SDJwtVcInstance } = require('@sd-jwt/sd-jwt-vc');
const { digest, generateSalt } = require('@sd-jwt/crypto-nodejs');
const { StatusList } = require('@sd-jwt/jwt-status-list');
const jose = require('jose');
const jsQR = require('jsqr');
const { Openid4vpClient } = require('@openid4vc/openid4vp');
const { setGlobalConfig } = require('@openid4vc/oauth2');
const { b64u, keyPair, now, verifier } = require('../../vc/node/support.cjs');

// All of it runs on the loopback interface, without TLS.
setGlobalConfig({ allowInsecureUrls: true });

const VCT = 'urn:eudi:pid:1';
const IDX = 7;

/** An issuer with its keys and a status list on the loopback interface. */
class Issuer {
  async start() {
    this.key = await keyPair();
    this.key.jwk.kid = 'pid-1';
    this.statuses = Array.from({ length: 1000 }, () => 0);
    this.server = http.createServer((request, response) => this.serve(request, response));
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    this.iss = `http://127.0.0.1:${this.server.address().port}`;
    this.list = `${this.iss}/status/1`;
    return this;
  }

  async serve(request, response) {
    if (request.url === '/.well-known/jwt-vc-issuer') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ issuer: this.iss, jwks: { keys: [this.key.jwk] } }));
    } else if (request.url === '/status/1') {
      response.setHeader('content-type', 'application/statuslist+jwt');
      response.end(await this.statusListToken());
    } else {
      response.writeHead(404).end();
    }
  }

  statusListToken() {
    const lst = new StatusList(this.statuses, 1).compressStatusList();
    const claims = { sub: this.list, iat: now(), exp: now() + 60, ttl: 1, status_list: { bits: 1, lst } };
    return this.sign('statuslist+jwt', claims);
  }

  async sign(typ, claims) {
    const head = b64u(JSON.stringify({ alg: 'ES256', typ, kid: 'pid-1' }));
    const input = `${head}.${b64u(JSON.stringify(claims))}`;
    return `${input}.${await this.key.sign(input)}`;
  }

  /** Issues identity data, bound to a holder, of which each nationality can be withheld. */
  async issue(holder, nationalities = ['US', 'KR'], idx = IDX) {
    const claims = {
      iss: this.iss, vct: VCT, iat: now(), exp: now() + 3600, cnf: { jwk: holder.jwk }, nationalities,
      status: { status_list: { idx, uri: this.list } },
    };
    const frame = { _sd: ['nationalities'], nationalities: { _sd: nationalities.map((_, at) => at) } };
    return (await instance(this.key, holder)).issue(claims, frame, { header: { kid: 'pid-1' } });
  }

  stop() {
    this.server.close();
  }
}

/** What @sd-jwt needs: to issue with one key, and to present with another. */
async function instance(issuer, holder) {
  return new SDJwtVcInstance({
    signer: issuer.sign,
    signAlg: 'ES256',
    kbSigner: holder.sign,
    kbSignAlg: 'ES256',
    hasher: digest,
    hashAlg: 'sha-256',
    saltGenerator: generateSalt,
  });
}

/** A person's wallet: answers requests with the one credential that it holds. */
class Wallet {
  constructor(issuer, holder, credential) {
    Object.assign(this, { issuer, holder, credential });
    const callbacks = {
      fetch,
      hash: (data, alg) => createHash(alg.replace('-', '')).update(data).digest(),
      generateRandom: (length) => randomBytes(length),
      verifyJwt: verifyByCertificate,
      signJwt: () => Promise.reject(new Error('nothing is signed but the key binding')),
      decryptJwe: () => Promise.reject(new Error('nothing comes encrypted')),
      encryptJwe,
      getX509CertificateMetadata: () => ({ sanDnsNames: ['exeat.example.com'], sanUriNames: [] }),
    };
    this.client = new Openid4vpClient({ callbacks });
  }

  /** Fetches and verifies the request that a link names. */
  resolve(url) {
    const authorizationRequestPayload = Object.fromEntries(new URL(url).searchParams);
    return this.client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload });
  }

  /** Answers a request; `shown` selects disclosures, `changes` replace what the key binding says. */
  async answer({ authorizationRequestPayload: request }, shown, changes = {}) {
    const theirs = await instance(this.issuer.key, this.holder);
    const payload = { iat: now(), aud: request.client_id, nonce: request.nonce, ...changes };
    const presentation = await theirs.present(this.credential, shown, { kb: { payload } });
    const { jarm, authorizationResponsePayload } = await this.client.createOpenid4vpAuthorizationResponse({
      authorizationRequestPayload: request,
      authorizationResponsePayload: { vp_token: { pid: [presentation] } },
      jarm: { encryption: { nonce: 'wallet' }, serverMetadata: METADATA },
    });
    const options = { authorizationRequestPayload: request, authorizationResponsePayload, jarm };
    return (await this.client.submitOpenid4vpAuthorizationResponse(options)).response;
  }
}

const METADATA = {
  authorization_signing_alg_values_supported: [],
  authorization_encryption_alg_values_supported: ['ECDH-ES'],
  authorization_encryption_enc_values_supported: ['A256GCM', 'A128GCM'],
};

async function verifyByCertificate(signer, { compact }) {
  const certificate = new X509Certificate(Buffer.from(signer.x5c[0], 'base64'));
  await jose.compactVerify(compact, certificate.publicKey, { algorithms: ['ES256'] });
  return { verified: true, signerJwk: await jose.exportJWK(certificate.publicKey) };
}

async function encryptJwe({ publicJwk, enc }, data) {
  const header = { alg: 'ECDH-ES', enc, kid: publicJwk.kid };
  const key = await jose.importJWK(publicJwk, 'ECDH-ES');
  const jwe = await new jose.CompactEncrypt(Buffer.from(data)).setProtectedHeader(header).encrypt(key);
  return { jwe, encryptionJwk: publicJwk };
}

/** Proves a holder's key to us for one request (RFC 9449). */
async function dpop(holder, url) {
  const head = b64u(JSON.stringify({ alg: 'ES256', typ: 'dpop+jwt', jwk: holder.jwk }));
  const claims = { htm: 'POST', htu: url, iat: now(), jti: randomBytes(16).toString('hex') };
  const input = `${head}.${b64u(JSON.stringify(claims))}`;
  return `${input}.${await holder.sign(input)}`;
}

/** Reads the QR code of a page as a camera would: pixels of its dark modules. */
function scan(page) {
  const [, side] = /viewBox="0 0 (\d+) /.exec(page);
  const scale = 4;
  const width = side * scale;
  const pixels = new Uint8ClampedArray(width * width * 4).fill(255);
  for (const [, x, y] of page.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let dy = 0; dy < scale; dy += 1) {
      const start = ((y * scale + dy) * width + x * scale) * 4;
      for (let at = start; at < start + scale * 4; at += 4) pixels.fill(0, at, at + 3);
    }
  }
  return jsQR(pixels, width, width)?.data;
}

module.exports = { IDX, Issuer, VCT, Wallet, digest, dpop, keyPair, now, scan, SDJwtVcInstance, verifier };
