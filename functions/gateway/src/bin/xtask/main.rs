//! The chores of this repository, in one place: `cargo xtask`.

mod bench;
mod cost;
mod new;
mod simulate;
mod terraform;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use contracts::{Timestamp, UserId};
use embedded::{FileKeyring, SystemClock};
use mimalloc::MiMalloc;
use runtime::{
    Clock as _,
    token::{self, ACCESS_TOKEN_SECONDS, Claims},
};

/// Small worlds are run millions of times from the start: with the system's allocator
/// that was two fifths of it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Command {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Writes every generated file anew.
    Generate,
    /// Checks that what is generated is what the declarations say.
    Check,
    /// Measures the released server; `bench --help` tells more.
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Prints what a month and a million enrollments cost on Google Cloud.
    Cost,
    /// Runs enrollments, or the whole platform, in simulated storms: one seed, or many.
    Simulate(simulate::Options),
    /// Begins something new.
    #[command(subcommand)]
    New(New),
}

#[derive(Debug, Subcommand)]
enum New {
    /// An operation: a file of its own, and two lines in its domain's table of contents.
    Operation {
        /// The domain, such as `courses`.
        domain: String,
        /// What it does: a verb, or a verb and a noun, such as `archive`.
        verb: String,
    },
}

fn main() -> anyhow::Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    match Command::parse().chore {
        Chore::Generate => generate(root),
        Chore::Check => check(root),
        Chore::Bench { options } => {
            let options = bench::Options::parse(options)?;
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let mint = |folder: &Path, user_id: &str, roles: &[&str]| {
                runtime.block_on(mint(folder, user_id, roles))
            };
            bench::run(&options, &mint)
        }
        Chore::Cost => {
            print!("{}", cost::page(&runtime::openapi::manifest(&gateway::domains()))?);
            Ok(())
        }
        Chore::Simulate(options) => simulate::run(&options),
        Chore::New(New::Operation { domain, verb }) => new::operation(root, &domain, &verb),
    }
}

fn generate(root: &Path) -> anyhow::Result<()> {
    for (path, content) in files(root)? {
        if fs::read_to_string(&path).is_ok_and(|it| it == content) {
            continue;
        }
        let folder = path.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&path, content).with_context(|| path.display().to_string())?;
        println!("wrote {}", path.strip_prefix(root)?.display());
    }
    Ok(())
}

fn check(root: &Path) -> anyhow::Result<()> {
    let mut drifted = Vec::new();
    for (path, content) in files(root)? {
        if fs::read_to_string(&path).ok().as_ref() != Some(&content) {
            drifted.push(path.strip_prefix(root)?.display().to_string());
        }
    }
    ensure!(
        drifted.is_empty(),
        "not what the declarations say: {}. Run `cargo xtask generate`.",
        drifted.join(", ")
    );
    Ok(())
}

/// What is generated: from the declarations alone, and for those who deploy.
fn files(root: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let infra = root.join("infra/terraform");
    let cost = cost::page(&runtime::openapi::manifest(&gateway::domains()))?;
    let mut files = vec![
        (root.join("docs/cost.md"), cost),
        (infra.join("README.md"), terraform::page(&infra)?),
    ];
    files.extend(gateway::generated().into_iter().map(|it| (root.join(it.path), it.content)));
    Ok(files)
}

/// Makes an access token that the benchmarked server on this folder accepts.
async fn mint(folder: &Path, user_id: &str, roles: &[&str]) -> anyhow::Result<String> {
    let now: Timestamp = SystemClock.now();
    let roles = roles.iter().map(|role| serde_json::from_value((*role).into()));
    let claims = Claims {
        iss: bench::PUBLIC_URL.to_owned(),
        aud: bench::PUBLIC_URL.to_owned(),
        sub: UserId::from(user_id),
        roles: roles.collect::<Result<_, _>>()?,
        sid: "bench".to_owned(),
        iat: now.as_seconds(),
        exp: now.as_seconds() + ACCESS_TOKEN_SECONDS,
    };
    token::sign(&FileKeyring::open(&folder.join("keys")), &claims).await
}
