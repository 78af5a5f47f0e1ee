//! `aula import courses`: courses, in our columns or Moodle's.

use std::path::Path;

use contracts::{
    TimeZone, Timestamp,
    courses::{CourseImported, ImportCourse, ImportOutcome},
};
use csv::StringRecord;
use embedded::Platform;
use jiff::civil::Date;

use super::{Report, Rows, ask};

/// The columns that are read.
const READ: [&str; 19] = [
    "shortname",
    "fullname",
    "summary",
    "description",
    "language",
    "level",
    "category",
    "category_path",
    "tags",
    "instructors",
    "visible",
    "startdate",
    "enddate",
    "time_zone",
    "capacity",
    // Moodle's.
    "lang",
    "delete",
    "deleted",
    "category_idnumber",
];

/// Moodle's columns that mean nothing here, by how they begin.
const IGNORED: [&str; 28] = [
    "idnumber",
    "format",
    "theme",
    "newsitems",
    "showgrades",
    "showreports",
    "legacyfiles",
    "maxbytes",
    "groupmode",
    "enablecompletion",
    "completion",
    "downloadcontent",
    "enrolment_",
    "role_",
    "customfield_",
    "backupfile",
    "templatecourse",
    "reset",
    "rename",
    "numsections",
    "hiddensections",
    "coursedisplay",
    "defaultgroupingid",
    "cacherev",
    "calendartype",
    "showactivitydates",
    "marker",
    "relativedatesmode",
];

/// Imports the courses of a file.
pub(super) async fn import(platform: &Platform, file: &Path) -> anyhow::Result<Report> {
    let rows = Rows::read(file)?;
    rows.expect(&READ, &IGNORED)?;
    let mut report = Report::default();
    for (line, record) in &rows.rows {
        match row(&rows, record) {
            Ok(row) => {
                let code = row.code.clone();
                report.tell_course(*line, &code, ask(platform, row).await?);
            }
            Err(why) => report.refuse(*line, &why),
        }
    }
    Ok(report)
}

/// A row as courses take it.
fn row(rows: &Rows, record: &StringRecord) -> Result<ImportCourse, String> {
    let text = |column: &str| rows.text(record, column).map(|it| it.trim().to_owned());
    let switch = |column: &str| match text(column).as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(format!("{column}: {other:?} is neither 1 nor 0")),
    };
    let list = |text: String, signs: &[char]| -> Vec<String> {
        text.split(signs).map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let time_zone = text("time_zone").map(|it| it.parse::<TimeZone>());
    let time_zone = time_zone.transpose().map_err(|_| "time_zone: there is no such zone")?;
    let date = |column: &str| -> Result<Option<Timestamp>, String> {
        let Some(text) = text(column) else { return Ok(None) };
        let zone = time_zone.clone().unwrap_or_default();
        let wrong = || format!("{column}: {text:?} is no date such as 2026-05-01 or 01.05.2026");
        moment(&text, &zone).map(Some).ok_or_else(wrong)
    };
    let capacity = text("capacity").map(|it| it.parse::<u32>());
    let capacity = capacity.transpose().map_err(|_| "capacity: it's a whole number")?;
    // In Moodle a category may be a number of its own database, which means nothing here.
    let category = text("category").filter(|it| !it.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(ImportCourse {
        code: text("shortname").ok_or("shortname: it's missing")?,
        title: text("fullname").unwrap_or_default(),
        summary: text("summary").map(|it| plain(&it)),
        description: text("description"),
        language: text("language").or(text("lang")),
        level: text("level"),
        category,
        category_path: text("category_path")
            .map(|path| path.split(" / ").map(|it| it.trim().to_owned()).collect())
            .unwrap_or_default(),
        tags: text("tags").map(|it| list(it, &[',', ';', '|'])),
        instructors: text("instructors").map(|it| list(it, &[',', ';', ' '])),
        visible: switch("visible")?,
        deleted: switch("delete")? || switch("deleted")?,
        starts_at: date("startdate")?,
        ends_at: date("enddate")?,
        time_zone: time_zone.clone(),
        capacity,
    })
}

/// A day's beginning, or a time, as files write them.
fn moment(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(Timestamp::UNIX_EPOCH.plus_seconds(seconds));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let parts: Vec<_> = text.split(['-', '.']).collect();
    let [one, two, three] = parts[..] else { return None };
    let (year, day) = if one.len() == 4 { (one, three) } else { (three, one) };
    let year = year.parse::<i16>().ok().filter(|_| year.len() == 4)?;
    let date = Date::new(year, two.parse().ok()?, day.parse().ok()?).ok()?;
    Some(date.to_zoned(zone.as_jiff()).ok()?.timestamp().into())
}

/// A text without the tags of HTML, in which Moodle keeps summaries.
fn plain(html: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(begin) = rest.find('<') {
        let is_tag =
            rest[begin + 1..].starts_with(|it: char| it.is_ascii_alphabetic() || it == '/');
        let end = rest[begin..].find('>').filter(|_| is_tag);
        plain.push_str(&rest[..begin]);
        if let Some(end) = end {
            rest = &rest[begin + end + 1..];
        } else {
            plain.push('<');
            rest = &rest[begin + 1..];
        }
    }
    plain.push_str(rest);
    let named = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")];
    let plain = named.iter().fold(plain, |text, (name, sign)| text.replace(name, sign));
    plain.replace("&amp;", "&").trim().to_owned()
}

impl Report {
    fn tell_course(&mut self, line: u64, code: &str, imported: CourseImported) {
        let (count, word) = match imported.outcome {
            ImportOutcome::Created => (&mut self.created, "created"),
            ImportOutcome::Updated => (&mut self.existing, "updated"),
            ImportOutcome::Unchanged => (&mut self.existing, "unchanged"),
            ImportOutcome::Deleted => (&mut self.existing, "deleted"),
            ImportOutcome::Refused => (&mut self.refused, "refused"),
        };
        *count += 1;
        let note = imported.note.map(|it| format!(": {it}")).unwrap_or_default();
        self.lines.push(format!("line {line}: {code} {word}{note}"));
    }
}

#[cfg(test)]
mod tests {
    use runtime::Settings;

    use super::*;

    fn platform() -> Platform {
        let public_url = "http://localhost:8080".to_owned();
        let settings = Settings { public_url, ..Settings::default() };
        let options = embedded::Options::new(settings);
        Platform::start(options, crate::domains()).expect("a platform in memory")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_of_moodles_is_imported_and_again_changes_nothing() {
        let file = std::env::temp_dir().join(format!("aula-courses-{}.csv", std::process::id()));
        let rows = "\u{feff}shortname;fullname;category_path;summary;startdate;enddate;visible;tags;format\n\
            CS1;Algoritmos;Ciencias / Informática;\"<p>Ordenar &amp; buscar</p>\";01.03.2027;2027-06-30;1;a,b;topics\n\
            CS2;;Ciencias;x;;;0;;topics\n\
            ;Nada;Ciencias;x;;;0;;topics\n\
            CS3;Redes;Ciencias / Informática;x;mañana;;0;;topics\n";
        std::fs::write(&file, rows).unwrap();
        let platform = platform();
        let first = import(&platform, &file).await.unwrap();
        let told = first.to_string();
        assert_eq!((first.created, first.existing, first.refused), (1, 0, 3), "{told}");
        assert!(told.contains("line 2: CS1 created: it stays a draft"), "{told}");
        assert!(told.contains("line 3: CS2 refused: fullname: empty"), "{told}");
        assert!(told.contains("line 4: refused: shortname"), "{told}");
        assert!(told.contains("line 5: refused: startdate"), "{told}");
        let again = import(&platform, &file).await.unwrap();
        assert_eq!((again.created, again.existing, again.refused), (0, 1, 3), "{again}");
        assert!(again.to_string().contains("CS1 unchanged"), "{again}");
        std::fs::remove_file(&file).unwrap();
        platform.shutdown().await.unwrap();
    }

    #[test]
    fn days_are_read_as_files_write_them() {
        let zone: TimeZone = "America/Bogota".parse().unwrap();
        for text in ["2026-05-01", "01.05.2026", "01-05-2026", "2026-05-01T05:00:00Z", "1777611600"]
        {
            let expected = Some("2026-05-01T05:00:00.000Z".to_owned());
            assert_eq!(moment(text, &zone).map(|it| it.to_string()), expected, "{text}");
        }
        for text in ["", "tomorrow", "2026-13-01", "31.02.2026", "05/01/2026", "1.2"] {
            assert_eq!(moment(text, &zone), None, "{text}");
        }
    }

    #[test]
    fn a_summary_loses_its_tags_and_nothing_else() {
        assert_eq!(plain("<p class=\"x\">a &lt; b</p> &amp; 3 < 5 <3"), "a < b & 3 < 5 <3");
    }
}
