//! How a container begins: from its start to its first answer, with what memory, and how large
//! it is. That is what a function's first caller waits for, after Cloud Run itself.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Options, find_peer,
    machine::{Scratch, Workspace},
    platform::Platform as _,
    process::{Server, free_address},
    report, scenarios,
};

/// The domain whose container is measured.
const DOMAIN: &str = "courses";

/// A container is one static binary for the machines of Cloud Run.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Measures a container beside the peer.
pub fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let binary = match &options.server {
        Some(binary) => fs::canonicalize(binary).context("looking for the container's binary")?,
        None => build(&workspace)?,
    };
    let size = fs::metadata(&binary)?.len();
    let scratch = Scratch::create(&workspace.target.join("bench"))?;
    let container = Container {
        binary,
        address: free_address()?,
        complaints: scratch.path().join("container.stderr"),
    };
    // What is in the peer's database doesn't matter to its start.
    let few = Options { courses: 10, people: 10, seats: 1, ..options.clone() };
    let peer = find_peer(&few, &workspace, scratch.path());
    let launch_container = || container.launch();
    let launch_peer = || peer.as_ref().context("there's a peer")?.launch();
    let mut names = vec!["container"];
    let mut launches: Vec<&dyn Fn() -> Result<Server>> = vec![&launch_container];
    if let Some(peer) = &peer {
        names.push(peer.name());
        launches.push(&launch_peer);
    }
    let beginnings = scenarios::begin(&launches)?;
    println!("{}", report::beginnings(options.markdown, &names, &beginnings));
    print!("{}", report::cold_targets(options.markdown, &beginnings, size));
    Ok(())
}

/// Builds the binary as its image has it.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    eprintln!("building the container of {DOMAIN}: this takes minutes ...");
    let status = Command::new("cargo")
        .args(["build", "--locked", "--config", "infra/image.toml"])
        .args(["--profile", "image", "--target", TARGET])
        .args(["--package", DOMAIN, "--bin", DOMAIN, "--features", "cloud"])
        .env_remove("RUSTFLAGS")
        .current_dir(&workspace.root)
        .status()
        .context("running cargo build")?;
    ensure!(status.success(), "the container doesn't build");
    Ok(workspace.target.join(TARGET).join("image").join(DOMAIN))
}

/// A domain's binary, with the settings that a container has.
struct Container {
    binary: PathBuf,
    address: SocketAddr,
    complaints: PathBuf,
}

impl Container {
    fn launch(&self) -> Result<Server> {
        // Nothing of the environment but what Cloud Run and Terraform set.
        let mut command = Command::new(&self.binary);
        command.env_clear().envs([
            ("K_SERVICE", "courses"),
            ("K_REVISION", "courses-00001"),
            ("GOOGLE_CLOUD_PROJECT", "aula-bench"),
            ("AULA_PUBLIC_URL", super::PUBLIC_URL),
            ("AULA_SECRET", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("AULA_AUDIENCES", "https://courses.bench"),
        ]);
        command.env("PORT", self.address.port().to_string());
        Server::start(&mut command, self.address, "/health/live", Path::new(&self.complaints))
    }
}
