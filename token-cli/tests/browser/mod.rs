//! Scripts in, their results out, by headless Chromium: its debugging protocol over a WebSocket (RFC 6455) as far as that needs it.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a browser may take to start, and a page to come to show what it should, on a machine with too much to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub struct Browser {
    _child: Child,
    stream: TcpStream,
    next: u64,
}

impl Browser {
    /// Starts a browser and opens `url`.
    pub async fn open(folder: &Path, url: &str) -> Self {
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let mut child = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--window-size=1000,1250",
            ])
            .args(["--remote-debugging-port=0", &profile, "about:blank"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium: cargo xtask test installs it");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let browser = timeout(PATIENCE, async {
            loop {
                let line = lines.next_line().await.unwrap().expect("chromium ended");
                if let Some(address) = line.strip_prefix("DevTools listening on ws://") {
                    return address.to_owned();
                }
            }
        });
        let address = browser.await.expect("chromium says where it listens");
        // Nobody reads on; a full pipe must not stop the browser.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (host, _) = address.split_once('/').unwrap();
        let page = new_page(host).await;
        let stream = handshake(host, &page).await;
        let mut browser = Self { _child: child, stream, next: 0 };
        browser.call("Page.navigate", json!({ "url": url })).await;
        browser
    }

    /// What a script evaluates to, as text; promises are awaited.
    pub async fn read(&mut self, script: &str) -> String {
        let wish = json!({ "expression": script, "returnByValue": true, "awaitPromise": true, "userGesture": true });
        let answer = self.call("Runtime.evaluate", wish).await;
        assert!(answer.get("exceptionDetails").is_none(), "{script}: {answer}");
        match &answer["result"]["value"] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }

    /// Waits until a script evaluates to `expected`.
    pub async fn until(&mut self, script: &str, expected: &str) {
        let script = format!(
            "new Promise((done) => {{ const look = () => {{ let seen = ''; try {{ seen = String({script}); }} catch {{}} \
             seen === {expected:?} ? done(seen) : setTimeout(look, 20); }}; look(); }})"
        );
        let wish = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let shown = async {
            // The page may still be on its way to another document, which ends the script.
            while self.call("Runtime.evaluate", wish.clone()).await["result"]["value"] != expected {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("never {expected:?}: {script}"));
    }

    /// Shows the page in the light or in the dark, as the user's system asks for it.
    pub async fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// What axe-core (the file `axe.min.js` of it) has against the page, one line each.
    pub async fn accessibility(&mut self, axe: &str) -> String {
        // The page's own policy forbids scripts from elsewhere; the debugger may evaluate one.
        self.read(&format!("window.axe || (() => {{ {axe} }})(); typeof window.axe")).await;
        self.read(
            "axe.run({ resultTypes: ['violations', 'incomplete'] }).then(({ violations, incomplete }) => \
             [...violations, ...incomplete].flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) => \
             [id, target.join(' '), ...[...any, ...all, ...none].map(({ message }) => message)].join(': '))).join('\\n'))",
        )
        .await
    }

    /// The whole page as PNG, also what one would have to scroll to.
    pub async fn screenshot(&mut self) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", json!({})).await["cssContentSize"].clone();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let wish = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.call("Page.captureScreenshot", wish).await;
        base64(answer["data"].as_str().unwrap())
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "id": id, "method": method, "params": params }).to_string()).await;
        loop {
            let message: Value = serde_json::from_str(&self.receive().await).unwrap();
            if message["id"] == id {
                return message.get("result").cloned().unwrap_or(message);
            }
        }
    }

    /// One masked text frame; a mask of zeroes changes nothing.
    async fn send(&mut self, text: &str) {
        let mut frame = vec![0x81, 0x80 | 127];
        frame.extend((text.len() as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).await.unwrap();
    }

    /// One message, of as many frames as it takes.
    async fn receive(&mut self) -> String {
        let mut message = Vec::new();
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).await.unwrap();
            let length = match head[1] & 0x7f {
                126 => u64::from(self.stream.read_u16().await.unwrap()),
                127 => self.stream.read_u64().await.unwrap(),
                short => u64::from(short),
            };
            let start = message.len();
            message.resize(start + usize::try_from(length).unwrap(), 0);
            self.stream.read_exact(&mut message[start..]).await.unwrap();
            if head[0] & 0x80 != 0 {
                return String::from_utf8(message).unwrap();
            }
        }
    }
}

/// The path of a new page's WebSocket.
async fn new_page(host: &str) -> String {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("PUT /json/new HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // The browser may keep the connection open: read what is there until the object is whole.
    let mut bytes = [0; 4096];
    while !answer.contains("webSocketDebuggerUrl") || !answer.trim_end().ends_with('}') {
        let length = stream.read(&mut bytes).await.unwrap();
        assert!(length > 0, "{answer}");
        answer.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    let json: Value = serde_json::from_str(&answer[answer.find('{').unwrap()..]).unwrap();
    let url = json["webSocketDebuggerUrl"].as_str().unwrap();
    url.strip_prefix(&format!("ws://{host}")).unwrap().to_owned()
}

async fn handshake(host: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dG9rZW4tY2xpLXRlc3RzLg==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// Base64 as the protocol sends pictures (RFC 4648 section 4).
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let value = ALPHABET.iter().position(|one| *one == byte).unwrap();
        buffer = (buffer << 6) | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    bytes
}
