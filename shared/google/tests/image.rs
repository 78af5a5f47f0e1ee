//! What the container of a domain is built from. A crate that was thrown out for its size doesn't come back unseen: that would
//! show only in a binary that takes minutes to build.

use std::{collections::BTreeMap, process::Command};

const DOMAINS: [&str; 4] = ["courses", "enrollments", "identity", "notifications"];

/// What a container could easily have and hasn't, and who needs it nevertheless.
const NOT_FOR_ALL: [(&str, &[&str]); 17] = [
    // What serves a laptop, a test or an operator.
    ("clap", &[]),
    ("csv", &[]),
    ("embedded", &[]),
    ("libsqlite3-sys", &[]),
    ("mimalloc", &[]),
    ("opentelemetry-proto", &[]),
    ("testing", &[]),
    // Google's own ways, in the place of which a container has smaller ones.
    ("google-cloud-pubsub", &[]),
    ("google-cloud-storage", &[]),
    // It would be the second library that does the same.
    ("ring", &[]),
    // One domain's affairs.
    ("argon2", &["identity"]),
    ("icalendar", &["notifications"]),
    ("minijinja", &["notifications"]),
    ("pdf-writer", &["enrollments"]),
    ("pulldown-cmark", &["courses"]),
    ("subsetter", &["enrollments"]),
    ("ttf-parser", &["enrollments"]),
];

#[test]
fn a_container_has_in_it_what_its_domain_needs() {
    for domain in DOMAINS {
        let built = built_from(domain);
        for (name, needed_by) in NOT_FOR_ALL {
            let needs = needed_by.contains(&domain);
            assert_eq!(built.contains_key(name), needs, "{name} in the container of {domain}");
        }
    }
}

#[test]
fn a_container_is_built_without_what_only_tools_need() {
    for domain in DOMAINS {
        let built = built_from(domain);
        let has = |name: &str, feature: &str| built[name].split(',').any(|it| it == feature);
        assert!(!has("runtime", "openapi"), "{domain}: the documents of the API");
        assert!(!has("google", "tools"), "{domain}: what operators ask");
        assert_eq!(has("google", "mail"), domain == "notifications", "{domain}: mail");
        for feature in
            ["builtins", "macros"].into_iter().filter(|_| built.contains_key("minijinja"))
        {
            assert!(!has("minijinja", feature), "{domain}: templates need no {feature}");
        }
    }
}

/// The crates that a domain's container is built from, each with its features.
fn built_from(domain: &str) -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            domain,
            "--features",
            "cloud",
            "--edges",
            "normal",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu", "--prefix", "none", "--format", "{p}\t{f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).expect("cargo writes text");
    let built: BTreeMap<_, _> = told
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(package, features)| {
            let name = package.split(' ').next().unwrap_or_default();
            (name.to_owned(), features.trim_end_matches(" (*)").to_owned())
        })
        .collect();
    assert!(built.contains_key("runtime") && built.contains_key("rustls"), "{told}");
    built
}
