"""jwcrypto: a line of JSON in, {"do": "seal" | "open", ...}; a line of JSON out, {"text": ...}, or {"error": ...}."""

import json
import sys

from jwcrypto import jwe, jwk


def key(asked):
    if asked.get("pem"):
        return jwk.JWK.from_pem(asked["pem"].encode())
    return jwk.JWK(**{name: value for name, value in asked["jwk"].items() if name not in ("alg", "use")})


def answer(asked):
    if asked["do"] == "open":
        token = jwe.JWE()
        token.deserialize(asked["token"], key(asked))
        return token.payload.decode()
    header = {"alg": asked["alg"], "enc": asked["enc"], "cty": asked["cty"]}
    if "kid" in asked["jwk"]:
        header["kid"] = asked["jwk"]["kid"]
    token = jwe.JWE(asked["content"].encode(), json.dumps(header))
    token.add_recipient(key(asked))
    return token.serialize(compact=True)


for line in sys.stdin:
    try:
        said = {"text": answer(json.loads(line))}
    except Exception as error:  # whatever it is, the test shows it
        said = {"error": repr(error)}
    print(json.dumps(said), flush=True)
