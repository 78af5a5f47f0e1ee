//! The languages that the platform speaks to people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A language that every text for people exists in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
}

impl Language {
    /// Its code in ISO 639-1.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    /// The one of two texts that is in this language.
    pub fn choose<T>(self, en: T, es: T) -> T {
        match self {
            Self::En => en,
            Self::Es => es,
        }
    }

    /// The best of an `Accept-Language` (RFC 9110 §12.5.4); English if none fits.
    pub fn accepted(header: &str) -> Self {
        let quality = |range: &str| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok());
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let language = match primary.as_str() {
                "es" => Self::Es,
                "en" | "*" => Self::En,
                _ => return None,
            };
            Some((language, weight.unwrap_or(0.0_f32)))
        };
        let mut best = (Self::En, 0.0);
        for (language, weight) in header.split(',').filter_map(quality) {
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_known_language_is_accepted() {
        assert_eq!(Language::accepted("es-CO,es;q=0.9,en;q=0.8"), Language::Es);
        assert_eq!(Language::accepted("fr, en;q=0.5, es;q=0.7"), Language::Es);
        assert_eq!(Language::accepted("en;q=0.9, es;q=0.1"), Language::En);
        assert_eq!(Language::accepted("de, *"), Language::En);
        assert_eq!(Language::accepted(";;q=,"), Language::En);
    }
}
