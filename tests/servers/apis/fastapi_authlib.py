"""An API in FastAPI behind Authlib's validator for JWT access tokens: issuer and audience in, `ready URL` out."""

import sys
from pathlib import Path

from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from fastapi import Depends, HTTPException, Request

sys.path.append(str(Path(__file__).parent))
from serve import keys_of, serve  # noqa: E402

ISSUER, AUDIENCE = sys.argv[1:]


class Validator(JWTBearerTokenValidator):
    """Asks for the keys each time: how to keep them is left to its user."""

    def get_jwks(self):
        return keys_of(ISSUER)


protector = ResourceProtector()
protector.register_token_validator(Validator(issuer=ISSUER, resource_server=AUDIENCE))


def guard(request: Request):
    try:
        protector.validate_request(["read:users"], request)
    except OAuth2Error as error:
        raise HTTPException(error.status_code) from error


serve(Depends(guard))
