//! The journey in the README works as it's pasted.

use std::{path::Path, process::Command};

use crate::support::{Options, Server};

/// The README's block of shell after the line that says it's tested.
fn journey() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let (_, marked) = readme.split_once("<!-- A test runs this block").expect("the mark");
    let (_, block) = marked.split_once("```sh\n").expect("the block");
    block.split("```").next().expect("its end").to_owned()
}

#[test]
fn the_first_journey_works_as_pasted() {
    let server = Server::start(Options {
        more: ["--in-memory", "--admin-email", "ana@aula.example"].map(str::to_owned).to_vec(),
        ..Options::default()
    });
    let here = format!("http://{}", server.address);
    let script = journey().replace("http://127.0.0.1:8080", &here);
    let run = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output();
    let run = run.expect("bash is there");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    let last = said.lines().rfind(|line| !line.is_empty()).expect("an answer");
    assert!(last.contains(r#""state":"confirmed""#), "{said}");
    assert!(said.contains(r#""state":"waitlisted""#), "{said}");
    server.wait_for_mail("cy@aula.example", "Rust from the beginning");
}
