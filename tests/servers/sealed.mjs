// `jose`: a line of JSON in, {"do": "seal" | "open", …}; a line of JSON out, {"text": …}, or {"error": …}.

import { createInterface } from 'node:readline';
import { CompactEncrypt, compactDecrypt, importJWK, importPKCS8 } from 'jose';

const key = ({ jwk, pem, alg }) => (pem ? importPKCS8(pem, alg) : importJWK(jwk, alg));

async function answer(asked) {
  if (asked.do === 'open') {
    const { plaintext } = await compactDecrypt(asked.token, await key(asked));
    return new TextDecoder().decode(plaintext);
  }
  const { alg, enc, content, cty } = asked;
  const header = { alg, enc, cty, kid: asked.jwk.kid };
  return new CompactEncrypt(new TextEncoder().encode(content)).setProtectedHeader(header).encrypt(await key(asked));
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(JSON.parse(line)).then((text) => ({ text }), (error) => ({ error: String(error) }));
  console.log(JSON.stringify(said));
}
