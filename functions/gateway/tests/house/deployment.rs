//! What deploys the platform names its domains and its public documents by hand
//! in a few places, where nothing could be generated: they are those that there are.

use std::{collections::BTreeSet, fs, path::Path};

use runtime::Trigger;

#[test]
fn every_domain_is_built_pushed_and_run() {
    let names: Vec<_> = gateway::domains().iter().map(|domain| domain.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let list = sorted.join(" ");
    let build = read("cloudbuild.yaml");
    let loops = build.matches("for domain in ").count();
    assert!(loops > 0 && build.matches(&format!("for domain in {list}; do")).count() == loops);
    for name in names {
        assert!(build.contains(&format!("/aula/{name}:${{BUILD_ID}}\n")), "{name} isn't signed");
        let compose = read("infra/compose.yaml");
        assert!(compose.contains(&format!("        DOMAIN: {name}\n")), "{name} isn't composed");
        assert!(compose.contains(&format!("{name}=http://{name}:8080")), "{name} isn't a peer");
        let images = read("infra/terraform/tests/images.tfvars.json");
        assert!(images.contains(&format!("\"{name}\": \"sha256:")), "{name} isn't planned");
    }
}

#[test]
fn the_policy_of_what_everyone_may_call_names_the_public_documents() {
    let functions = gateway::domains().into_iter().flat_map(|domain| domain.functions);
    let open: BTreeSet<_> = functions
        .filter(|it| matches!(&it.trigger, Trigger::Http(it) if it.route.is_well_known()))
        .map(|it| it.id.replace(['.', '_'], "-"))
        .collect();
    let policy = read("infra/policies/public_documents_only.yaml");
    let (_, named) = policy.rsplit_once("value: [").expect("it lists them");
    let named = named.trim_end().trim_end_matches(']').split(", ").map(str::to_owned);
    assert_eq!(open, named.collect());
}

fn read(path: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    fs::read_to_string(root.join(path)).expect(path)
}
