//! The command line: what the process is asked to do, and with which settings.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use runtime::{IdentityProvider, SecondIssuer, Settings, mail::Providers};

use crate::{
    audit, cloud, demo, events,
    import::{self, Import},
    log,
    operator::Target,
    serve,
};

/// Aula, a course platform: all of its functions in one process.
///
/// Without a command it serves them until it is told to stop.
#[derive(Debug, Parser)]
#[command(name = "aula", version, args_override_self = true)]
pub struct Command {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Debug, Subcommand)]
enum Task {
    /// Fills an empty platform with a catalog, people and enrollments.
    Demo,
    /// Takes in what was kept elsewhere; exits with 1 if a row was refused.
    #[command(subcommand)]
    Import(Import),
    /// Checks what must be true of the data; exits with 1 if anything isn't.
    Audit(Target),
    /// What nobody could take: events that a subscriber has failed at too often, or can never read.
    Events(events::Options),
    /// Serves the platform as in the cloud: every function a process of its own, on Google's emulators.
    Cloud(cloud::Options),
}

/// The settings; each has an environment variable too.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, global = true, env = "AULA_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The folder that everything is kept in; it is made if it isn't there.
    #[arg(long, global = true, env = "AULA_DATA", value_name = "DIR", default_value = "aula-data")]
    pub data: PathBuf,
    /// Keep everything in memory, and nothing after the end.
    #[arg(long, global = true, env = "AULA_IN_MEMORY")]
    pub in_memory: bool,
    /// The server that takes mail, such as `smtp://localhost:1025`; the local inbox has it anyway.
    #[arg(long, global = true, env = "AULA_SMTP_URL", value_name = "URL")]
    pub smtp_url: Option<String>,
    /// Where people reach the platform, for links and tokens; the address unless said.
    #[arg(long, global = true, env = "AULA_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Answer however often one asks: for load tests.
    #[arg(long, global = true, env = "AULA_NO_RATE_LIMITS")]
    pub no_rate_limits: bool,
    /// Who registers with this address is an admin once the address is verified.
    #[arg(long, global = true, env = "AULA_ADMIN_EMAIL", value_name = "ADDRESS")]
    pub admin_email: Option<String>,
    /// With whose accounts people may sign in: a JSON array of objects with `name`, `title`, `issuer`,
    /// `client_id`, `client_secret` and, for GitHub, `protocol`; or `@` and the file that has it.
    #[arg(
        long,
        global = true,
        env = "AULA_IDENTITY_PROVIDERS",
        value_name = "JSON",
        hide_env_values = true
    )]
    pub identity_providers: Option<String>,
    /// Whose tokens are taken beside the platform's own: a JSON object with `title`, `issuer`, `audience`
    /// and `jwks_uri`.
    #[arg(long, global = true, env = "AULA_SECOND_ISSUER", value_name = "JSON")]
    pub second_issuer: Option<SecondIssuer>,
    /// Who may tell what became of a mail, as `name:secret`, separated by commas.
    #[arg(
        long,
        global = true,
        env = "AULA_MAIL_PROVIDERS",
        value_name = "NAME:SECRET",
        hide_env_values = true
    )]
    pub mail_providers: Option<Providers>,
    /// How many seats of a large section go into one document; 0: all of them.
    #[arg(long, global = true, env = "AULA_SEATS_IN_BLOCK", value_name = "N", default_value_t = Settings::SEATS_IN_BLOCK)]
    pub seats_in_block: u32,
}

impl Options {
    /// With whose accounts people may sign in.
    pub fn identity_providers(&self) -> anyhow::Result<Vec<IdentityProvider>> {
        let Some(json) = self.identity_providers_json()? else { return Ok(Vec::new()) };
        IdentityProvider::read_all(&json)
            .map_err(|why| anyhow::anyhow!("identity providers: {why}"))
    }

    /// The same as JSON, wherever it was, for a process that reads no file of ours.
    pub fn identity_providers_json(&self) -> anyhow::Result<Option<String>> {
        let Some(setting) = &self.identity_providers else { return Ok(None) };
        let Some(path) = setting.strip_prefix('@') else { return Ok(Some(setting.clone())) };
        std::fs::read_to_string(path).map(Some).with_context(|| path.to_owned())
    }
}

impl Command {
    /// Does what was asked. Only servers log; the others just answer.
    pub fn run(self) -> ExitCode {
        let outcome = match self.task {
            None => logged(|| serve::run(&self.options)),
            Some(Task::Cloud(cloud)) => logged(|| cloud::run(&self.options, &cloud)),
            Some(Task::Demo) => demo::run(&self.options).map(|()| ExitCode::SUCCESS),
            Some(Task::Import(what)) => import::run(&self.options, &what).map(|all_went_well| {
                if all_went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }),
            Some(Task::Audit(target)) => audit::run(&self.options.data, &target),
            Some(Task::Events(events)) => events::run(&self.options.data, &events),
        };
        outcome.unwrap_or_else(|error| {
            eprintln!("aula: {error:#}");
            ExitCode::FAILURE
        })
    }
}

/// Does something that logs.
fn logged(run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    let lines = log::start()?;
    let done = run();
    lines.flush();
    done.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_setting_has_an_environment_variable() {
        let command = Command::command();
        command.clone().debug_assert();
        let settings = command.get_arguments().filter(|it| it.get_long().is_some());
        for setting in settings.filter(|it| !matches!(it.get_id().as_str(), "help" | "version")) {
            let name = setting.get_env().and_then(|it| it.to_str()).unwrap_or_default();
            let expected = setting.get_id().as_str().to_uppercase();
            assert_eq!(name, format!("AULA_{expected}"));
        }
    }

    #[test]
    fn identity_providers_are_given_as_they_are_or_in_a_file() {
        let json = |setting: &str| {
            let command = Command::parse_from(["aula", "--identity-providers", setting]);
            command.options.identity_providers_json()
        };
        assert_eq!(json("[]").unwrap().as_deref(), Some("[]"));
        let manifest = concat!("@", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(json(manifest).unwrap().unwrap().contains("[package]"));
        let missing = json("@/no/such/file").unwrap_err().to_string();
        assert_eq!(missing, "/no/such/file");
    }

    #[test]
    fn settings_may_stand_before_and_after_a_command() {
        for line in ["aula --data x audit", "aula audit --data x"] {
            let command = Command::parse_from(line.split(' '));
            assert!(matches!(command.task, Some(Task::Audit(_))));
            assert_eq!(command.options.data, PathBuf::from("x"));
        }
    }
}
