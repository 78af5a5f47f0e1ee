//! The tour in the README works as it's pasted.

use std::{fs, path::Path, process::Command};

use crate::support::{Options, Server, server::new_folder};

/// The README's blocks of shell between the lines that say they're tested.
fn tour() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).expect("the README");
    let (_, marked) = readme.split_once("<!-- A test runs the blocks from here").expect("a mark");
    let (marked, _) = marked.split_once("<!-- A test runs the blocks up to here").expect("a mark");
    let blocks = marked.split("```sh\n").skip(1);
    blocks.map(|it| it.split("```").next().expect("its end")).collect()
}

#[test]
fn the_tour_works_as_pasted() {
    let server = Server::start(Options {
        rate_limits: true,
        more: ["--in-memory", "--admin-email", "ana@aula.example"].map(str::to_owned).to_vec(),
        ..Options::default()
    });
    let here = format!("http://{}", server.address);
    let folder = new_folder();
    fs::create_dir_all(&folder).expect("a folder to paste in");
    let script = tour().replace("http://127.0.0.1:8080", &here);
    let mut bash = Command::new("bash");
    let run = bash.args(["-euo", "pipefail", "-c", &script]).current_dir(&folder).output();
    let run = run.expect("bash is there");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));

    for told in [
        // The last seat.
        r#""state":"waitlisted","waitlist_position":1"#,
        r#""state":"confirmed""#,
        // A reminder.
        r#""subject":"Reminder"#,
        // A certificate, and its page.
        r#""jws":""#,
        "/page\n",
        // As much mail as one wants, and a calendar.
        "<title>",
        "SUMMARY:Rust from the beginning",
        // One's own data.
        r#""notifications""#,
        "closed",
        // How it fares.
        r#""state":"ok""#,
        r#""kind":"account_closed""#,
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let paper = fs::read(folder.join("certificate.pdf")).expect("a certificate on paper");
    assert!(paper.starts_with(b"%PDF"));
    let page = said.lines().find(|it| it.ends_with("/page")).expect("where the certificate is");
    assert_eq!(server.get(page.trim_start_matches(&here), "").status, 200);
    server.wait_for_mail("cy@aula.example", "Rust from the beginning");
    let _ = fs::remove_dir_all(folder);
}
