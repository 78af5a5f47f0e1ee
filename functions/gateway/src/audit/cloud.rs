//! The data of a project of Google Cloud: a database for each domain.

use anyhow::Context as _;

use super::{Between, Documents, violations_of};
use crate::{domains, operator::Target};

/// Everything that is wrong with the data of a project, as all its databases were at one
/// moment: what one domain says of another's is compared.
pub(super) async fn violations(target: &Target, project: &str) -> anyhow::Result<Vec<String>> {
    let mut now = None;
    let (mut found, mut between) = (Vec::new(), Between::default());
    for domain in domains() {
        let store = target.documents(project, &domain)?;
        let moment = if let Some(moment) = now {
            moment
        } else {
            let moment = store.moment().await;
            moment.with_context(|| format!("the database of {}", domain.name))?
        };
        now = Some(moment);
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
