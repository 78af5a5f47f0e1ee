//! The cloud on one machine as the benchmark sees it: every function a process of its own, on
//! Google's emulators of Firestore and Pub/Sub, used through the same API.
//!
//! An emulator says nothing about the speed of what it stands for. It says whether the code
//! that runs in the cloud gives every seat once, and how many commits it needs.

use std::{
    fs::{self, File},
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Mint, Options, PUBLIC_URL,
    aula::Aula,
    platform::{Audit, Counters, Patience, Platform, Section, SectionPlan, Verdict},
    process::{Health, Server},
    scenarios::settle,
};

/// How long some seventy processes and two emulators may take to start.
const START_DEADLINE: Duration = Duration::from_mins(4);

/// Every look at what is under way asks each process, and so costs all of them something; and
/// the emulators need their time to carry thousands of events.
const PATIENCE: Patience =
    Patience { every: Duration::from_millis(250), without_progress: Duration::from_mins(2) };

/// The program that is the gateway and the auditor; the domains' are beside it.
pub const OPERATOR: &str = "operator";

/// The cloud on one machine, ready to be launched. It forgets everything when it stops.
#[derive(Debug)]
pub struct Cloud {
    operator: PathBuf,
    /// What the processes say, the gateway among them.
    said: PathBuf,
    api: Aula,
    admin: String,
}

impl Cloud {
    /// Makes the people and the key that their tokens are signed with.
    pub fn prepare(programs: &Path, folder: &Path, options: &Options, mint: &Mint) -> Result<Self> {
        let operator = programs.join(OPERATOR);
        ensure!(operator.is_file(), "there is no {}", operator.display());
        let mut api = Aula::to_be(&operator, folder, "cloud")?;
        let admin = api.enlist(options, mint)?;
        Ok(Self { operator, said: folder.join("cloud.stdout"), api, admin })
    }

    /// What the gateway said of itself when it began to listen.
    fn listening(&self) -> Result<Value> {
        let said = fs::read_to_string(&self.said).context("reading what the gateway said")?;
        listening(&said).context("the gateway doesn't tell its project")
    }
}

/// The line that says where everything is.
fn listening(said: &str) -> Option<Value> {
    let lines = said.lines().filter(|line| line.contains(r#""project":"#));
    lines.filter_map(|line| serde_json::from_str(line).ok()).find(|line: &Value| {
        ["project", "firestore", "pubsub"].iter().all(|name| line[name].is_string())
    })
}

impl Platform for Cloud {
    fn name(&self) -> &'static str {
        "emulators"
    }

    fn launch(&self) -> Result<Server> {
        let mut command = Command::new(&self.operator);
        command.arg("cloud").args(["--no-build", "--per", "function"]);
        command.arg("--listen").arg(self.api.address().to_string());
        command.arg("--public-url").arg(PUBLIC_URL);
        command.arg("--signing-key").arg(self.api.signing_key());
        command.stdout(File::create(&self.said).context("creating the file of what is said")?);
        let health = Health { path: "/v1/health", within: START_DEADLINE };
        let address = self.api.address();
        let server = Server::with_stdout(&mut command, address, health, self.api.complaints())?;
        let server = server.with_children();
        self.api.add_categories(&self.admin).context("adding the categories")?;
        settle(self, address)?;
        Ok(server)
    }

    fn reads(&self) -> Vec<Vec<u8>> {
        self.api.reads()
    }

    fn lists(&self) -> Vec<Vec<u8>> {
        self.api.lists()
    }

    fn sign_ins(&self) -> Vec<Vec<u8>> {
        self.api.sign_ins()
    }

    fn open_section(&self, address: SocketAddr, plan: SectionPlan) -> Result<Section> {
        self.api.open_section(address, plan)
    }

    fn enrollments(&self, section: &Section, people: Range<usize>) -> Vec<Vec<u8>> {
        self.api.enrollments(section, people)
    }

    fn verdict(&self, status: u16, body: &[u8]) -> Verdict {
        self.api.verdict(status, body)
    }

    fn confirmed(&self, address: SocketAddr, section: &Section) -> Result<usize> {
        self.api.confirmed(address, section)
    }

    fn counters(&self, address: SocketAddr) -> Result<Counters> {
        self.api.counters(address)
    }

    fn patience(&self) -> Patience {
        PATIENCE
    }

    fn audit(&self) -> Result<Option<Audit>> {
        let at = self.listening()?;
        let mut command = Command::new(&self.operator);
        command.args(["audit", "--no-build"]);
        for name in ["project", "firestore", "pubsub"] {
            command.arg(format!("--{name}")).arg(at[name].as_str().unwrap_or_default());
        }
        Audit::by(self.name(), &mut command).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_says_of_itself_is_found_among_what_others_say() {
        let said = "not JSON, though it has \"project\":1\n\
            {\"message\":\"request\",\"project\":\"p0\"}\n\
            {\"message\":\"listening\",\"project\":\"p1\",\"firestore\":\"f:1\",\"pubsub\":\"b:2\"}\n";
        let line = listening(said).expect("it's there");
        assert_eq!((&line["project"], &line["firestore"]), (&"p1".into(), &"f:1".into()));
        assert!(listening("{\"message\":\"listening\"}").is_none());
    }
}
