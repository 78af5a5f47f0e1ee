//! Lines: texts from outside that go where a line break or a link would do harm.

/// The text as one line: what could break out of a header, or make a text
/// read as another, becomes a space.
pub fn one_line(text: &str) -> String {
    let harmless = |it: char| {
        let deceptive = it.is_control()
            || matches!(it, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if deceptive { ' ' } else { it }
    };
    let text: String = text.chars().map(harmless).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name to greet someone by. Nothing, if it reads like a link or an
/// address: else anyone could have us send their advertisement to anyone, by
/// registering in their name.
pub fn greeted(name: &str) -> Option<String> {
    let name = one_line(name);
    let mut words = name.split([' ', '/', '(', ')', ',']);
    let links = name.contains("://")
        || words.any(|word| {
            word.contains('@') || word.to_lowercase().starts_with("www.") || {
                let end = word.rsplit_once('.').map_or("", |(_, end)| end);
                end.chars().filter(|it| it.is_alphabetic()).count() > 1
            }
        });
    (!name.is_empty() && name.chars().count() <= 80 && !links).then_some(name)
}

/// The address of a page, if it's one that may be linked to.
pub fn web_link(url: &str) -> Option<&str> {
    let lower = url.get(..8).unwrap_or(url).to_ascii_lowercase();
    let is_web = lower.starts_with("https://") || lower.starts_with("http://");
    let plain = |it: char| it.is_ascii_graphic() && !matches!(it, '"' | '<' | '>' | '\\' | '`');
    (is_web && url.chars().all(plain)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_line() {
        assert_eq!(one_line("a\r\nBcc: b@c.d"), "a Bcc: b@c.d");
        assert_eq!(one_line(" \u{202e}abc\u{2028}d\0\te "), "abc d e");
        assert_eq!(one_line("José  Ñ"), "José Ñ");
    }

    #[test]
    fn nobody_is_greeted_by_a_link() {
        for name in ["Ada", "Ada M. Byron", "J.R.R. Tolkien", "Ñandú", "AC/DC", "<b>Ada</b>"] {
            assert_eq!(greeted(name).as_deref(), Some(name));
        }
        for name in [
            "Win at evil.example",
            "http://evil",
            "(evil.com)",
            "WWW.x",
            "ada@mail.example",
            "",
            &"x".repeat(81),
        ] {
            assert_eq!(greeted(name), None, "{name}");
        }
    }

    #[test]
    fn only_web_pages_are_linked_to() {
        assert!(web_link("https://meet.example/a?b=c&d=e").is_some());
        assert!(web_link("HTTP://meet.example").is_some());
        for url in
            ["javascript:alert(1)", "data:text/html,x", "https://a b", "https://a\r\nX", "//a", "é"]
        {
            assert_eq!(web_link(url), None, "{url}");
        }
    }
}
