//! Measures the server as it is released, beside the stack that it replaces: `cargo xtask bench`.
//!
//! The number to compare is the server's **processor time per request**. Requests per second
//! and latencies depend on what else the machine does meanwhile, and on its disk; so each line
//! also tells the load and how many small writes the disk made durable per second just before.
//! The client runs on the same machine as the server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, ensure};

pub use options::Options;

use aula::Aula;
use cloud::Cloud;
use machine::{Scratch, Workspace};
use options::USAGE;
use peer::Peer;
use platform::Platform;
use scenarios::Measured;

mod aula;
mod cloud;
mod cold;
mod http;
mod load;
mod machine;
mod model;
mod options;
mod peer;
mod platform;
mod process;
mod report;
mod scenarios;

/// Where the benchmarked server says it is: its access tokens name it.
pub const PUBLIC_URL: &str = "http://aula.bench";

/// Makes an access token that the server on this data folder accepts, for this user with these
/// roles.
pub type Mint<'a> = dyn Fn(&Path, &str, &[&str]) -> Result<String> + 'a;

/// Builds the server, measures it and prints what it found. An error if anybody got a wrong
/// answer; a target that was missed is only told.
pub fn run(options: &Options, mint: &Mint) -> Result<()> {
    if options.help {
        println!("{USAGE}");
        return Ok(());
    }
    if options.cold {
        return cold::run(options);
    }
    let workspace = Workspace::find()?;
    let binary = match &options.server {
        Some(binary) => fs::canonicalize(binary).context("looking for the server")?,
        None => workspace.build_server()?,
    };
    let programs = find_cloud(options, &workspace, &binary)?;
    let scratch = Scratch::create(&workspace.target.join("bench"))?;
    eprintln!("filling this platform ...");
    let aula = Aula::prepare(&binary, scratch.path(), options, mint)?;
    let peer = find_peer(options, &workspace, scratch.path());
    let mut platforms: Vec<&dyn Platform> = vec![&aula];
    platforms.extend(peer.as_ref().map(|peer| peer as &dyn Platform));
    let emulated = || -> Result<Measured> {
        let Some(programs) = &programs else { return Ok(Measured::default()) };
        eprintln!("starting the cloud on one machine ...");
        let people = options.emulator_people.unwrap_or(options.people);
        let options = Options { people, ..options.clone() };
        let cloud = Cloud::prepare(programs, scratch.path(), &options, mint)?;
        scenarios::run_all(&[&cloud], &options, scratch.path()).context("on the emulators")
    };
    measure(&platforms, &emulated, options, scratch.path())
}

/// The folder of the cloud's programs, if the rush is to be run on the emulators and they are
/// on this machine.
fn find_cloud(options: &Options, workspace: &Workspace, server: &Path) -> Result<Option<PathBuf>> {
    if !options.rush || !options.emulator {
        return Ok(None);
    }
    if let Err(missing) = testing::emulators::found() {
        eprintln!("no rush on the emulators: {missing:#}");
        return Ok(None);
    }
    Ok(Some(match (&options.server, options.no_build) {
        // Who brings a server brings the programs beside it.
        (Some(_), _) => server.parent().context("a program is in a folder")?.to_owned(),
        (None, true) => workspace.released(),
        (None, false) => {
            eprintln!("building the cloud's programs: the first time it takes minutes ...");
            workspace.build_cloud()?
        }
    }))
}

/// The peer, if it is wanted, there, and can be installed.
fn find_peer(options: &Options, workspace: &Workspace, scratch: &Path) -> Option<Peer> {
    let source = workspace.root.join(options.peer.as_ref()?);
    let python = Command::new("python3").arg("--version").output();
    if !source.join("app.py").exists() || python.is_err() {
        eprintln!("no peer: its folder or python3 is missing");
        return None;
    }
    eprintln!("filling the peer ...");
    Peer::prepare(&source, &workspace.target.join("bench/peer"), scratch, options)
        .inspect_err(|error| eprintln!("no peer: {error:#}"))
        .ok()
}

/// Measures the platforms, and after them the emulated cloud: its many processes would disturb
/// the others though nobody asks them anything.
fn measure(
    platforms: &[&dyn Platform],
    emulated: &dyn Fn() -> Result<Measured>,
    options: &Options,
    folder: &Path,
) -> Result<()> {
    let markdown = options.markdown;
    let launches: Vec<_> = platforms.iter().map(|it| || it.launch()).collect();
    let launches: Vec<_> = launches.iter().map(|it| it as &dyn Fn() -> _).collect();
    let beginnings = if options.rush { Vec::new() } else { scenarios::begin(&launches)? };
    let measured = scenarios::run_all(platforms, options, folder)?;
    let Measured { runs, audits } = measured.and(emulated()?);
    println!("{}", conditions(options)?);
    if !beginnings.is_empty() {
        let names: Vec<_> = platforms.iter().map(|platform| platform.name()).collect();
        println!("{}", report::beginnings(markdown, &names, &beginnings));
    }
    println!("{}", report::runs(markdown, &runs));
    println!("{}", report::races(markdown, &runs));
    if let Some(table) = report::emulated(markdown, &runs) {
        println!("{EMULATED}\n{table}");
    }
    if options.rush && options.model {
        println!("{}", model::table(options));
    }
    println!("{}", report::targets(markdown, &beginnings, &runs));
    for audit in &audits {
        println!("audit, {}: {}", audit.platform, audit.said);
    }
    ensure!(
        runs.iter().filter_map(|run| run.race).all(|race| race.is_right()),
        "a race came out wrong"
    );
    ensure!(audits.iter().all(|audit| audit.is_well), "an audit found something wrong");
    Ok(())
}

/// How to read what the emulators show.
const EMULATED: &str = "\
Emulators: every function is a process of its own behind a gateway, one instance each, on Google's
emulators of Firestore and Pub/Sub. CPU above is that of all these processes, whatever they do
meanwhile; the emulators' own is told here. It shows that the cloud's code gives every seat once
and how often it commits; its times are the emulators', and say nothing about the cloud.
";

/// Under which conditions the tables came about, and how to read them.
fn conditions(options: &Options) -> Result<String> {
    let processors = thread::available_parallelism().context("counting the processors")?;
    let Options { connections, people, seats, .. } = options;
    let catalog =
        if options.rush { String::new() } else { format!("{} courses, ", options.courses) };
    Ok(format!(
        "{catalog}{connections} connections; {people} people race for {seats} seats.\n\
         {processors} processors, shared with the client. Rate limits are off. Logging is on:\n\
         each request is a line, as in production; the lines go to /dev/null.\n\
         CPU: the server's processor time. Ratio: to the first platform's. Disk fsync/s and load:\n\
         just before each line. A peer without a waiting list refuses whoever finds no seat.\n"
    ))
}
