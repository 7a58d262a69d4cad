"""django-oauth-toolkit on loopback, in one file: prints `ready URL`, ends when its standard input does."""

import logging
import os
import secrets
import sys
import tempfile
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings
from jwcrypto import jwk

FOLDER = tempfile.TemporaryDirectory()
SECRET = "secret of the client: sixty-four bytes or more, as long as HS512's hash is"


def new_key():
    return jwk.JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()


KEY = new_key()

settings.configure(
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(FOLDER.name, "db"), "OPTIONS": {"timeout": 20}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    USE_TZ=True,
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": KEY,
        "PKCE_REQUIRED": False,
        "ROTATE_REFRESH_TOKEN": True,
        "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
        "SCOPES": {"openid": "", "read:users": "", "write:users": "", "introspection": ""},
    },
)
django.setup()

from django.contrib.auth import get_user_model, login  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, HttpResponseRedirect  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402

logging.disable(logging.WARNING)


def log_in(request):
    """The scripted login: Ada, without a password, and on to where the caller wants."""
    login(request, get_user_model().objects.get(username="ada"))
    return HttpResponseRedirect(request.GET["next"])


def rotate(request):
    """Signs with a new key from now on; the one before stays published where overlap is asked for."""
    before = [oauth2_settings.OIDC_RSA_PRIVATE_KEY] if "overlap" in request.GET else []
    oauth2_settings.OIDC_RSA_PRIVATE_KEY = new_key()
    oauth2_settings.OIDC_RSA_PRIVATE_KEYS_INACTIVE = before
    return HttpResponse("rotated")


urlpatterns = [
    path("o/test/rotate/", rotate),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("test/login/", log_in),
]


def fill():
    call_command("migrate", verbosity=0)
    get_user_model().objects.create_user("ada", "ada@example.com")
    common = {
        "client_secret": SECRET,
        "client_type": "confidential",
        "redirect_uris": "https://client.test/callback",
        "skip_authorization": True,
        "algorithm": "RS256",
    }
    for name, grant, algorithm in [
        ("app", "authorization-code", "RS256"),
        ("app-HS256", "authorization-code", "HS256"),
        ("machine", "client-credentials", "RS256"),
        ("api", "client-credentials", "RS256"),
    ]:
        # An ID token in HS256 is signed with the secret as it was typed, so that one is not kept as a hash.
        values = {**common, "authorization_grant_type": grant, "algorithm": algorithm, "hash_client_secret": algorithm != "HS256"}
        get_application_model().objects.create(client_id=name, **values)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    fill()
    server = Server(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    print(f"ready http://127.0.0.1:{server.server_port}/o", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
