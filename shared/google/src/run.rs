//! A domain's process: what its `main` is.

use std::{
    io,
    net::TcpListener,
    process::ExitCode,
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use runtime::{
    Domain,
    log::{CloudLog, Lines, Speaker, Worth},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    Layer as _, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

use crate::{Environment, Platform};

/// Whose lines are told, beside what is wrong elsewhere.
const OURS: Worth = Worth::of(&["google", "identity", "courses", "enrollments", "notifications"]);

/// How large the stack is of the thread that functions run on, in bytes: as the first one's.
const STACK: usize = 8 << 20;

/// Serves a domain, or the one function of it that `FUNCTION_TARGET` names, as a
/// container of Cloud Run, until the process is told to stop.
pub fn run(domain: fn() -> Domain) -> ExitCode {
    let lines = Lines::at_once(Box::new(io::stdout()));
    let domain = domain();
    let environment = match Environment::of_process(&domain) {
        Ok(environment) => environment,
        Err(faults) => {
            start_log(lines, Speaker::default());
            tracing::error!(error = %faults, "it can't start");
            return ExitCode::FAILURE;
        }
    };
    let service = environment.service.clone().zip(environment.revision.clone());
    start_log(lines, Speaker { project: Some(environment.project.clone()), service });
    // On a thread of its own, whose stack's end is known: of the first thread it's known only
    // where libc can read it, and an image leaves out what it reads it by.
    let serving = thread::Builder::new().name("functions".to_owned()).stack_size(STACK);
    let served = serving.spawn(|| serve(environment, domain)).map(JoinHandle::join);
    match served {
        Ok(Ok(Ok(()))) => return ExitCode::SUCCESS,
        Ok(Ok(Err(error))) => {
            tracing::error!(error = format!("{error:#}"), "it can't go on");
        }
        // The panic's own line is there already.
        Ok(Err(_panic)) => {}
        Err(error) => tracing::error!(error = format!("{error:#}"), "it has no thread"),
    }
    ExitCode::FAILURE
}

fn start_log(lines: Lines, speaker: Speaker) {
    let log = CloudLog::new(lines, speaker);
    log.tell_panics();
    // It fails only where somebody logs already.
    let _ = registry().with(log.with_filter(OURS)).try_init();
}

fn serve(environment: Environment, domain: Domain) -> anyhow::Result<()> {
    let address = environment.address();
    // First of all: whoever connects from now on only waits a moment.
    let listener = TcpListener::bind(address).with_context(|| format!("PORT: {address}"))?;
    listener.set_nonblocking(true)?;
    // One thread: an instance has one processor, and what takes long has its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let platform = Platform::new(environment, domain)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            platform.drain();
            tracing::info!("stopping: what runs is finished");
        };
        let functions = platform.host().functions().count();
        tracing::info!(port = address.port(), functions, "listening");
        runtime::listen(listener, platform.router(), stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}
