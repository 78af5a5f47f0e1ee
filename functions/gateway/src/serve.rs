//! The local server: every function of every domain in one process.

use std::{
    cell::OnceCell,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use embedded::Platform;
use runtime::{Ports, SecondIssuer, Settings, limits::Limits};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    command::Options,
    domains, log, pages,
    platform::{self, local::Surveyor},
};

/// How long it may take to end, from the signal on: whoever sent it loses patience after
/// ten seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(9);

/// What the pages know of the server.
#[derive(Clone)]
pub(crate) struct Local {
    pub(crate) platform: Arc<Platform>,
    /// The ports of the platform itself.
    pub(crate) ports: Arc<Ports>,
}

/// Serves until the process is told to stop.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // First of all: whoever connects from now on only waits a moment.
    let listener = TcpListener::bind(options.listen).with_context(|| {
        format!("{} can't be listened on; another address is taken with --listen", options.listen)
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    runtime()?.block_on(async {
        let platform = Arc::new(open(options, address)?);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stop = told_to_stop()?;
        let limits = (!options.no_rate_limits).then(|| Arc::new(Limits::default()));
        let front = platform.front(limits);
        let local = Local { platform: platform.clone(), ports: front.ports.clone() };
        let surveyor = Surveyor {
            platform: platform.clone(),
            clock: front.ports.clock.clone(),
            public_url: front.ports.settings.public_url.clone(),
        };
        let router = runtime::router(platform.host(), &front)
            .merge(platform::router(&front, Arc::new(surveyor)))
            .merge(pages::router(&local));
        // A file may be larger than any request, and take longer.
        let router = runtime::with_front(router, &front).merge(platform.files_router());
        tell(options, address);
        let told = OnceCell::new();
        let stop = async {
            stop.await;
            told.get_or_init(Instant::now);
        };
        runtime::listen(listener, router, stop).await;
        let left = told.get().map_or(ENDS_WITHIN, |it| ENDS_WITHIN.saturating_sub(it.elapsed()));
        end_within(left, platform.shutdown()).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Ends what runs, in so much time. What doesn't get done then is done after the next
/// start, as after a crash.
async fn end_within(
    left: Duration,
    ending: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    match timeout(left, ending).await {
        Ok(ended) => ended,
        Err(_elapsed) => {
            tracing::warn!("some work waits for the next start");
            Ok(())
        }
    }
}

/// A few threads: requests are short, and what takes long has threads of its own. One core is left
/// to the thread that writes: more threads than there are cores wake each other in vain.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let threads = cores.saturating_sub(1).clamp(1, 4);
    Ok(Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}

/// Opens the platform that the options mean, reachable at an address.
pub(crate) fn open(options: &Options, address: SocketAddr) -> anyhow::Result<Platform> {
    let public_url = public_url(options, address);
    let settings = Settings {
        admin_email: options.admin_email.clone(),
        identity_providers: options.identity_providers()?,
        second_issuer: second_issuer(options, &public_url)?,
        mail_providers: options.mail_providers.clone().unwrap_or_default(),
        seats_in_block: options.seats_in_block,
        // There's but one.
        instance: 0,
        public_url,
    };
    let options = embedded::Options {
        folder: (!options.in_memory).then(|| options.data.clone()),
        smtp_url: options.smtp_url.clone(),
        ..embedded::Options::new(settings)
    };
    Platform::start(options, domains())
}

/// Whose tokens are taken beside those of the platform at this address.
pub(crate) fn second_issuer(
    options: &Options,
    public_url: &str,
) -> anyhow::Result<Option<SecondIssuer>> {
    let issuer = options.second_issuer.clone();
    let is_itself = issuer.as_ref().is_some_and(|it| it.issuer == public_url);
    anyhow::ensure!(!is_itself, "the platform can't be the second issuer beside itself");
    Ok(issuer)
}

/// Where people reach the platform.
pub(crate) fn public_url(options: &Options, address: SocketAddr) -> String {
    match &options.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        // Any address of the machine is meant, and no link can say that.
        None if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
        None => format!("http://{address}"),
    }
}

/// Ready when the process is told to stop.
pub(crate) fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: what runs is finished");
    })
}

/// Tells where everything is.
fn tell(options: &Options, address: SocketAddr) {
    let here = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        _ => address,
    };
    let folder = if options.in_memory {
        "nowhere: it's in memory".to_owned()
    } else {
        std::path::absolute(&options.data).unwrap_or(options.data.clone()).display().to_string()
    };
    if !address.ip().is_loopback() {
        tracing::warn!("whoever reaches this address can read the local inbox, codes included");
    }
    if log::is_for_people() {
        println!(
            "\n  Aula is at     http://{here}/\n  its API        http://{here}/docs\n  \
            the document   http://{here}/v1/openapi.json\n  its mail       http://{here}/local/inbox\n  \
            its data       {folder}\n\n  Ctrl-C stops it.\n"
        );
    } else {
        tracing::info!(
            address = %address,
            document = %format_args!("http://{here}/v1/openapi.json"),
            inbox = %format_args!("http://{here}/local/inbox"),
            data = folder,
            "listening"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_does_not_end_in_time_keeps_nobody_and_what_fails_is_told() {
        assert!(end_within(Duration::ZERO, pending()).await.is_ok());
        assert!(end_within(ENDS_WITHIN, ready(Ok(()))).await.is_ok());
        let failed = ready(Err(anyhow::anyhow!("the disk is gone")));
        assert!(end_within(ENDS_WITHIN, failed).await.is_err());
    }
}
