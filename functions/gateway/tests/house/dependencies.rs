//! Who may use whom: `contracts ← runtime ← smtp ← {google, embedded} ← testing`; a domain uses
//! contracts and runtime, and no other domain; its container uses google, which is built
//! only when it's asked for; the gateway uses everything.

use std::process::Command;

use serde_json::Value;

/// A crate of the workspace may use these; in its tests, those too.
fn allowed(name: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match name {
        "contracts" => (&[], &[]),
        "runtime" => (&["contracts"], &[]),
        "testing" => (&["contracts", "runtime", "embedded"], &[]),
        // Its bus is tested on a store that is quick.
        "google" => {
            (&["contracts", "runtime", "smtp"], &["contracts", "runtime", "testing", "embedded"])
        }
        "embedded" => (&["contracts", "runtime", "smtp"], &["contracts", "runtime", "testing"]),
        // Tests serve a domain on `testing`.
        _ => (&["contracts", "runtime"], &["contracts", "runtime", "testing"]),
    }
}

#[test]
fn crates_use_one_another_in_one_direction_only() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("cargo tells the packages");
    let names: Vec<_> = packages.iter().map(|it| text(it, "name")).collect();
    assert!(names.contains(&"runtime") && names.contains(&"gateway"), "{names:?}");
    for package in packages.iter().filter(|it| text(it, "name") != "gateway") {
        let name = text(package, "name");
        let (always, in_tests) = allowed(name);
        for used in package["dependencies"].as_array().into_iter().flatten() {
            let is_for_tests = used["kind"] == "dev";
            // What is optional only a container asks for.
            let is_for_containers = used["optional"] == true && text(used, "name") == "google";
            if is_for_containers && text(package, "manifest_path").contains("/functions/") {
                continue;
            }
            let used = text(used, "name");
            let may = if is_for_tests { in_tests } else { always };
            assert!(!names.contains(&used) || may.contains(&used), "{name} uses {used}");
        }
    }
}

#[test]
fn every_domain_is_served_by_the_gateway() {
    let served: Vec<_> = gateway::domains().iter().map(|domain| domain.name).collect();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("cargo tells the packages");
    for package in packages.iter().filter(|it| text(it, "manifest_path").contains("/functions/")) {
        let name = text(package, "name");
        assert!(name == "gateway" || served.contains(&name), "{name} isn't served");
    }
}

#[test]
fn a_domain_that_needs_files_is_built_with_them() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("cargo tells the packages");
    for domain in gateway::domains() {
        let package = packages.iter().find(|it| text(it, "name") == domain.name);
        let asked = package.expect("a domain is a package")["features"]["cloud"].clone();
        let asked: Vec<String> = serde_json::from_value(asked).expect("its container's features");
        let (needs, has) = (
            domain.needs.contains(&runtime::Need::Files),
            asked.iter().any(|it| it == "google/files"),
        );
        assert_eq!(needs, has, "{}: `cloud` has to ask for google/files", domain.name);
    }
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo tells JSON")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
