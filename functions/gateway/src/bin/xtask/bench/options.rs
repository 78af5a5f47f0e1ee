//! What the benchmark is asked to do.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

/// How the benchmark is called.
pub const USAGE: &str = "\
usage: cargo xtask bench [rush | cold] [options]

  rush               only the race for seats: here, on Google's emulators where they are found,
                     and by the model of the cloud's database
  cold               how the containers begin, and how large they are: every domain's binary, as
                     its image has it. Built from nothing that is half an hour of two cores, then
                     minutes a domain
  --domain NAME      cold: only this domain's container
  --connections N    connections of the fast scenarios and of the race (64)
  --people N         people in the race (2000)
  --seats N          seats that they race for (500)
  --courses N        courses in the catalog (10000)
  --seconds N        length of each scenario that is measured by time (5)
  --no-peer          measure only this server
  --no-emulator      leave the rush on Google's emulators out
  --emulator-people N  people in the race there (as many as elsewhere)
  --no-build         take the programs that run there as they are, however old
  --no-model         leave the model of the cloud's database out
  --peer FOLDER      the peer, relative to the workspace (../shared/peers/fastapi_courses)
  --server FILE      measure this binary instead of building one (cold: that of --domain)
  --markdown         print Markdown tables";

/// What to measure, and how much of it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the command line")]
pub struct Options {
    /// Only to be told how the benchmark is called.
    pub help: bool,
    /// Only the race for seats.
    pub rush: bool,
    /// How a container begins, and nothing else.
    pub cold: bool,
    /// The one domain whose container is measured; nothing: every domain's.
    pub domain: Option<String>,
    /// Connections of the fast scenarios and of the race.
    pub connections: usize,
    /// People in the race.
    pub people: usize,
    /// Seats that they race for.
    pub seats: usize,
    /// Courses in the catalog.
    pub courses: usize,
    /// Length of each scenario that is measured by time.
    pub seconds: u64,
    /// The peer's folder, relative to the workspace; nothing: no peer.
    pub peer: Option<PathBuf>,
    /// The server's binary; nothing: build it.
    pub server: Option<PathBuf>,
    /// Whether a rush is also run on Google's emulators.
    pub emulator: bool,
    /// People in the race there; nothing: as many as elsewhere.
    pub emulator_people: Option<usize>,
    /// Take the programs that run there as they are.
    pub no_build: bool,
    /// Whether a rush is also run by the model of the cloud's database.
    pub model: bool,
    /// Markdown tables instead of plain ones.
    pub markdown: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            help: false,
            rush: false,
            cold: false,
            domain: None,
            connections: 64,
            people: 2_000,
            seats: 500,
            courses: 10_000,
            seconds: 5,
            peer: Some(PathBuf::from("../shared/peers/fastapi_courses")),
            server: None,
            emulator: true,
            emulator_people: None,
            no_build: false,
            model: true,
            markdown: false,
        }
    }
}

impl Options {
    /// Reads the arguments that follow `bench`.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().with_context(|| format!("{argument} takes a value"));
            match argument.as_str() {
                "rush" => options.rush = true,
                "cold" => options.cold = true,
                "--domain" => options.domain = Some(value()?),
                "--connections" => options.connections = number(&argument, &value()?)?,
                "--people" => options.people = number(&argument, &value()?)?,
                "--seats" => options.seats = number(&argument, &value()?)?,
                "--courses" => options.courses = number(&argument, &value()?)?,
                "--seconds" => options.seconds = u64::try_from(number(&argument, &value()?)?)?,
                "--no-peer" => options.peer = None,
                "--no-emulator" => options.emulator = false,
                "--emulator-people" => {
                    options.emulator_people = Some(number(&argument, &value()?)?);
                }
                "--no-build" => options.no_build = true,
                "--no-model" => options.model = false,
                "--peer" => options.peer = Some(value()?.into()),
                "--server" => options.server = Some(value()?.into()),
                "--markdown" => options.markdown = true,
                "--help" => options.help = true,
                _ => bail!("{argument}?\n\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

fn number(name: &str, text: &str) -> Result<usize> {
    let number = text.parse().with_context(|| format!("{name} takes a number, not {text:?}"))?;
    ensure!((1..=1_000_000).contains(&number), "{name} takes a number from 1 to 1000000");
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let options = parse("rush --people 20 --no-peer").expect("good options");
        assert!(options.rush && options.peer.is_none());
        assert_eq!((options.people, options.seats, options.connections), (20, 500, 64));
        assert!(options.emulator && options.emulator_people.is_none() && !options.no_build);
    }

    #[test]
    fn the_race_on_the_emulators_may_be_a_smaller_one_or_none() {
        let options = parse("rush --emulator-people 300 --no-build").expect("good options");
        assert_eq!((options.emulator_people, options.people), (Some(300), 2_000));
        assert!(options.no_build && !parse("rush --no-emulator").expect("good options").emulator);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["--seats", "--seats many", "--seats 0", "--fast", "race"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
