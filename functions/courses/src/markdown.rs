//! Markdown as HTML that may stand in any page.
//!
//! Nothing of what was written reaches the HTML but as text: tags are made of
//! what Markdown means, and of nothing else. HTML in it is shown as it's
//! written. A link leads to the web or to a mailbox, and says that we don't
//! vouch for it. An image isn't loaded, which would tell a stranger's server
//! who reads: it's a link to it.

use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// How many quotes and lists may stand in each other; deeper ones are only text.
const DEEPEST: usize = 16;

/// How many cells all tables together may come to. A row that is shorter than its
/// head is filled up, so a few letters could become megabytes.
const CELLS: usize = 20_000;

/// How long HTML may get, in bytes; what gets longer is shown as it's written.
const LONGEST: usize = 250_000;

/// Makes HTML of Markdown (`CommonMark` with tables and strikethrough).
pub fn to_html(markdown: &str) -> String {
    let mut options = Options::ENABLE_STRIKETHROUGH;
    // Before it's parsed: the parser fills up the rows at once.
    options.set(Options::ENABLE_TABLES, most_cells(markdown) <= CELLS);
    let parser = Parser::new_ext(markdown, options);
    let mut made = String::with_capacity(markdown.len() * 3 / 2);
    let mut depth = Depth::default();
    html::push_html(&mut made, parser.filter_map(|event| depth.admit(event)).map(tame));
    if made.len() > LONGEST {
        made.clear();
        html::push_html(&mut made, std::iter::once(Event::Text(markdown.into())));
    }
    made
}

/// No more cells than this are in the tables of a text: every line a row, as wide
/// as the widest.
fn most_cells(markdown: &str) -> usize {
    let widest = markdown.lines().map(|line| line.matches('|').count() + 1).max();
    markdown.lines().count() * widest.unwrap_or_default()
}

/// How many quotes and lists are open.
#[derive(Default)]
struct Depth(usize);

impl Depth {
    /// An event, if it doesn't go too deep.
    fn admit<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match &event {
            Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::Item) => {
                self.0 += 1;
                (self.0 <= DEEPEST).then_some(event)
            }
            Event::End(TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item) => {
                self.0 = self.0.saturating_sub(1);
                (self.0 < DEEPEST).then_some(event)
            }
            _ => Some(event),
        }
    }
}

/// An event without what could do harm in it.
fn tame(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { link_type: LinkType::Email, dest_url, .. }) => {
            Event::InlineHtml(opening(&format!("mailto:{dest_url}")))
        }
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Event::InlineHtml(opening(&dest_url))
        }
        Event::End(TagEnd::Link | TagEnd::Image) => Event::InlineHtml("</a>".into()),
        other => other,
    }
}

/// The tag of a link: it leads nowhere if it leads where no link may.
fn opening(url: &str) -> CowStr<'static> {
    match address(url) {
        Some(url) => format!("<a href=\"{url}\" rel=\"nofollow noopener noreferrer ugc\">").into(),
        None => "<a>".into(),
    }
}

/// An address as it may stand in an attribute, if a link may lead there.
fn address(url: &str) -> Option<String> {
    let scheme = url.split(':').next()?.to_ascii_lowercase();
    let leads_on = match scheme.as_str() {
        "http" | "https" => url[scheme.len()..].starts_with("://"),
        "mailto" => url[scheme.len()..].starts_with(':'),
        _ => false,
    };
    if !leads_on {
        return None;
    }
    let mut address = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'&' => address.push_str("&amp;"),
            b'!' | b'#'..=b'%' | b'('..=b';' | b'=' | b'?'..=b'Z' | b'[' | b']' | b'_' => {
                address.push(char::from(byte));
            }
            b'a'..=b'z' | b'~' => address.push(char::from(byte)),
            other => {
                let _ = write!(address, "%{other:02X}");
            }
        }
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_markdown_means_becomes_html() {
        let markdown = "# Rust\n\nDe *principio* a **fin**, ~~sin~~ con `miedo`.\n\n- uno\n- dos\n\n\
            > cita\n\n```rust\nlet a = 1 < 2;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. x\n\n---\n";
        let made = to_html(markdown);
        for part in [
            "<h1>Rust</h1>",
            "<em>principio</em>",
            "<strong>fin</strong>",
            "<del>sin</del>",
            "<code>miedo</code>",
            "<ul>\n<li>uno</li>\n<li>dos</li>\n</ul>",
            "<blockquote>\n<p>cita</p>\n</blockquote>",
            "<pre><code class=\"language-rust\">let a = 1 &lt; 2;\n</code></pre>",
            "<table>",
            "<td>1</td>",
            "<ol>",
            "<hr />",
        ] {
            assert!(made.contains(part), "{part} in {made}");
        }
        assert_eq!(to_html(""), "");
    }

    #[test]
    fn html_is_shown_as_it_was_written() {
        for markdown in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<svg/onload=alert(1)>",
            "<div>\n*a*\n</div>",
            "<!-- a --><b>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<style>*{display:none}</style>",
            "</p></div><iframe src=//evil.example>",
        ] {
            let made = to_html(markdown);
            for tag in ["<script", "<img", "<svg", "<div", "<!--", "<b>", "<a", "<style", "<iframe"]
            {
                assert!(!made.contains(tag), "{markdown}: {made}");
            }
            assert!(made.contains("&lt;"), "{markdown}: {made}");
        }
    }

    #[test]
    fn a_link_leads_to_the_web_or_to_a_mailbox_and_we_do_not_vouch_for_it() {
        let made = to_html("[a](https://example.org/?a=1&b=2 \"title\") <me@example.org>");
        let rel = "rel=\"nofollow noopener noreferrer ugc\"";
        assert_eq!(
            made,
            format!(
                "<p><a href=\"https://example.org/?a=1&amp;b=2\" {rel}>a</a> \
                <a>me@example.org</a></p>\n"
            )
            .replace("<a>me", &format!("<a href=\"mailto:me@example.org\" {rel}>me"))
        );
        for url in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            "&#106;avascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:msgbox(1)",
            "file:///etc/passwd",
            "//evil.example",
            "/relative",
            "#here",
            "",
        ] {
            let made = to_html(&format!("[a](<{url}>)"));
            assert!(!made.contains("href"), "{url}: {made}");
        }
        // Nothing gets out of the attribute.
        let made = to_html("[a](<https://a.b/\" onclick=alert`1` x=\">)");
        assert!(made.contains("href=\"https://a.b/%22%20onclick=alert%601%60%20x=%22\""), "{made}");
    }

    #[test]
    fn an_image_is_a_link_to_it() {
        let made = to_html("![a cat](https://tracker.example/cat.png)");
        assert!(!made.contains("<img"), "{made}");
        assert!(made.contains("href=\"https://tracker.example/cat.png\""), "{made}");
        assert!(made.contains(">a cat</a>"), "{made}");
        assert!(!to_html("![x](javascript:alert(1))").contains("href"));
    }

    #[test]
    fn the_name_of_a_codes_language_is_only_a_name() {
        let made = to_html("```\"><script>alert(1)</script>\na\n```");
        assert!(!made.contains("<script>"), "{made}");
    }

    #[test]
    fn what_goes_too_deep_is_only_text() {
        let made = to_html(&format!("{} deep", ">".repeat(5000)));
        assert_eq!(made.matches("<blockquote>").count(), DEEPEST);
        assert_eq!(made.matches("</blockquote>").count(), DEEPEST);
        assert!(made.contains("deep"));
    }

    /// The tags of some HTML, without what stands in their attributes.
    fn tags(made: &str) -> Vec<&str> {
        let after = made.split('<').skip(1);
        after.map(|it| it.split([' ', '>']).next().unwrap_or_default()).collect()
    }

    proptest! {
        #[test]
        fn whatever_is_written_only_tags_of_markdown_come_of_it(
            text in "([a-z<>\"'&/!=\\[\\]()*_`#|~:. \n-]|javascript:|https://|<script>|onload=){0,80}",
        ) {
            let made = to_html(&text);
            for tag in tags(&made) {
                let name = tag.trim_start_matches('/');
                prop_assert!(
                    ["p", "a", "em", "strong", "del", "code", "pre", "ul", "ol", "li", "blockquote",
                     "h1", "h2", "h3", "h4", "h5", "h6", "hr", "br", "table", "thead", "tbody", "tr",
                     "th", "td"].contains(&name),
                    "{tag} in {made}"
                );
            }
            for link in made.split("<a ").skip(1) {
                prop_assert!(link.starts_with("href=\"http") || link.starts_with("href=\"mailto:"), "{made}");
            }
        }
    }

    #[test]
    fn a_few_letters_do_not_become_megabytes() {
        let wide = format!("{}\n{}\n", "|a".repeat(360), "|-".repeat(360));
        let table = format!("{wide}{}\n", "b\n".repeat(730));
        let html = to_html(&table.repeat(16));
        assert!(html.len() < 100_000 && !html.contains("<td>"), "{}", html.len());
        assert!(to_html(&format!("{wide}|b|\n")).contains("<td>b</td>"));
        let links = to_html(&"[](a:b)".repeat(7_000));
        assert!(links.len() <= LONGEST, "{}", links.len());
    }
}
