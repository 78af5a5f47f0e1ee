//! The data of a project of Google Cloud: a database for each domain.

use anyhow::Context as _;

use super::{Between, Documents, violations_of};
use crate::{domains, operator::Target};

/// Everything that is wrong with the data of a project. Each database is read as
/// it was at one moment; the moments are as near to one another as can be.
pub(super) async fn violations(target: &Target, project: &str) -> anyhow::Result<Vec<String>> {
    let mut stores = Vec::new();
    for domain in domains() {
        let store = target.documents(project, &domain)?;
        let moment = store.moment().await;
        let moment = moment.with_context(|| format!("the database of {}", domain.name))?;
        stores.push((domain, store, moment));
    }
    let (mut found, mut between) = (Vec::new(), Between::default());
    for (domain, store, moment) in stores {
        let mut documents = Documents::new();
        for collection in &domain.collections {
            let records = store.scan(collection.name, moment).await;
            let records =
                records.with_context(|| format!("{}/{}", domain.name, collection.name))?;
            documents.insert(collection.name, records);
        }
        found.extend(violations_of(&domain, &documents));
        between.look_at(domain.name, &documents);
    }
    found.extend(between.violations());
    Ok(found)
}
