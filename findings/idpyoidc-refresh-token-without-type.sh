#!/usr/bin/env bash
# idpyoidc 5.0.0 (PyPI): a JWT refresh token differs from a JWT access token by one private claim only.
#
# Seen: with the token handler `JWTToken` and its defaults, access token and refresh token are signed by the same key, have the same
# header members (`alg` and `kid`, no `typ`: RFC 9068 section 2.1 wants `at+jwt` for access tokens) and the same `iss`. What tells them
# apart is the claim `token_class`, which no RFC knows: `access_token` or `refresh_token`. A resource server that goes by `typ` alone
# cannot tell one from the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check idpyoidc==5.0.0 cryptojwt==1.11.0
cat > "$folder/seen.py" <<'PY'
import base64, json
from types import SimpleNamespace
from cryptojwt.key_jar import init_key_jar
from idpyoidc.server.token.jwt_token import JWTToken

issuer = "https://issuer.example"
keys = init_key_jar(key_defs=[{"type": "EC", "crv": "P-256", "use": ["sig"]}])
keys.import_jwks(keys.export_jwks(private=True), issuer)
parts = {"context": SimpleNamespace(issuer=issuer, cdb={}), "attribute": keys}
def seen(token_class):
    maker = JWTToken(token_class, issuer=issuer, upstream_get=lambda what, *_: parts[what])
    token = maker(session_id="s", sub="ada", client_id="app", aud=["app"])
    read = lambda part: json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read(token.split(".")[0]), read(token.split(".")[1])
(access, access_claims), (refresh, refresh_claims) = seen("access_token"), seen("refresh_token")
print("header of both:", sorted(access), "same key:", access == refresh)
print("claims that only one has:", sorted(set(access_claims) ^ set(refresh_claims)))
same = [name for name in sorted(access_claims) if name not in ("iat", "exp", "jti") and access_claims[name] != refresh_claims.get(name)]
print("claims that differ:", same, [access_claims["token_class"], refresh_claims["token_class"]])
PY
seen=$("$folder/venv/bin/python" "$folder/seen.py" 2>/dev/null)
expected="header of both: ['alg', 'kid'] same key: True
claims that only one has: []
claims that differ: ['token_class'] ['access_token', 'refresh_token']"
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "idpyoidc behaves otherwise now" >&2; exit 1; }
