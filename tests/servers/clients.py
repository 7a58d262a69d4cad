"""Auth0's own Python SDK against an issuer of ours: URL, client, secret, audience and two tokens in, one line for each thing done out."""

import base64
import json
import sys
from urllib.parse import urlsplit

import httpx
import jwt
from auth0.authentication import Delegated, GetToken, Users
from auth0.authentication.exceptions import Auth0Error
from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError

url, client_id, secret, audience, id_token, refresh_token = sys.argv[1:]
domain = urlsplit(url).netloc


def shown(what):
    print("shown auth0-python 6.8 |", what)


def refused(call, code):
    try:
        call()
    except Auth0Error as error:
        assert error.error_code == code, error
    except ApiError as error:
        assert error.status_code == code, error
    else:
        raise SystemExit(f"accepted, where {code} was due")


get_token = GetToken(domain, client_id, secret, protocol="http")
answer = get_token.client_credentials(audience)
claims = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[1] + "=="))
assert claims["aud"] == audience and claims["iss"] == url, claims
shown("client credentials with an audience")

refused(lambda: GetToken(domain, client_id, "wrong", protocol="http").client_credentials(audience), "invalid_client")
shown("a wrong secret is an error it understands")

users = Users(domain, protocol="http")
assert users.userinfo(answer["access_token"])["sub"] == client_id
try:
    users.userinfo(answer["access_token"] + "A")
    raise SystemExit("a changed token was accepted")
except Auth0Error as error:
    assert error.status_code == 401, error
shown("userinfo, and its refusal of a changed token")

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
delegated = Delegated(domain, client_id, protocol="http")
for proof in ({"id_token": id_token}, {"refresh_token": refresh_token}):
    token = delegated.get_token("target", "app", JWT_BEARER, **proof)["id_token"]
    # Signed with the secret of the client that it is for.
    claims = jwt.decode(token, "the secret of the client that delegation is for", ["HS256"], audience="target", issuer=url)
    assert claims["sub"] == "auth0|ada", claims
    shown(f"delegation by {next(iter(proof))}, for another client")
refused(lambda: delegated.get_token("target", "app", JWT_BEARER, id_token=id_token + "A"), "invalid_grant")
refused(lambda: delegated.get_token("nobody", "app", JWT_BEARER, id_token=id_token), "invalid_request")
shown("delegation: a changed ID token and an unknown target are errors")


class Plain(httpx.HTTPTransport):
    """The SDK knows https alone; only the scheme is changed under way."""

    def handle_request(self, request):
        request.url = request.url.copy_with(scheme="http")
        return super().handle_request(request)


def management(scope):
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, "scope": scope}
    token = httpx.post(f"{url}/oauth/token", data={**form, "audience": audience}).raise_for_status().json()
    return ManagementClient(
        domain=domain, token=token["access_token"], httpx_client=httpx.Client(transport=Plain())
    )


reader = management("read:users")
user = reader.users.get("auth0|ada")
assert [one.connection for one in user.identities] == ["google-oauth2"], user
assert user.identities[0].access_token is None, user
trusted = management("read:users read:user_idp_tokens").users.get("auth0|ada")
assert trusted.identities[0].access_token == "a token of a provider", trusted
shown("management: a user, without and with the provider's token")
refused(lambda: management("read:nothing").users.get("auth0|ada"), 403)
refused(lambda: reader.users.get("auth0|nobody"), 404)
shown("management: 403 and 404 are errors it understands")

admin = management("read:device_credentials delete:device_credentials")
(credential,) = admin.device_credentials.list(user_id="auth0|ada", client_id=client_id)
assert credential.type == "refresh_token", credential
refused(lambda: management("read:device_credentials").device_credentials.delete(credential.id), 403)
assert "access_token" in get_token.refresh_token(refresh_token)
admin.device_credentials.delete(credential.id)
assert list(admin.device_credentials.list(user_id="auth0|ada", client_id=client_id)) == []
refused(lambda: get_token.refresh_token(refresh_token), "invalid_grant")
shown("management: device credentials listed and deleted, and the refresh token is good no more")
