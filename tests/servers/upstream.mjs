// A service that checks nothing: what reaches it has passed the proxy in front. It says what it saw.
import { createHash } from "node:crypto";
import http from "node:http";

const field = (request, name) => request.headers[name] ?? null;

function answer(request, response, length) {
  const path = request.url.split("?")[0];
  const subject = field(request, "x-token-subject");
  const texts = {
    "/me": () => subject,
    "/any": () => "somebody",
    "/users": () => "everybody",
    "/maybe": () => (subject ? "somebody" : "nobody"),
  };
  const text = texts[path];
  if (text) {
    response.setHeader("content-type", "text/plain");
    response.end(text());
    return;
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ method: request.method, url: request.url, fields: request.rawHeaders, length }));
}

const server = http.createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => {
  let length = 0;
  request.on("data", (piece) => (length += piece.length));
  request.on("end", () => answer(request, response, length));
});

// An upgrade is a request, too: it says whose it is, then echoes.
server.on("upgrade", (request, socket) => {
  socket.on("error", () => {});
  // RFC 6455 section 4.2.2; proxies hold the answer to it.
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  socket.end(`hello ${field(request, "x-token-subject")}`);
});

server.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit(0)).resume();
