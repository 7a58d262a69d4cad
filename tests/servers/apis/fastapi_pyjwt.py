"""An API in FastAPI with PyJWT: issuer and audience in, `ready URL` out."""

import sys
from pathlib import Path

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

sys.path.append(str(Path(__file__).parent))
from serve import serve  # noqa: E402

ISSUER, AUDIENCE = sys.argv[1:]
# It waits 30 s between two requests for keys unless told otherwise.
keys = jwt.PyJWKClient(f"{ISSUER}/jwks", cooldown_duration=0)
bearer = HTTPBearer()


def guard(credentials: HTTPAuthorizationCredentials = Depends(bearer)):
    token = credentials.credentials
    options = {"require": ["exp", "iss", "aud"]}
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, ["RS256"], options, audience=AUDIENCE, issuer=ISSUER, leeway=30)
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    if "read:users" not in str(claims.get("scope", "")).split(" "):
        raise HTTPException(403)


serve(Depends(guard))
