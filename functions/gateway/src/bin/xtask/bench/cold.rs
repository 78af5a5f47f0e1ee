//! How a container begins: from its start to its first answer, with what memory, and how large
//! it is. That is what a function's first caller waits for, after Cloud Run itself.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Options, find_peer,
    machine::{Scratch, Workspace},
    platform::Platform as _,
    process::{Server, free_address},
    report, scenarios,
};

/// A container is one static binary for the machines of Cloud Run.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Measures every domain's container, or one's, beside the peer.
pub fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let domains = domains(options)?;
    let binaries = match &options.server {
        Some(binary) => {
            ensure!(domains.len() == 1, "--server is one domain's binary: --domain says whose");
            vec![fs::canonicalize(binary).context("looking for the container's binary")?]
        }
        None => domains.iter().map(|it| build(&workspace, it)).collect::<Result<_>>()?,
    };
    let scratch = Scratch::create(&workspace.target.join("bench"))?;
    let containers: Vec<_> = domains
        .iter()
        .zip(binaries)
        .map(|(&domain, binary)| Container::of(domain, binary, scratch.path()))
        .collect::<Result<_>>()?;
    // What is in the peer's database doesn't matter to its start.
    let few = Options { courses: 10, people: 10, seats: 1, ..options.clone() };
    let peer = find_peer(&few, &workspace, scratch.path());
    let launch_peer = || peer.as_ref().context("there's a peer")?.launch();
    let launches: Vec<_> = containers.iter().map(|it| || it.launch()).collect();
    let mut launches: Vec<_> = launches.iter().map(|it| it as &dyn Fn() -> _).collect();
    let mut names = domains;
    if let Some(peer) = &peer {
        names.push(peer.name());
        launches.push(&launch_peer);
    }
    let beginnings = scenarios::begin(&launches)?;
    println!("{}", report::beginnings(options.markdown, &names, &beginnings));
    let (ours, peers) = beginnings.split_at(containers.len());
    let colds: Vec<_> = containers
        .iter()
        .zip(ours)
        .map(|(it, &beginning)| report::Cold { domain: it.domain, size: it.size, beginning })
        .collect();
    print!("{}", report::cold_targets(options.markdown, &colds, peers.first()));
    Ok(())
}

/// Whose containers are measured.
fn domains(options: &Options) -> Result<Vec<&'static str>> {
    let all: Vec<_> = gateway::domains().iter().map(|domain| domain.name).collect();
    let Some(asked) = &options.domain else { return Ok(all) };
    match all.iter().copied().find(|it| it == asked) {
        Some(domain) => Ok(vec![domain]),
        None => bail!("--domain {asked}? There are {}", all.join(", ")),
    }
}

/// Builds a domain's binary as its image has it.
fn build(workspace: &Workspace, domain: &str) -> Result<PathBuf> {
    eprintln!("building the container of {domain}: this takes minutes ...");
    let status = Command::new("cargo")
        .args(["build", "--locked", "--config", "infra/image.toml"])
        .args(["--profile", "image", "--target", TARGET])
        .args(["--package", domain, "--bin", domain, "--features", "cloud"])
        .env_remove("RUSTFLAGS")
        .current_dir(&workspace.root)
        .status()
        .context("running cargo build")?;
    ensure!(status.success(), "the container of {domain} doesn't build");
    Ok(workspace.target.join(TARGET).join("image").join(domain))
}

/// A domain's binary, with the settings that a container has.
struct Container {
    domain: &'static str,
    binary: PathBuf,
    size: u64,
    address: SocketAddr,
    complaints: PathBuf,
}

impl Container {
    fn of(domain: &'static str, binary: PathBuf, folder: &Path) -> Result<Self> {
        let size = fs::metadata(&binary)?.len();
        let complaints = folder.join(format!("{domain}.stderr"));
        Ok(Self { domain, binary, size, address: free_address()?, complaints })
    }

    fn launch(&self) -> Result<Server> {
        // Nothing of the environment but what Cloud Run and Terraform set.
        let mut command = Command::new(&self.binary);
        command.env_clear().envs([
            ("K_SERVICE", self.domain),
            ("K_REVISION", "bench-00001"),
            ("GOOGLE_CLOUD_PROJECT", "aula-bench"),
            ("AULA_PUBLIC_URL", super::PUBLIC_URL),
            ("AULA_SECRET", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("AULA_AUDIENCES", "https://container.bench"),
            ("AULA_CALLERS", "caller@aula-bench.iam.gserviceaccount.com"),
            ("AULA_PUSH_ACCOUNT", "push@aula-bench.iam.gserviceaccount.com"),
            ("AULA_SCHEDULER_ACCOUNT", "scheduler@aula-bench.iam.gserviceaccount.com"),
            ("AULA_PEERS", "*=https://{service}.bench"),
            ("AULA_SIGNING_KEY", "/keys/signing.pem"),
            ("AULA_SMTP_URL", "smtp://mail.bench"),
        ]);
        command.env("PORT", self.address.port().to_string());
        Server::start(&mut command, self.address, "/health/live", Path::new(&self.complaints))
    }
}
