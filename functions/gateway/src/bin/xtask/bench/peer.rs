//! The peer: the same platform in Python (`FastAPI`, `SQLAlchemy`, SQLite).

use std::{
    fs,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    Options,
    http::{Request, succeed},
    platform::{ACCOUNTS, CATEGORIES, PAGE, Platform, Section, SectionPlan, Verdict},
    process::{Server, free_address},
    scenarios::crowd,
};

const LEVELS: [&str; 3] = ["basic", "intermediate", "advanced"];
/// What the peer's `seed.py` gives everyone.
const PASSWORD: &str = "correct horse battery";
const FILES: [&str; 5] = ["app.py", "requirements.txt", "seed.py", "serve.sh", "tokens.py"];

/// The peer, installed, filled and ready to be launched.
#[derive(Debug)]
pub struct Peer {
    /// A copy of its files, so that Python's own files don't end up among them.
    home: PathBuf,
    database: PathBuf,
    complaints: PathBuf,
    address: SocketAddr,
    courses: usize,
    people: Vec<String>,
}

impl Peer {
    /// Its name in the report.
    pub const NAME: &str = "peer";

    /// Installs the peer into `home`, which is kept from run to run, and fills a database in
    /// `folder`.
    pub fn prepare(source: &Path, home: &Path, folder: &Path, options: &Options) -> Result<Self> {
        install(source, home)?;
        let mut peer = Self {
            home: home.to_owned(),
            database: folder.join("peer.db"),
            complaints: folder.join("peer.stderr"),
            address: free_address()?,
            courses: if options.rush { 1 } else { options.courses },
            people: Vec::new(),
        };
        // The server makes the tables that the seed fills.
        peer.launch()?.stop()?;
        let people = crowd(options);
        let users = people.max(ACCOUNTS).to_string();
        peer.python(&["seed.py", path(&peer.database)?, &peer.courses.to_string(), &users])?;
        let tokens = folder.join("peer.tokens");
        peer.python(&["tokens.py", &people.to_string(), path(&tokens)?])?;
        peer.people = fs::read_to_string(&tokens)?.lines().map(str::to_owned).collect();
        Ok(peer)
    }

    fn python(&self, arguments: &[&str]) -> Result<()> {
        let python = self.home.join("venv/bin/python");
        finish(Command::new(python).args(arguments).current_dir(&self.home))
    }
}

impl Platform for Peer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn launch(&self) -> Result<Server> {
        let mut command = Command::new("bash");
        command.arg("serve.sh").current_dir(&self.home);
        command.env("VENV", self.home.join("venv"));
        command.env("PORT", self.address.port().to_string());
        command.env("DATABASE_URL", format!("sqlite+aiosqlite:///{}", self.database.display()));
        Server::start(&mut command, self.address, "/healthz", &self.complaints)
    }

    fn reads(&self) -> Vec<Vec<u8>> {
        (1..=self.courses).map(|id| Request::get(&format!("/courses/{id}")).bytes()).collect()
    }

    fn lists(&self) -> Vec<Vec<u8>> {
        let list = |category: &str, level: &str| {
            let path = format!("/courses?category={category}&level={level}&limit={PAGE}");
            Request::get(&path).bytes()
        };
        CATEGORIES.iter().flat_map(|category| LEVELS.map(|level| list(category, level))).collect()
    }

    fn sign_ins(&self) -> Vec<Vec<u8>> {
        (2..ACCOUNTS + 2).map(|id| sign_in(&format!("s{id}@x.test")).bytes()).collect()
    }

    /// The peer has neither sections nor waiting lists: a course has so many seats, and then it
    /// is full.
    fn open_section(&self, address: SocketAddr, plan: SectionPlan) -> Result<Section> {
        let teacher = succeed(address, sign_in("teacher@x.test"))?;
        let token = teacher["token"].as_str().context("signing in gives a token")?;
        let course = json!({
            "title": "Bench",
            "category": CATEGORIES[0],
            "level": LEVELS[0],
            "capacity": plan.seats,
        });
        let course = succeed(address, Request::post("/courses").bearer(token).json(&course))?;
        let id = course["id"].as_u64().context("a course has an id")?.to_string();
        Ok(Section { course: id.clone(), section: id })
    }

    fn enrollments(&self, section: &Section, people: Range<usize>) -> Vec<Vec<u8>> {
        let path = format!("/courses/{}/enrolments", section.course);
        self.people[people].iter().map(|token| Request::post(&path).bearer(token).bytes()).collect()
    }

    fn verdict(&self, status: u16, _: &[u8]) -> Verdict {
        match status {
            201 => Verdict::Confirmed,
            409 => Verdict::Refused,
            _ => Verdict::Other,
        }
    }

    fn confirmed(&self, address: SocketAddr, section: &Section) -> Result<usize> {
        let course = succeed(address, Request::get(&format!("/courses/{}", section.course)))?;
        let enrolled =
            course["enrolled"].as_u64().context("a course tells how many are enrolled")?;
        Ok(usize::try_from(enrolled)?)
    }
}

fn sign_in(email: &str) -> Request {
    let body: Value = json!({"email": email, "password": PASSWORD});
    Request::post("/login").json(&body)
}

/// Copies the peer's files and installs what they require, unless that was done before.
fn install(source: &Path, home: &Path) -> Result<()> {
    fs::create_dir_all(home)?;
    for file in FILES {
        fs::copy(source.join(file), home.join(file))
            .with_context(|| format!("copying the peer's {file}"))?;
    }
    let requirements = fs::read(home.join("requirements.txt"))?;
    let installed = home.join("installed.txt");
    if fs::read(&installed).is_ok_and(|kept| kept == requirements) {
        return Ok(());
    }
    eprintln!("installing the peer ...");
    finish(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(home))?;
    let pip = ["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"];
    finish(Command::new(home.join("venv/bin/python")).args(pip).current_dir(home))?;
    fs::write(installed, requirements)?;
    Ok(())
}

/// Runs a command to its end, which must be a good one.
fn finish(command: &mut Command) -> Result<()> {
    let status =
        command.stdout(Stdio::null()).status().with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
