//! `aula events`: what nobody could take, listed and replayed.
//!
//! A *dead letter* was tried too often; what is *parked* can't be read at all.
//! Replaying hands an event once more to the one subscriber that couldn't take
//! it, when what was wrong with that is mended. Nothing is changed without `--yes`.

#[cfg(feature = "cloud")]
mod cloud;
mod local;

use std::{fmt, path::Path, process::ExitCode};

use anyhow::ensure;
use async_trait::async_trait;
use clap::{Args, Subcommand};
use contracts::Timestamp;

use self::local::Folder;
use crate::{operator::Target, serve};

/// What is to be done with what nobody could take.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Debug, Subcommand)]
enum Task {
    /// Tells what nobody could take, and why.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        target: Target,
    },
    /// Hands it to its subscribers once more; without --yes, it only tells what it would.
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        target: Target,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

/// Which of it is meant; all, unless said.
#[derive(Clone, Debug, Args)]
struct Which {
    /// What this subscriber couldn't take, such as `enrollments.on_courses_deleted`.
    #[arg(long, value_name = "FUNCTION")]
    subscriber: Option<String>,
    /// Events of this type, such as `courses.deleted.v1`.
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// The one with this id, as it's listed; may be said several times.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Look at no more than so many.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    most: u32,
}

/// Something that nobody could take.
#[derive(Clone, Debug)]
struct GivenUp {
    id: String,
    /// The function that couldn't take it.
    subscriber: String,
    /// The event's type, if it's an event at all.
    event: Option<String>,
    /// How often it was tried; nothing, if it's parked.
    attempts: Option<u32>,
    at: Option<Timestamp>,
    because: Option<String>,
}

/// What keeps it.
#[async_trait]
trait Keeps {
    /// What nobody could take, at most about so much.
    async fn given_up(&self, most: u32) -> anyhow::Result<Vec<GivenUp>>;
    /// Replays some of it. Gives back how many were.
    async fn replay(&self, wanted: &[GivenUp]) -> anyhow::Result<usize>;
}

/// Lists or replays.
#[cfg_attr(
    not(feature = "cloud"),
    expect(unused_variables, reason = "the operator's program reads it")
)]
pub(crate) fn run(folder: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let (which, target, acts) = match &options.task {
        Task::List { which, target } => (which, target, None),
        Task::Replay { which, target, yes } => (which, target, Some(*yes)),
    };
    if let Some(project) = &target.project {
        #[cfg(not(feature = "cloud"))]
        return crate::operator::hand_over(target);
        #[cfg(feature = "cloud")]
        return serve::runtime()?.block_on(async {
            let project = cloud::Project::open(target, project)?;
            act(&project, which, acts).await
        });
    }
    ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    serve::runtime()?.block_on(async {
        let folder = Folder::open(folder, acts == Some(true))?;
        let done = act(&folder, which, acts).await;
        folder.close().await?;
        done
    })
}

/// Tells what is meant and, unless it's only listed, replays it if that is wanted.
async fn act(
    keeper: &(impl Keeps + Sync),
    which: &Which,
    acts: Option<bool>,
) -> anyhow::Result<ExitCode> {
    let mut meant = keeper.given_up(which.most).await?;
    meant.retain(|it| which.means(it));
    for it in &meant {
        println!("{it}");
    }
    let count = meant.len();
    match acts {
        _ if meant.is_empty() => println!("Nothing was given up."),
        None => println!("\n{count} in all. `events replay` hands them over once more."),
        Some(false) => println!("\n{count} would be replayed. Say --yes to do it."),
        Some(true) => {
            let replayed = keeper.replay(&meant).await?;
            println!("\n{replayed} of {count} are handed over once more.");
            ensure!(replayed == count, "{} can't be replayed, or are gone", count - replayed);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Which {
    fn means(&self, it: &GivenUp) -> bool {
        self.subscriber.as_ref().is_none_or(|wanted| *wanted == it.subscriber)
            && self.event.as_ref().is_none_or(|wanted| Some(wanted) == it.event.as_ref())
            && (self.ids.is_empty() || self.ids.contains(&it.id))
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, subscriber, event, attempts, at, because } = self;
        let event = event.as_deref().unwrap_or("no event");
        write!(f, "{id}  {subscriber}  {event}  ")?;
        match attempts {
            Some(attempts) => write!(f, "dead after {attempts} tries")?,
            None => f.write_str("parked")?,
        }
        if let Some(at) = at {
            write!(f, "  {at}")?;
        }
        if let Some(because) = because {
            // One line each: a text of somebody else's may have several.
            write!(f, "  {}", because.split_whitespace().collect::<Vec<_>>().join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up() -> GivenUp {
        GivenUp {
            id: "a".to_owned(),
            subscriber: "enrollments.on_courses_deleted".to_owned(),
            event: Some("courses.deleted.v1".to_owned()),
            attempts: Some(8),
            at: None,
            because: Some("it\nfails".to_owned()),
        }
    }

    #[test]
    fn what_is_meant_is_narrowed_by_each_word() {
        let all = Which { subscriber: None, event: None, ids: Vec::new(), most: 10 };
        assert!(all.means(&given_up()));
        let by = |subscriber: &str, event: &str, id: &str| Which {
            subscriber: Some(subscriber.to_owned()),
            event: Some(event.to_owned()),
            ids: vec![id.to_owned()],
            most: 10,
        };
        let (subscriber, event) = ("enrollments.on_courses_deleted", "courses.deleted.v1");
        assert!(by(subscriber, event, "a").means(&given_up()));
        assert!(!by("x", event, "a").means(&given_up()));
        assert!(!by(subscriber, "x", "a").means(&given_up()));
        assert!(!by(subscriber, event, "b").means(&given_up()));
    }

    #[test]
    fn each_is_told_in_one_line() {
        let dead =
            "a  enrollments.on_courses_deleted  courses.deleted.v1  dead after 8 tries  it fails";
        assert_eq!(given_up().to_string(), dead);
        let parked = GivenUp { attempts: None, event: None, because: None, ..given_up() };
        let told = "a  enrollments.on_courses_deleted  no event  parked";
        assert_eq!(parked.to_string(), told);
    }
}
