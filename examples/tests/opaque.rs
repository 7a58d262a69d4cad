//! The examples on opaque tokens as a user runs them: alone, and as two processes that share one Redis.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use token_test::{Endpoint, TestIssuer};

const PROGRAMS: [&str; 2] = [env!("CARGO_BIN_EXE_opaque-axum"), env!("CARGO_BIN_EXE_opaque-actix")];

#[cfg(feature = "foreign")]
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// A program and where it listens. It ends even when the test fails.
struct Running(Child, String);

impl Running {
    async fn start(program: &'static str, issuer: &TestIssuer, redis: Option<&str>) -> Self {
        let mut command = Command::new(program);
        command
            .env("ISSUER", issuer.url())
            .env("INTROSPECTION_ENDPOINT", issuer.introspection_endpoint())
            .env("CLIENT_ID", "test-client")
            .env("CLIENT_SECRET", "test-secret")
            .env("AUDIENCE", issuer.audience())
            .env("PORT", "0")
            .env_remove("REDIS_URL")
            .envs(redis.map(|url| ("REDIS_URL", url)))
            .stdout(Stdio::piped());
        let started = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let mut url = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
            Self(child, url.trim().to_owned())
        });
        started.await.unwrap()
    }

    async fn me(&self, token: &str) -> (u16, String) {
        let answer = reqwest::Client::new().get(format!("{}/me", self.1)).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The same once more where it is the program's own trouble: it waits for its Redis no longer than 500 ms, which a busy machine may need.
    #[cfg(feature = "foreign")]
    async fn me_in_the_end(&self, token: &str) -> (u16, String) {
        let mut answer = self.me(token).await;
        for _ in 0..100 {
            if answer.0 != 503 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            answer = self.me(token).await;
        }
        answer
    }

    /// Whose answer did not come in time may have been denied all the same: then it is refused when it tries again.
    #[cfg(feature = "foreign")]
    async fn is_signed_out_in_the_end(&self, token: &str) -> bool {
        let first = self.sign_out(token).await;
        first == 204 || first == 503 && self.me_in_the_end(token).await.0 == 401 || {
            tokio::time::sleep(PAUSE).await;
            first == 503 && matches!(self.sign_out(token).await, 204 | 401)
        }
    }

    async fn sign_out(&self, token: &str) -> u16 {
        let request = reqwest::Client::new().delete(format!("{}/session", self.1)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn each_program_takes_opaque_tokens_and_jwts_and_lets_their_bearers_sign_out() {
    for program in PROGRAMS {
        let issuer = TestIssuer::start().await;
        let running = Running::start(program, &issuer, None).await;
        let ada = || issuer.token().subject("ada");
        for (number, token) in [("1", ada().claim("jti", "1").mint_opaque()), ("2", ada().claim("jti", "2").mint())] {
            for _ in 0..3 {
                assert_eq!(running.me(&token).await, (200, "ada".to_owned()), "{program} {number}");
            }
            assert_eq!(running.sign_out(&token).await, 204, "{program} {number}");
            assert_eq!(running.me(&token).await.0, 401, "{program} {number}");
        }
        assert_eq!(running.me("nobody-knows-it").await.0, 401);
        issuer.faults().at(Endpoint::Introspection).down();
        assert_eq!(running.me(&ada().mint_opaque()).await.0, 503);
    }
}

#[cfg(feature = "foreign")]
#[tokio::test]
async fn of_two_processes_that_share_one_redis_each_refuses_at_once_what_the_other_revoked() {
    let issuer = TestIssuer::start().await;
    let held = token_test::HeldPort::new().unwrap();
    let port = held.port();
    let folder = std::env::temp_dir().join(format!("opaque-example-{port}"));
    std::fs::create_dir_all(&folder).unwrap();
    let settings = ["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"];
    let mut redis = Command::new("redis-server");
    redis.args(settings).arg("--dir").arg(&folder).stdout(Stdio::null());
    let redis = Running(redis.spawn().expect("redis-server is installed: `cargo xtask test` does that"), String::new());
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    let url = format!("redis://127.0.0.1:{port}/");
    let one = Running::start(PROGRAMS[0], &issuer, Some(&url)).await;
    let two = Running::start(PROGRAMS[1], &issuer, Some(&url)).await;
    for (here, there) in [(&one, &two), (&two, &one)] {
        let ada = || issuer.token().subject("ada");
        for is_opaque in [true, false] {
            // Where Redis was too slow one of them asks for itself: another token, then.
            let mut found_once = false;
            for _ in 0..20 {
                let token = if is_opaque { ada().mint_opaque() } else { ada().mint() };
                issuer.forget_hits();
                for process in [here, there, here, there] {
                    assert_eq!(process.me_in_the_end(&token).await, (200, "ada".to_owned()));
                }
                found_once = issuer.hits(Endpoint::Introspection) == usize::from(is_opaque);
                assert!(here.is_signed_out_in_the_end(&token).await);
                assert_eq!(there.me_in_the_end(&token).await.0, 401, "at its next request");
                assert_eq!(here.me_in_the_end(&token).await.0, 401);
                if found_once {
                    break;
                }
            }
            assert!(found_once, "found once, for both");
        }
    }
    drop(redis);
    let _ = std::fs::remove_dir_all(folder);
}
