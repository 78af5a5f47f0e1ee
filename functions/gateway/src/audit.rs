//! `aula audit`: what must be true of the data, checked on what is stored.
//!
//! It reads the folder, or the databases of a project of Google Cloud, as they
//! are at one moment, and changes nothing. What a domain promises, the domain
//! checks; what holds for all of them, and between the documents of several, is
//! checked here.

mod between;
#[cfg(feature = "cloud")]
mod cloud;
mod identity;
mod shared;

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::{Context as _, ensure};
use embedded::{LocalBus, store::Database};
use runtime::{Collection, Domain, Record};

use self::between::Between;
use crate::{domains, operator::Target};

/// Finds what is wrong with a domain; it is given all documents of a collection.
type Check = fn(&dyn Fn(&str) -> Vec<Record>) -> Vec<String>;

/// What each domain promises.
const PROMISES: [(&str, Check); 3] = [
    ("identity", identity::violations),
    ("enrollments", enrollments::audit::violations),
    ("notifications", notifications::audit::violations),
];

/// All documents of a domain, by their collections.
type Documents = BTreeMap<&'static str, Vec<Record>>;

/// Checks the data in a folder or of a project, and prints each violation.
#[cfg_attr(
    not(feature = "cloud"),
    expect(unused_variables, reason = "the operator's program reads it")
)]
pub(crate) fn run(folder: &Path, target: &Target) -> anyhow::Result<ExitCode> {
    if let Some(project) = &target.project {
        #[cfg(not(feature = "cloud"))]
        return crate::operator::hand_over(target);
        #[cfg(feature = "cloud")]
        return {
            let found = crate::serve::runtime()?.block_on(cloud::violations(target, project))?;
            Ok(told(&found, &format!("the project {project}")))
        };
    }
    ensure!(folder.is_dir(), "there is no folder {}", folder.display());
    Ok(told(&violations(folder)?, &folder.display().to_string()))
}

/// Tells what is wrong with something.
fn told(violations: &[String], with: &str) -> ExitCode {
    for violation in violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("Nothing is wrong with {with}.");
        ExitCode::SUCCESS
    } else {
        println!("\n{} violations in {with}.", violations.len());
        ExitCode::FAILURE
    }
}

/// Whether a document is one at all.
fn is_object(record: &Record) -> bool {
    serde_json::from_str::<serde_json::Map<_, _>>(&record.body).is_ok()
}

/// Everything that is wrong with the data in a folder.
fn violations(folder: &Path) -> anyhow::Result<Vec<String>> {
    let database = Database::open_read_only(folder)?;
    let (mut found, mut between) = (Vec::new(), Between::default());
    for domain in domains() {
        let documents = documents_of(&database, domain.name, &domain.collections)?;
        found.extend(violations_of(&domain, &documents));
        between.look_at(domain.name, &documents);
    }
    between.look_at("bus", &documents_of(&database, "bus", LocalBus::COLLECTIONS)?);
    found.extend(between.violations());
    Ok(found)
}

/// What is stored in some collections of a folder.
fn documents_of(
    database: &Database,
    name: &'static str,
    collections: &[Collection],
) -> anyhow::Result<Documents> {
    let store = database.domain(name, collections)?;
    let mut documents = Documents::new();
    for collection in collections {
        let read = || store.scan(collection.name)?.collect::<anyhow::Result<Vec<_>>>();
        let records = read().with_context(|| format!("{name}/{}", collection.name))?;
        documents.insert(collection.name, records);
    }
    Ok(documents)
}

/// Everything that is wrong with all documents of some domains.
pub(crate) fn violations_in(stored: &BTreeMap<&'static str, Documents>) -> Vec<String> {
    let (mut found, mut between) = (Vec::new(), Between::default());
    for domain in domains() {
        if let Some(documents) = stored.get(domain.name) {
            found.extend(violations_of(&domain, documents));
            between.look_at(domain.name, documents);
        }
    }
    found.extend(between.violations());
    found
}

/// Everything that is wrong with the documents of a domain.
fn violations_of(domain: &Domain, documents: &Documents) -> Vec<String> {
    let mut found = Vec::new();
    for (collection, records) in documents {
        found.extend(
            records.iter().filter(|it| !is_object(it)).map(|record| {
                format!("{}: {collection}/{} isn't a document", domain.name, record.id)
            }),
        );
    }
    let promises = PROMISES.iter().filter(|(name, _)| *name == domain.name).map(|(_, it)| it);
    let checks = std::iter::once(&(shared::violations as Check)).chain(promises);
    let told = checks.flat_map(|check| check(&|collection| all(documents, collection)));
    found.extend(told.map(|violation| format!("{}: {violation}", domain.name)));
    found
}

/// All documents of a collection.
fn all(documents: &Documents, collection: &str) -> Vec<Record> {
    documents.get(collection).cloned().unwrap_or_default()
}
