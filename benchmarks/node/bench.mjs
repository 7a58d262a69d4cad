// jose and fast-jwt against Node's own crypto.verify with a prepared key: one JSON line per library and algorithm, as the Rust peers print.

import { createVerifier } from 'fast-jwt'
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { createPublicKey, verify } from 'node:crypto'

const issuer = 'https://tenant-7f3a.eu.login.example.com/'
const audience = 'https://api.example.com/v1'
const rounds = Number(process.env.ROUNDS ?? 101)

const claims = {
  azp: 'mZ8qTj0rYVb4xX7LkPnWc2',
  client_id: 'mZ8qTj0rYVb4xX7LkPnWc2',
  scope: 'openid profile email read:orders write:orders read:users',
  permissions: ['read:orders', 'write:orders', 'read:users', 'read:items', 'write:items', 'admin:none'],
}

function median (values) {
  values.sort((a, b) => a - b)
  return values[values.length >> 1]
}

async function time (run, batch) {
  const start = process.hrtime.bigint()
  for (let n = 0; n < batch; n++) {
    const outcome = run()
    if (outcome instanceof Promise) await outcome
  }
  return Number(process.hrtime.bigint() - start) / batch
}

for (const alg of ['RS256', 'ES256', 'EdDSA']) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...await exportJWK(publicKey), kid: 'key-2026', alg, use: 'sig' }
  const token = await new SignJWT(claims).setProtectedHeader({ alg, typ: 'at+jwt', kid: jwk.kid })
    .setIssuer(issuer).setAudience([audience, issuer + 'userinfo']).setSubject('auth0|65f1c0ffee00000000000001')
    .setIssuedAt().setExpirationTime('1d').setJti('1').sign(privateKey)

  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const pem = key.export({ type: 'spki', format: 'pem' })
  const dot = token.lastIndexOf('.')
  const [message, signature] = [Buffer.from(token.slice(0, dot)), Buffer.from(token.slice(dot + 1), 'base64url')]
  const hash = alg === 'EdDSA' ? null : 'sha256'
  const raw = alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key
  const set = createLocalJWKSet({ keys: [jwk] })
  const options = { key: pem, algorithms: [alg], allowedIss: issuer, allowedAud: audience }
  const [plain, cached] = [createVerifier(options), createVerifier({ ...options, cache: true })]

  const cases = {
    floor: () => { if (!verify(hash, message, raw, signature)) throw new Error('the floor refuses') },
    'fast-jwt 6.3.6 (Node), no cache': () => plain(token),
    'fast-jwt 6.3.6 (Node), cache hit': () => cached(token),
    'jose 6.2.17 (Node)': () => jwtVerify(token, set, { issuer, audience }),
  }
  const batches = {}
  for (const [name, run] of Object.entries(cases)) {
    for (let n = 0; n < 20; n++) await time(run, 20)
    batches[name] = Math.max(1, Math.round(2e6 / await time(run, 20)))
  }
  const times = Object.fromEntries(Object.keys(cases).map(name => [name, []]))
  const order = Object.keys(cases)
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < order.length; turn++) {
      const name = order[(round + turn) % order.length]
      times[name].push(await time(cases[name], batches[name]))
    }
  }
  for (const name of order.slice(1)) {
    const ratios = times[name].map((value, round) => value / times.floor[round])
    const extras = times[name].map((value, round) => value - times.floor[round])
    console.log(JSON.stringify({
      peer: name, alg, floor_ns: median([...times.floor]), ns: median([...times[name]]), ratio: median(ratios), extra_ns: median(extras),
    }))
  }
}
