//! Small texts of a fixed form: slugs, language tags and web addresses.

use std::{borrow::Cow, fmt, ops::Deref};

use runtime::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserializer, de::Error as _};
use unicode_normalization::UnicodeNormalization;

/// Declares texts that have a form: a function brings a text into it, if it can
/// be, and the pattern says exactly which texts can.
macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident {
        most: $most:literal, form: $form:path, pattern: $pattern:expr,
        otherwise: $otherwise:literal, example: $example:literal $(,)?
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text in its form, if it has it: `reason: explanation` if not.
            pub fn new(text: &str) -> Result<Self, String> {
                let length = text.chars().count();
                if length > $most {
                    return Err(format!("too-long: at most {} characters, and there are {length}", $most));
                }
                $form(text).map(Self).ok_or_else(|| $otherwise.to_owned())
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "minLength": 1, "maxLength": $most, "pattern": $pattern,
                    "examples": [$example],
                })
            }
        }
    )+};
}

forms! {
    /// A name for machines and addresses: lower-case letters and digits, with
    /// single hyphens between. Capitals, Spanish accents, spaces and
    /// underscores are understood and brought into that form.
    Slug {
        most: 50,
        form: slug,
        pattern: "^[A-Za-z0-9áéíóúüñçÁÉÍÓÚÜÑÇ]+([ _-][A-Za-z0-9áéíóúüñçÁÉÍÓÚÜÑÇ]+)*$",
        otherwise: "invalid-slug: letters and digits with single hyphens between, such as clean-code",
        example: "clean-code",
    }
    /// A language (BCP 47): two or three letters, and what narrows it down.
    LanguageTag {
        most: 35,
        form: language_tag,
        pattern: "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$",
        otherwise: "invalid-language: a language is a tag of BCP 47, such as es or es-CO",
        example: "es",
    }
    /// An address on the web, over HTTPS, without a user's name in it.
    WebAddress {
        most: 1000,
        form: web_address,
        pattern: r"^https://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?([/?#][!#-;=?-Z\[\]_a-z~]*)?$",
        otherwise: "invalid-url: an address begins with https:// and has ASCII characters alone",
        example: "https://example.org/welcome",
    }
}

fn slug(text: &str) -> Option<String> {
    let mut slug = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            'A'..='Z' => slug.push(character.to_ascii_lowercase()),
            ' ' | '_' | '-' if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ if "áéíóúüñçÁÉÍÓÚÜÑÇ".contains(character) => {
                let plain = std::iter::once(character).nfd().next()?;
                slug.push(plain.to_ascii_lowercase());
            }
            _ => return None,
        }
    }
    (!slug.is_empty() && !slug.ends_with('-')).then_some(slug)
}

fn language_tag(text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let language = parts.next()?;
    if !(2..=3).contains(&language.len()) || !language.bytes().all(|it| it.is_ascii_alphabetic()) {
        return None;
    }
    let mut tag = language.to_ascii_lowercase();
    for (place, part) in parts.enumerate() {
        let fits =
            (2..=8).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_alphanumeric());
        if !fits || place >= 3 {
            return None;
        }
        // As RFC 5646 §2.1.1 writes them: zh-Hant-TW.
        let part = match part.len() {
            2 => part.to_ascii_uppercase(),
            4 => part[..1].to_ascii_uppercase() + &part[1..].to_ascii_lowercase(),
            _ => part.to_ascii_lowercase(),
        };
        tag = format!("{tag}-{part}");
    }
    Some(tag)
}

fn web_address(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) =
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let label =
        |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    let host_fits = host.split('.').all(label);
    let port_fits = port
        .is_none_or(|it| (1..=5).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit()));
    let allowed = |it| matches!(it, b'!' | b'#'..=b';' | b'=' | b'?'..=b'Z' | b'[' | b']' | b'_' | b'a'..=b'z' | b'~');
    (host_fits && port_fits && path.bytes().all(allowed)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_brought_into_its_form_or_refused() {
        let slug = |text| Slug::new(text).map(|slug| slug.to_string());
        assert_eq!(slug("clean-code").unwrap(), "clean-code");
        assert_eq!(slug("Programación Web").unwrap(), "programacion-web");
        assert_eq!(slug("AÑO_2026").unwrap(), "ano-2026");
        for text in ["", "-", "a-", "-a", "a--b", "a - b", "c++", "日本", "a\n", "a|b", "ß"] {
            assert!(slug(text).unwrap_err().starts_with("invalid-slug: "), "{text}");
        }
        assert!(slug(&"a".repeat(51)).unwrap_err().starts_with("too-long: "));
    }

    #[test]
    fn a_language_tag_is_written_as_its_standard_has_it() {
        let tag = |text| LanguageTag::new(text).map(|tag| tag.to_string());
        assert_eq!(tag("ES").unwrap(), "es");
        assert_eq!(tag("es-co").unwrap(), "es-CO");
        assert_eq!(tag("ZH-hANT-tw").unwrap(), "zh-Hant-TW");
        for text in ["", "e", "espa", "es-", "es--CO", "es_CO", "e1", "es-c", "ñe", "a-b-c-d-e"] {
            assert!(tag(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_plain_addresses_over_https_are_taken() {
        for text in [
            "https://example.org",
            "https://meet.example.org:8443/a/b?c=d%20e&f=[1]#g",
            "https://localhost?x",
        ] {
            assert_eq!(&*WebAddress::new(text).unwrap(), text);
        }
        for text in [
            "",
            "https://",
            "http://example.org",
            "HTTPS://example.org",
            "javascript:alert(1)",
            "https://bank.example@evil.example/",
            "https://example..org",
            "https://example.org:/",
            "https://example.org:123456/",
            "https://example.org/a b",
            "https://example.org/\"><script>",
            "https://example.org/\r\nBcc: a@b.c",
            "https://exämple.org/",
            "https://example.org/\\",
        ] {
            assert!(WebAddress::new(text).is_err(), "{text}");
        }
    }
}
