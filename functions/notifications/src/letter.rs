//! A letter: what a message says, set as text and as HTML by the templates.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, Error, Value, context, syntax::SyntaxConfig};

/// What a message says, before it is set.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// The language, as ISO 639-1 has it.
    pub language: &'static str,
    /// What it is about.
    pub title: String,
    /// The first line.
    pub greeting: String,
    /// The news.
    pub lead: String,
    /// A code to type somewhere.
    pub code: Option<String>,
    /// What is said beyond that.
    pub more: Vec<String>,
    /// What stands above the gatherings.
    pub heading: &'static str,
    /// When and where people gather.
    pub gatherings: Vec<Gathering>,
    /// How many more gatherings there are, if they aren't all told.
    pub rest: Option<String>,
    /// What is said of what is attached.
    pub attached: Option<&'static str>,
    /// A page of the platform that it's about.
    pub link: Option<String>,
    /// What else is new: of each piece of news its title and itself.
    pub items: Vec<(String, String)>,
    /// The last line.
    pub footer: &'static str,
    /// How to get no more such mail: what is said of it, and the page.
    pub unsubscribe: Option<(&'static str, String)>,
}

/// When and where people gather, as the reader reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// When, on the reader's clock.
    pub when: String,
    /// When, on the section's clock, if that shows another time.
    pub there: Option<String>,
    /// In which room.
    pub place: Option<String>,
    /// On which page of the web.
    pub link: Option<String>,
}

const TEXT: &str = "letter.txt";
const HTML: &str = "letter.html";

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual syntax is one"));
    environment.set_auto_escape_callback(|name| {
        if name == TEXT { AutoEscape::None } else { AutoEscape::Html }
    });
    for (name, source) in [
        (TEXT, include_str!("../templates/letter.txt")),
        (HTML, include_str!("../templates/letter.html")),
    ] {
        environment.add_template(name, source).expect("the templates are written well");
    }
    environment
});

impl Letter {
    /// The letter as text and as HTML.
    pub fn set(&self) -> Result<(String, String), Error> {
        let gathering = |it: &Gathering| {
            let Gathering { when, there, place, link } = it;
            context! { when, there, place, link }
        };
        let gatherings: Value = self.gatherings.iter().map(gathering).collect();
        let more: Value = self.more.iter().collect();
        let Self { title, greeting, lead, code, rest, .. } = self;
        let (language, heading, footer) = (self.language, self.heading, self.footer);
        let (attached, link, unsubscribe) = (self.attached, &self.link, &self.unsubscribe);
        let items: Value = self.items.iter().collect();
        let values = context! {
            language, title, greeting, lead, code, more, heading, gatherings, rest, attached, link,
            items, footer, unsubscribe
        };
        let text = TEMPLATES.get_template(TEXT)?.render(&values)?;
        let html = TEMPLATES.get_template(HTML)?.render(&values)?;
        Ok((text, html))
    }
}
