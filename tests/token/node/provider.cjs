// An OpenID provider of others (`oidc-provider`), at which one person is logged in as soon as they are asked to.
'use strict'

const { X509Certificate, generateKeyPairSync, randomUUID } = require('node:crypto')
const { Provider } = require('oidc-provider')
const oauth = require('oauth4webapi')
const { listening } = require('./support.cjs')

const APP = { client_id: 'app' }
const SECRET = 'app-secret-of-an-invented-client'
const REDIRECT = 'https://app.example/callback'
const INSECURE = { [oauth.allowInsecureRequests]: true }

/** The provider, and an application of it that asks for tokens. */
class Idp {
  /** Listens; issues tokens for `resource`, whatever that says when it is asked for. */
  static async start(resource) {
    const idp = new Idp()
    idp.resource = resource
    idp.format = 'jwt'
    const { server, url } = await listening((request, response) => idp.handler(request, response))
    Object.assign(idp, { server, url })
    idp.rotate()
    const answer = await oauth.discoveryRequest(new URL(url), INSECURE)
    idp.metadata = await oauth.processDiscoveryResponse(new URL(url), answer)
    return idp
  }

  /** Begins anew with another signing key; what was signed with the old one is not verifiable any more. */
  rotate() {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }
    const provider = new Provider(this.url, this.configuration(jwk))
    provider.use(async (ctx, next) => {
      if (!ctx.path.startsWith('/interaction/')) return next()
      await provider.interactionFinished(ctx.req, ctx.res, await agreed(provider, ctx))
      ctx.respond = false
    })
    this.handler = provider.callback()
  }

  stop() {
    this.server.closeAllConnections()
    this.server.close()
  }

  configuration(jwk) {
    const grants = ['authorization_code', 'client_credentials']
    return {
      jwks: { keys: [jwk] },
      cookies: { keys: [randomUUID()] },
      ttl: { AccessToken: 600, ClientCredentials: 600, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
      clients: [
        { ...APP, client_secret: SECRET, grant_types: grants, redirect_uris: [REDIRECT], response_types: ['code'] },
        { client_id: 'certified', client_secret: SECRET, grant_types: grants, redirect_uris: [REDIRECT], response_types: ['code'], tls_client_certificate_bound_access_tokens: true },
        { client_id: 'gateway', client_secret: SECRET, grant_types: [], redirect_uris: [], response_types: [] },
      ],
      findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
      interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        dPoP: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: { enabled: true, allowedPolicy: () => true },
        mTLS: { enabled: true, certificateBoundAccessTokens: true, getCertificate: presented },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => this.resource,
          useGrantedResource: () => true,
          getResourceServerInfo: (ctx, resource) => ({ scope: 'models', audience: resource, accessTokenTTL: 600, accessTokenFormat: this.format, jwt: { sign: { alg: 'RS256' } } }),
        },
      },
    }
  }

  /** Logs in by the authorization code flow with PKCE, and returns the tokens. */
  async login({ client = APP, DPoP, certificate } = {}) {
    const verifier = oauth.generateRandomCodeVerifier()
    const code_challenge = await oauth.calculatePKCECodeChallenge(verifier)
    const query = { client_id: client.client_id, redirect_uri: REDIRECT, response_type: 'code', scope: 'openid models', code_challenge, code_challenge_method: 'S256', max_age: '600' }
    const back = await visited(`${this.metadata.authorization_endpoint}?${new URLSearchParams(query)}`)
    const parameters = oauth.validateAuthResponse(this.metadata, client, new URL(back))
    const answer = await oauth.authorizationCodeGrantRequest(this.metadata, client, oauth.ClientSecretBasic(SECRET), parameters, REDIRECT, verifier, asking(DPoP, certificate))
    const options = { requireIdToken: true, maxAge: 600 }
    return oauth.processAuthorizationCodeResponse(this.metadata, { ...client, require_auth_time: true }, answer, options)
  }

  /** Returns a token of the application itself, which stands for no person. */
  async credentials({ DPoP } = {}) {
    const answer = await oauth.clientCredentialsGrantRequest(this.metadata, APP, oauth.ClientSecretBasic(SECRET), { scope: 'models' }, asking(DPoP))
    return oauth.processClientCredentialsResponse(this.metadata, APP, answer)
  }

  /** Ends a token. */
  async revoke(token) {
    const answer = await oauth.revocationRequest(this.metadata, APP, oauth.ClientSecretBasic(SECRET), token, INSECURE)
    return oauth.processRevocationResponse(answer)
  }
}

function asking(DPoP, certificate) {
  const headers = new Headers(certificate ? { 'client-cert': certificate.header } : {})
  return { DPoP, headers, ...INSECURE }
}

/** Reads the certificate of a connection as a proxy tells it (RFC 9440). */
function presented(ctx) {
  const header = ctx.get('client-cert')
  return header ? new X509Certificate(Buffer.from(header.slice(1, -1), 'base64')) : undefined
}

/** Logs the person in, or agrees to all that is asked for. */
async function agreed(provider, ctx) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res)
  if (prompt.name === 'login') return { login: { accountId: 'u-1' } }
  const known = grantId && (await provider.Grant.find(grantId))
  const grant = known ?? new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  grant.addOIDCScope('openid')
  for (const resource of Object.keys(prompt.details.missingResourceScopes ?? {})) grant.addResourceScope(resource, 'models')
  return { consent: { grantId: await grant.save() } }
}

/** Follows redirects as a browser does, with cookies, until one leads to the application. */
async function visited(url) {
  const cookies = new Map()
  for (let hops = 0; hops < 10; hops += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } })
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
      cookies.set(name, value)
    }
    const to = answer.headers.get('location')
    if (!to) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
    url = new URL(to, url).href
    if (url.startsWith(REDIRECT)) return url
  }
  throw new Error(`too many redirects: ${url}`)
}

module.exports = { APP, Idp, INSECURE, SECRET }
