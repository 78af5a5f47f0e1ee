//! Days, as people write them.

use runtime::prelude::*;

const EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ES: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

/// The day of a time, in UTC.
pub fn day(time: Timestamp, language: Language) -> String {
    let text = time.to_string();
    let mut parts = text.get(..10).unwrap_or_default().split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let number = |part: Option<&str>| part.and_then(|it| it.parse::<usize>().ok()).unwrap_or(1);
    let (year, month, day) = (year.unwrap_or_default(), number(month), number(day));
    let name = language.choose(EN, ES).get(month.wrapping_sub(1)).copied().unwrap_or_default();
    match language {
        Language::En => format!("{day} {name} {year}"),
        Language::Es => format!("{day} de {name} de {year}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_out_in_both_languages() {
        let time: Timestamp = "2026-11-05T23:59:59Z".parse().unwrap();
        assert_eq!(day(time, Language::En), "5 November 2026");
        assert_eq!(day(time, Language::Es), "5 de noviembre de 2026");
    }
}
