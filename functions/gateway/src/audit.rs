//! `aula audit`: what must be true of the data, checked on what is stored.
//!
//! It reads the folder as it is at one moment, and changes nothing. What a
//! domain promises, the domain checks; what holds for all of them, and between
//! the documents of several, is checked here.

mod identity;
mod shared;

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::{Context as _, ensure};
use embedded::store::Database;
use runtime::Record;

use crate::domains;

/// Finds what is wrong with a domain; it is given all documents of a collection.
type Check = fn(&dyn Fn(&str) -> Vec<Record>) -> Vec<String>;

/// What each domain promises.
const PROMISES: [(&str, Check); 2] =
    [("identity", identity::violations), ("enrollments", enrollments::audit::violations)];

/// Checks the data in a folder, and prints each violation.
pub(crate) fn run(folder: &Path) -> anyhow::Result<ExitCode> {
    ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    let violations = violations(folder)?;
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("Nothing is wrong with {}.", folder.display());
        Ok(ExitCode::SUCCESS)
    } else {
        println!("\n{} violations in {}.", violations.len(), folder.display());
        Ok(ExitCode::FAILURE)
    }
}

/// Whether a document is one at all.
fn is_object(record: &Record) -> bool {
    serde_json::from_str::<serde_json::Map<_, _>>(&record.body).is_ok()
}

/// Everything that is wrong with the data in a folder.
fn violations(folder: &Path) -> anyhow::Result<Vec<String>> {
    let database = Database::open_read_only(folder)?;
    let mut found = Vec::new();
    for domain in domains() {
        let store = database.domain(domain.name, &domain.collections)?;
        let mut documents = BTreeMap::new();
        for collection in &domain.collections {
            let read = || store.scan(collection.name)?.collect::<anyhow::Result<Vec<_>>>();
            let records = read().with_context(|| format!("{}/{}", domain.name, collection.name))?;
            found.extend(records.iter().filter(|it| !is_object(it)).map(|record| {
                format!("{}: {}/{} isn't a document", domain.name, collection.name, record.id)
            }));
            documents.insert(collection.name, records);
        }
        let promises = PROMISES.iter().filter(|(name, _)| *name == domain.name).map(|(_, it)| it);
        let checks = std::iter::once(&(shared::violations as Check)).chain(promises);
        let records = |collection: &str| documents.get(collection).cloned().unwrap_or_default();
        let told = checks.flat_map(|check| check(&records));
        found.extend(told.map(|violation| format!("{}: {violation}", domain.name)));
    }
    Ok(found)
}
