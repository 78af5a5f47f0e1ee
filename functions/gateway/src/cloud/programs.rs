//! The programs of the domains: found beside the gateway's own, and built.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Where the programs are.
pub(super) struct Programs(PathBuf);

impl Programs {
    /// The programs of these domains. Where the gateway was built by Cargo they're built too,
    /// which takes no time when nothing has changed.
    pub async fn of(domains: &[&str], build: bool) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("where this program is")?;
        let folder = own.parent().context("a program is in a folder")?.to_owned();
        if build && let Some(profile) = profile(&folder) {
            self::build(domains, profile).await?;
        }
        let programs = Self(folder);
        for domain in domains {
            let program = programs.of_domain(domain);
            ensure!(
                program.is_file(),
                "there is no {}; cargo build -p {domain} --features {domain}/cloud makes it",
                program.display()
            );
        }
        Ok(programs)
    }

    /// A domain's program.
    pub fn of_domain(&self, domain: &str) -> PathBuf {
        self.0.join(domain)
    }
}

/// The profile that a folder is of, if it's one of Cargo's.
fn profile(folder: &Path) -> Option<&str> {
    folder.join(".cargo-lock").is_file().then_some(())?;
    match folder.file_name()?.to_str()? {
        "debug" => Some("dev"),
        other => Some(other),
    }
}

async fn build(domains: &[&str], profile: &str) -> anyhow::Result<()> {
    let features: Vec<_> = domains.iter().map(|it| format!("{it}/cloud")).collect();
    let mut words = vec!["--features".to_owned(), features.join(",")];
    words.extend(domains.iter().flat_map(|it| ["--package".to_owned(), (*it).to_owned()]));
    tracing::info!("building the domains' programs: cargo build {}", words.join(" "));
    cargo_build(profile, &words).await.context("the domains' programs can't be built")
}

async fn cargo_build(profile: &str, words: &[String]) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--profile", profile]).args(words);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = cargo.kill_on_drop(true).status().await.context("running cargo")?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// The program that knows Google's crates, beside this one. It's built where this one was.
#[cfg(not(feature = "cloud"))]
pub(crate) async fn operator(build: bool) -> anyhow::Result<PathBuf> {
    const WORDS: [&str; 6] =
        ["--package", "gateway", "--bin", "operator", "--features", "gateway/cloud"];
    let own = std::env::current_exe().context("where this program is")?;
    let folder = own.parent().context("a program is in a folder")?;
    if build && let Some(profile) = profile(folder) {
        eprintln!("building what reaches Google Cloud: cargo build {}", WORDS.join(" "));
        let words = WORDS.map(str::to_owned);
        cargo_build(profile, &words).await.context("it can't be built")?;
    }
    let program = folder.join("operator");
    let words = WORDS.join(" ");
    ensure!(program.is_file(), "there is no {}; cargo build {words} makes it", program.display());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cargo_did_not_make_has_no_profile() {
        assert_eq!(profile(Path::new("/usr/bin")), None);
    }
}
