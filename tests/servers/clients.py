"""Auth0's own Python SDK against an issuer of ours: URL, client id, secret and audience in, one line for each thing done out."""

import base64
import json
import sys
from urllib.parse import urlsplit

from auth0.authentication import GetToken
from auth0.authentication.exceptions import Auth0Error

url, client_id, secret, audience = sys.argv[1:]
domain = urlsplit(url).netloc

answer = GetToken(domain, client_id, secret, protocol="http").client_credentials(audience)
claims = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[1] + "=="))
assert claims["aud"] == audience and claims["iss"] == url, claims
print("shown auth0-python 6.8 | client credentials with an audience")

try:
    GetToken(domain, client_id, "wrong", protocol="http").client_credentials(audience)
    raise SystemExit("a wrong secret was accepted")
except Auth0Error as error:
    assert error.error_code == "invalid_client", error
print("shown auth0-python 6.8 | a wrong secret is an error it understands")
