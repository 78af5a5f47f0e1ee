//! An issuer of tokens that others made (npm's `oauth2-mock-server`), which runs
//! beside the test.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

/// The version of the package that is run.
const PACKAGE: &str = "oauth2-mock-server@9.3.0";

/// What the platform is called there.
const AUDIENCE: &str = "aula-test";

/// A running issuer; it is ended when dropped.
pub struct Issuer {
    process: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    url: String,
}

impl Issuer {
    /// Starts one; none where there's no Node.js, or no way to the package.
    pub fn start() -> Option<Self> {
        static INSTALLING: Mutex<()> = Mutex::new(());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("issuer");
        {
            let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
            fs::create_dir_all(&folder).expect("a folder for the package");
            if !folder.join("node_modules/oauth2-mock-server").is_dir() {
                let mut npm = Command::new("npm");
                npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix", "."]);
                let installed = npm.arg(PACKAGE).current_dir(&folder).status();
                if !installed.is_ok_and(|status| status.success()) {
                    eprintln!("SKIPPED: no second issuer is tried: npm can't install {PACKAGE}");
                    return None;
                }
            }
            fs::write(folder.join("issuer.mjs"), include_str!("issuer.mjs")).expect("a script");
        }
        let mut node = Command::new("node");
        node.arg("issuer.mjs").current_dir(&folder);
        let mut process = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node");
        let input = process.stdin.take().expect("a pipe");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let url = heard(&mut output, "issuer");
        Some(Self { process, talk: Mutex::new((input, output)), url })
    }

    /// The words that set it up as a platform's second issuer.
    pub fn words(&self) -> Vec<String> {
        let url = &self.url;
        let setting = json!({
            "title": "School", "issuer": url, "audience": AUDIENCE, "jwks_uri": format!("{url}/jwks"),
        });
        vec!["--second-issuer".to_owned(), setting.to_string()]
    }

    /// A token of now for someone, with these claims in place of the usual ones.
    pub fn token(&self, email: &str, claims: &Value) -> String {
        self.ask(email, claims, false)
    }

    /// The same, signed with a key that it didn't have before.
    pub fn token_of_another_key(&self, email: &str, claims: &Value) -> String {
        self.ask(email, claims, true)
    }

    fn ask(&self, email: &str, claims: &Value, rotate: bool) -> String {
        let mut all = json!({
            "aud": AUDIENCE, "sub": format!("uid-of-{email}"),
            "email": email, "email_verified": true, "name": "Ada",
        });
        let more = claims.as_object().expect("claims").clone();
        all.as_object_mut().expect("claims").extend(more);
        let mut talk = self.talk.lock().expect("no holder panics");
        let asked = json!({ "rotate": rotate, "claims": all });
        writeln!(talk.0, "{asked}").expect("the issuer listens");
        heard(&mut talk.1, "token")
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// What the issuer says next.
fn heard(output: &mut BufReader<ChildStdout>, name: &str) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("the issuer answers");
    let said: Value = serde_json::from_str(&line).expect("it says JSON");
    said[name].as_str().expect("a text").to_owned()
}
