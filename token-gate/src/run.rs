//! Arguments in, a gate that answers until a signal ends it: policy, listeners, reloads, notifications, drain.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use sd_notify::NotifyState;
use token_core::reload::Reloaded;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use crate::admin::Admin;
use crate::arguments::{Arguments, Listen};
use crate::gate::Gate;
use crate::serve::{Listener, serve};
use crate::{logs, telemetry};

/// How many connections of operators and probes are open at once.
const OPERATORS: usize = 16;
/// How long an operator's last question may take.
const LAST_PROBE: Duration = Duration::from_secs(1);
/// Between two looks at what the numbers have gathered.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why the gate could not start.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Runs the gate until SIGTERM or SIGINT. Installs the process's logs and metrics, unless there are some already.
///
/// # Errors
/// [`Failure`] when the policy cannot be read, is contradictory or is refused, or an address cannot be listened on.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    if !arguments.check {
        logs::start(arguments.log_format, arguments.log_level);
    }
    let numbers = PrometheusBuilder::new().install_recorder().ok();
    telemetry::describe();
    let finish = arguments.shared.finish().map_err(Failure)?;
    let gate = Gate::with_room(&arguments.policy, finish, arguments.max_questions)
        .map_err(|error| Failure(error.to_string()))?;
    if arguments.check {
        return Ok(());
    }
    if is_root() {
        tracing::warn!(name: "gate.privileged", "running as root, and no privilege is needed: run it as a user of its own");
    }
    let mut signals = Signals::new().map_err(|error| Failure(format!("no signals: {error}")))?;

    let (end, ending) = watch::channel(false);
    let patience = Duration::from_secs(arguments.drain);
    let mut serving = Vec::new();
    let bound = Arc::new(Semaphore::new(usize::try_from(arguments.max_connections).unwrap_or(usize::MAX)));
    for listen in &arguments.listen {
        let listener = Listener::bind(listen).await.map_err(Failure)?;
        tracing::info!(name: "gate.listening", address = listener.name(), "proxies may ask");
        serving.push(tokio::spawn(gate.serve_on(listener, Arc::clone(&bound), ending.clone(), patience)));
    }
    let (close, closing) = watch::channel(false);
    let mut operators = None;
    if let Some(address) = arguments.admin.0 {
        let listener = Listener::bind(&Listen::Tcp(address)).await.map_err(Failure)?;
        tracing::info!(name: "gate.listening", address = listener.name(), "operators may ask");
        let admin = Admin { rules: gate.rules().clone(), numbers: numbers.clone() };
        let answer = move |_, request: http::Request<_>| std::future::ready(admin.answer(request.uri().path()));
        let bound = Arc::new(Semaphore::new(OPERATORS));
        operators = Some(tokio::spawn(serve(listener, bound, closing, LAST_PROBE, answer)));
    }
    if let Some(numbers) = numbers {
        // Ends with the runtime: it holds nothing but the numbers.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                numbers.run_upkeep();
            }
        });
    }
    let _following = (arguments.follow > 0).then(|| gate.follow(Duration::from_secs(arguments.follow)));

    notify(&[NotifyState::Ready]);
    while let Asked::Reload = signals.next().await {
        reload(&gate).await;
    }
    // In this order: whoever asks where to go is sent elsewhere, and has the time to hear it; then nobody new is let in; then those who are in
    // are answered; and operators see all of it.
    gate.rules().begin_to_end();
    notify(&[NotifyState::Stopping]);
    tracing::info!(name: "gate.ending", linger = arguments.linger, "asked to end: not ready any more, and still answering");
    linger(Duration::from_secs(arguments.linger), &mut signals).await;
    tracing::info!(name: "gate.draining", "open questions are answered, new ones are not");
    let _ = end.send(true);
    for server in serving {
        let _ = server.await;
    }
    let _ = close.send(true);
    if let Some(operators) = operators {
        let _ = operators.await;
    }
    tracing::info!(name: "gate.ended", "ended");
    Ok(())
}

/// Whether this process belongs to root. Where nothing tells, it does not.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Waits so long, or until a second signal to end.
async fn linger(time: Duration, signals: &mut Signals) {
    let impatience = async { while let Asked::Reload = signals.next().await {} };
    let _ = tokio::time::timeout(time, impatience).await;
}

/// On SIGHUP: what came of it is logged by the core.
async fn reload(gate: &Gate) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
    if gate.reload().await == Reloaded::Unchanged {
        tracing::info!(name: "gate.reloaded", "the policy says what it said before");
    }
    notify(&[NotifyState::Ready]);
}

/// Tells systemd, where it started the gate.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(name: "gate.notify", %error, "systemd could not be told");
    }
}

enum Asked {
    Reload,
    End,
}

struct Signals {
    hang_up: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hang_up.recv() => Asked::Reload,
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
        }
    }
}
