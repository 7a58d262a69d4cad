"""The official Python SDK and fastmcp against a guarded MCP server: from the first 401 to two tools' answers, the second one after a step-up."""

import asyncio
import sys
from urllib.parse import parse_qs, urljoin, urlparse

import httpx2
from fastmcp import Client
from fastmcp.client.auth import OAuth
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.oauth2 import AuthorizationCodeResult
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

URL = sys.argv[1]
CALLBACK = "http://localhost:3000/callback"


class Kept:
    """Tokens and the client's registration, in memory."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """One whose user has nothing against anything: keeps cookies and follows redirects, up to the client's own address."""

    async def open(self, url):
        async with httpx2.AsyncClient(follow_redirects=False) as http:
            for _ in range(10):
                answer = await http.get(url, headers={"accept": "text/html"})
                url = urljoin(str(answer.url), answer.headers["location"])
                if urlparse(url).path.endswith("/callback"):
                    break
        query = parse_qs(urlparse(url).query)
        self.result = AuthorizationCodeResult(
            code=query["code"][0], state=query["state"][0], iss=query["iss"][0]
        )

    async def back(self):
        return self.result


def check(shown, expected):
    if shown != expected:
        raise AssertionError(f"expected {expected}, not {shown}")


async def sdk():
    browser = Browser()
    metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=[CALLBACK])
    auth = OAuthClientProvider(URL, metadata, Kept(), browser.open, browser.back)
    async with httpx2.AsyncClient(auth=auth) as http:
        async with streamable_http_client(URL, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                answer = await session.call_tool("whoami", {})
                check(answer.content[0].text, "ada, no token in sight")
                answer = await session.call_tool("clear", {})
                check(answer.content[0].text, "gone")
    print("shown mcp (PyPI) | 401, both metadata documents, registration, sign-in, a tool; 403, step-up, another tool")


class Headless(OAuth):
    """fastmcp's own provider, with the browser replaced and nothing else."""

    async def redirect_handler(self, authorization_url):
        self.browser = Browser()
        await self.browser.open(authorization_url)

    async def callback_handler(self):
        return await self.browser.back()


async def fast():
    async with Client(URL, auth=Headless(client_name="fastmcp")) as client:
        check((await client.call_tool("whoami", {})).content[0].text, "ada, no token in sight")
        check((await client.call_tool("clear", {})).content[0].text, "gone")
    print("shown fastmcp (PyPI) | 401, both metadata documents, registration, sign-in, a tool; 403, step-up, another tool")


asyncio.run(sdk())
asyncio.run(fast())
