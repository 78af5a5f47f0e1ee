//! `aula import`: takes in what was kept elsewhere, from a file of
//! comma-separated values. Each row has an outcome, and a file may be imported
//! again: what is there already stays as it is.

mod courses;
mod users;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use contracts::Endpoint;
use embedded::Platform;
use runtime::{Context, System};

use crate::command::Options;

/// What can be imported.
#[derive(Clone, Debug, Subcommand)]
pub enum Import {
    /// Courses, in Moodle's columns or with `shortname`, `fullname`, `summary`, `description`, `language`,
    /// `level`, `category` or `category_path`, `tags`, `instructors`, `visible`, `startdate`, `enddate`,
    /// `time_zone` and `capacity`. Each is known by its `shortname`.
    Courses {
        /// The file; its first line names the columns.
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },
    /// People, in Moodle's columns or with `email`, `name`, `password` or `password_hash`, `locale`,
    /// `time_zone` and `roles`.
    Users {
        /// The file; its first line names the columns.
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },
}

/// Imports a file into the platform in the folder; says whether every row went well.
pub(crate) fn run(options: &Options, import: &Import) -> anyhow::Result<bool> {
    ensure!(
        !options.in_memory,
        "what is imported into memory is gone at once; leave --in-memory out"
    );
    // What is imported isn't told anyone by mail.
    let options = Options { smtp_url: None, ..options.clone() };
    crate::serve::runtime()?.block_on(async {
        let platform = crate::serve::open(&options, options.listen)
            .context("the platform can't take anything in now")?;
        let report = match import {
            Import::Courses { file } => courses::import(&platform, file).await,
            Import::Users { file } => users::import(&platform, file).await,
        };
        platform.shutdown().await?;
        let report = report?;
        print!("{report}");
        Ok(report.refused == 0)
    })
}

/// What has come of each row of a file.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<String>,
    created: usize,
    existing: usize,
    refused: usize,
}

impl Report {
    /// A row that can't be read.
    fn refuse(&mut self, line: u64, why: &str) {
        self.refused += 1;
        self.lines.push(format!("line {line}: refused: {why}"));
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let Self { created, existing, refused, .. } = self;
        writeln!(f, "{created} created, {existing} there already, {refused} refused")
    }
}

/// A file's rows, by the names of its columns in small letters.
struct Rows {
    columns: Vec<String>,
    rows: Vec<(u64, csv::StringRecord)>,
}

impl Rows {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        // Spreadsheets put a mark in front.
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let first = text.split(|it| *it == b'\n').next().unwrap_or_default();
        let many = |sign: u8| first.split(|it| *it == sign).count();
        let delimiter = if many(b';') > many(b',') { b';' } else { b',' };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::Headers)
            .flexible(true)
            .from_reader(text);
        let headers = reader.headers().context("the first line names the columns")?;
        let columns: Vec<_> = headers.iter().map(str::to_lowercase).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.with_context(|| file.display().to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record));
        }
        Ok(Self { columns, rows })
    }

    /// Refuses columns that are neither read nor begin like one that's known and left
    /// out: a misspelled one would be lost without a word.
    fn expect(&self, read: &[&str], ignored: &[&str]) -> anyhow::Result<()> {
        let known = |column: &str| {
            read.contains(&column) || ignored.iter().any(|it| column.starts_with(it))
        };
        let unknown: Vec<_> = self.columns.iter().filter(|it| !known(it)).cloned().collect();
        ensure!(unknown.is_empty(), "these columns aren't known: {}", unknown.join(", "));
        Ok(())
    }

    /// What a row has in a column; nothing if that's empty.
    fn text<'a>(&self, row: &'a csv::StringRecord, column: &str) -> Option<&'a str> {
        let place = self.columns.iter().position(|it| it == column)?;
        row.get(place).filter(|it| !it.trim().is_empty())
    }
}

/// Asks a domain as the platform itself.
async fn ask<E: Endpoint>(platform: &Platform, request: E) -> anyhow::Result<E::Response> {
    let cx = Context::<System>::of_platform("gateway", &platform.front(None).ports);
    cx.call(request).await.map_err(|error| anyhow::anyhow!("{}: {error}", E::OPERATION))
}
