//! `cargo xtask new`: begins a function, so that what remains is what it does.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

/// Begins an operation of a domain.
pub fn operation(root: &Path, domain: &str, verb: &str) -> anyhow::Result<()> {
    for name in [domain, verb] {
        let is_name = name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
        ensure!(is_name && !name.is_empty(), "{name:?} isn't in snake_case");
    }
    let source = root.join("functions").join(domain).join("src");
    let (contents, file) = (source.join("lib.rs"), source.join(format!("{verb}.rs")));
    ensure!(!file.exists(), "{} is there already", file.display());
    let table = fs::read_to_string(&contents).with_context(|| format!("no domain {domain}"))?;
    fs::write(&contents, listed(&table, verb)?)?;
    fs::write(&file, draft(domain, verb))?;
    println!(
        "wrote functions/{domain}/src/{verb}.rs and two lines in its lib.rs.\n\
        Next: its route, its fields, `run` and its tests; then `cargo xtask generate`."
    );
    Ok(())
}

/// The table of contents with one operation more.
fn listed(table: &str, verb: &str) -> anyhow::Result<String> {
    let mut lines: Vec<_> = table.lines().map(str::to_owned).collect();
    let module = format!("mod {verb};");
    let is_later = |it: &String| it.starts_with("mod ") && **it > *module;
    let is_module = |it: &String| it.starts_with("mod ");
    let at = lines.iter().position(is_later);
    let at = at.or_else(|| Some(lines.iter().rposition(is_module)? + 1));
    lines.insert(at.context("the domain has no modules")?, module);
    let last = lines.iter().rposition(|it| it.trim_start().starts_with(".operation("));
    let last = last.or_else(|| lines.iter().rposition(|it| it.contains("Domain::new(")));
    let last = last.context("the domain declares nothing")?;
    lines.insert(last + 1, format!("        .operation({verb}::run)"));
    Ok(lines.join("\n") + "\n")
}

/// A function that compiles and refuses.
fn draft(domain: &str, verb: &str) -> String {
    let name: String =
        verb.split('_').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    let path = format!("/v1/{domain}/{{id}}/{}", verb.replace('_', "-"));
    format!(
        r#"//! `POST {path}`

use runtime::prelude::*;

const NOT_YET: Problem = Problem::conflict("not-yet", "Not yet.", "Aún no.");

/// Say here in one sentence what it does: it's read in the API's document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct {name} {{
    /// Which one.
    id: String,
}}

impl Endpoint for {name} {{
    const OPERATION: &'static str = "{domain}.{verb}";
    const ROUTE: Route = Route::act("{path}");
    const PROBLEMS: &'static [Problem] = &[NOT_YET];
    type Response = ();
}}

pub(crate) async fn run(_cx: Context<User>, _request: {name}) -> Result<()> {{
    Err(NOT_YET.into())
}}

#[cfg(test)]
mod tests {{
    use testing::App;

    use super::*;

    #[tokio::test]
    async fn it_is_refused_until_it_is_made() {{
        let app = App::of(crate::domain);
        let path = "{asked}";
        app.user("ada").post(path, serde_json::json!({{}})).await.is(NOT_YET);
    }}
}}
"#,
        asked = path.replace("{id}", "some-id"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "mod draft;\nmod publish;\n\npub fn domain() -> Domain {\n    \
        Domain::new(\"courses\")\n        .operation(draft::run)\n        .job(tidy::run)\n}\n";

    #[test]
    fn an_operation_takes_its_two_lines_in_the_table_of_contents() {
        let listed = listed(TABLE, "list_sections").unwrap();
        assert!(listed.starts_with("mod draft;\nmod list_sections;\nmod publish;\n"));
        assert!(
            listed.contains(".operation(draft::run)\n        .operation(list_sections::run)\n")
        );
        assert!(super::listed("// nothing", "archive").is_err());
    }

    #[test]
    fn a_draft_names_its_operation() {
        let draft = draft("courses", "list_sections");
        assert!(draft.contains("struct ListSections {"));
        assert!(draft.contains("\"courses.list_sections\""));
        assert!(draft.contains("/v1/courses/{id}/list-sections"));
    }
}
