//! What the machine is like while it is measured, and the folders that the benchmark works in.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The state of the machine just before a measurement.
#[derive(Clone, Debug)]
pub struct Weather {
    /// The load average of the last minute.
    pub load: String,
    /// How many 4 KiB writes a second can be made durable one after another.
    pub syncs_per_second: f64,
}

impl Weather {
    /// Looks at the load and spends 0.4 s on the disk that `folder` is on.
    pub fn now(folder: &Path) -> Result<Self> {
        let load = fs::read_to_string("/proc/loadavg").context("reading the load average")?;
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        Ok(Self { load, syncs_per_second: probe_disk(&folder.join("probe"))? })
    }
}

/// Overwrites the blocks of a small file in turn, each write followed by `fdatasync`.
fn probe_disk(path: &Path) -> Result<f64> {
    const BLOCK: [u8; 4096] = [7; 4096];
    const BLOCKS: u32 = 256;
    let file = File::create(path).context("creating the file of the disk probe")?;
    for block in 0..BLOCKS {
        file.write_all_at(&BLOCK, u64::from(block) * 4096)?;
    }
    file.sync_all()?;
    let begin = Instant::now();
    let mut syncs = 0;
    while begin.elapsed() < Duration::from_millis(400) {
        file.write_all_at(&BLOCK, u64::from(syncs % BLOCKS) * 4096)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / begin.elapsed().as_secs_f64())
}

/// The folders of the workspace, as cargo tells them.
#[derive(Debug)]
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// The folder that cargo builds into.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("running cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata failed");
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let folder = |name: &str| {
            metadata[name]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("cargo tells no {name}"))
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// Builds the server as it is released, and tells where it is.
    pub fn build_server(&self) -> Result<PathBuf> {
        let status = Command::new("cargo")
            .args(["build", "--release", "--package", "gateway", "--bin", "gateway"])
            .current_dir(&self.root)
            .status()
            .context("running cargo build")?;
        ensure!(status.success(), "the server does not build");
        Ok(self.released().join("gateway"))
    }

    /// Builds what the cloud on one machine consists of, as it is released: a program for each
    /// domain, and the one that is the gateway and the auditor. Tells the folder that they are in.
    pub fn build_cloud(&self) -> Result<PathBuf> {
        let domains: Vec<_> = gateway::domains().iter().map(|it| it.name).collect();
        let features: Vec<_> =
            domains.iter().chain(&["gateway"]).map(|it| format!("{it}/cloud")).collect();
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--features", &features.join(",")]);
        cargo.args(domains.iter().chain(&["gateway"]).flat_map(|it| ["--package", it]));
        cargo.args(domains.iter().chain(&[super::cloud::OPERATOR]).flat_map(|it| ["--bin", it]));
        let status = cargo.current_dir(&self.root).status().context("running cargo build")?;
        ensure!(status.success(), "the cloud's programs do not build");
        Ok(self.released())
    }

    /// Where what is released is.
    pub fn released(&self) -> PathBuf {
        self.target.join("release")
    }
}

/// A folder of this run, removed when dropped. It is on the disk that cargo builds on: a
/// temporary folder may be in memory, where making a write durable costs nothing.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder.
    pub fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
