//! What an operator's command is about: the folder of this machine, or a project
//! of Google Cloud. What reaches Google's services is a program of its own, so
//! that nobody has to build it who doesn't need it.

use clap::Args;

/// What a command is about: without a project, the folder of this machine.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// A project of Google Cloud, instead of the folder of this machine.
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// What the names of its topics and subscriptions begin with.
    #[arg(long, env = "AULA_TOPICS_PREFIX", value_name = "PREFIX", default_value = "")]
    pub topics_prefix: String,
    /// A Firestore emulator that has the project.
    #[arg(long, env = "FIRESTORE_EMULATOR_HOST", value_name = "HOST:PORT")]
    pub firestore: Option<String>,
    /// A Pub/Sub emulator that has the project.
    #[arg(long, env = "PUBSUB_EMULATOR_HOST", value_name = "HOST:PORT")]
    pub pubsub: Option<String>,
    /// Take the program that reaches Google Cloud as it is, however old.
    #[arg(long, env = "AULA_NO_BUILD")]
    pub no_build: bool,
}

/// Has the program with Google's crates do what this one was asked to do.
#[cfg(not(feature = "cloud"))]
pub(crate) fn hand_over(target: &Target) -> anyhow::Result<std::process::ExitCode> {
    use anyhow::Context as _;

    let build = !target.no_build;
    let program = crate::serve::runtime()?.block_on(crate::cloud::programs::operator(build))?;
    let mut command = std::process::Command::new(&program);
    let status = command.args(std::env::args_os().skip(1)).status();
    let status = status.with_context(|| program.display().to_string())?;
    let code = status.code().and_then(|it| u8::try_from(it).ok());
    Ok(code.unwrap_or(1).into())
}

#[cfg(feature = "cloud")]
pub(crate) mod cloud {
    //! A project of Google Cloud, as an operator sees it.

    use std::sync::Arc;

    use google::{
        DeadLetters, Names,
        firestore::{DomainStore, Firestore, Settings},
    };
    use runtime::{Domain, SystemClock, SystemRandom};

    use super::Target;

    impl Target {
        /// The dead letters of a project.
        pub(crate) fn dead_letters(&self, project: &str) -> anyhow::Result<DeadLetters> {
            let names = Names::new(project, &self.topics_prefix);
            match &self.pubsub {
                Some(host) => Ok(DeadLetters::on_emulator(names, host)),
                None => DeadLetters::on_google(names),
            }
        }

        /// The documents of a domain, in the database of its name.
        pub(crate) fn documents(
            &self,
            project: &str,
            domain: &Domain,
        ) -> anyhow::Result<Arc<DomainStore>> {
            let settings = Settings::of(project);
            let settings = match &self.firestore {
                Some(host) => settings.at(host),
                None => settings,
            };
            let firestore = Firestore::new(settings, Arc::new(SystemClock), Arc::new(SystemRandom));
            firestore.domain(domain.name, &domain.collections)
        }
    }
}
