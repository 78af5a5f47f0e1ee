//! Messages: a delivery written out for a person, as a mail provider takes it.

use contracts::{Language, Timestamp, identity::Contact};
use minijinja::Error;
use runtime::mail::{Attachment, Message};

use crate::{
    calendar::{Entries, Method},
    dates::Reader,
    delivery::Delivery,
    inbox_item::Titles,
    letter::{Gathering, Letter},
    line::{greeted, one_line, web_link},
    news::{About, News, Rank},
    section::KnownSection,
    words::{self, Words},
};

/// How many gatherings a message tells; a file holds them all.
const GATHERINGS_MOST: usize = 12;

/// What a message is written from.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What is told.
    pub delivery: &'a Delivery,
    /// To whom.
    pub contact: &'a Contact,
    /// The section that it is about.
    pub section: Option<&'a KnownSection>,
    /// The code that it carries.
    pub code: Option<&'a str>,
    /// What a digest tells.
    pub items: &'a [Item],
    /// Where to get no more such mail.
    pub unsubscribe: &'a str,
    /// The address that it goes to.
    pub to: &'a str,
    /// Where people reach the platform.
    pub public_url: &'a str,
    /// The host that it comes from.
    pub host: &'a str,
    /// When it is written.
    pub now: Timestamp,
}

/// Some news that a digest tells.
#[derive(Clone, Debug)]
pub struct Item {
    /// What is told.
    pub news: News,
    /// What the course and the section are called.
    pub titles: Option<Titles>,
}

impl Draft<'_> {
    /// Writes the message.
    pub fn write(&self) -> Result<Message, Error> {
        let Self { delivery, contact, .. } = self;
        let titles = self.section.map(Titles::of);
        let Words { title, lead, more } = words::of(&delivery.news, titles.as_ref(), self.reader());
        let language = contact.locale;
        let attachments = self.attachments(titles.as_ref());
        let mut gatherings: Vec<_> = self.gatherings().collect();
        let rest = gatherings.len().saturating_sub(GATHERINGS_MOST);
        gatherings.truncate(GATHERINGS_MOST);
        let is_optional = delivery.kind.rank() == Rank::Optional;
        let letter = Letter {
            items: self.items.iter().map(|it| self.item(it)).collect(),
            link: self.link(),
            unsubscribe: is_optional.then(|| {
                let said = language.choose(
                    "To get no more mail of this kind, open this page:",
                    "Para no recibir más correos de este tipo, abre esta página:",
                );
                (said, self.unsubscribe.to_owned())
            }),
            language: language.code(),
            greeting: greeting(language, &contact.name),
            lead,
            code: self.code.map(str::to_owned),
            more,
            heading: language.choose("When and where", "Cuándo y dónde"),
            gatherings,
            rest: (rest > 0)
                .then(|| language.choose(format!("And {rest} more."), format!("Y {rest} más."))),
            attached: (!attachments.is_empty()).then_some(language.choose(
                if attachments.len() == 1 {
                    "Open the attached file to bring your calendar up to date."
                } else {
                    "Open the attached files to bring your calendar up to date."
                },
                if attachments.len() == 1 {
                    "Abre el archivo adjunto para poner tu calendario al día."
                } else {
                    "Abre los archivos adjuntos para poner tu calendario al día."
                },
            )),
            footer: language.choose(
                "You get this message because you have an account at Aula.",
                "Recibes este mensaje porque tienes una cuenta en Aula.",
            ),
            title,
        };
        let (text, html) = letter.set()?;
        let header = |name: &str, value: &str| (name.to_owned(), one_line(value));
        let mut headers = vec![
            header("X-Aula-Ref", &delivery.reference),
            header("Auto-Submitted", "auto-generated"),
            header("Content-Language", language.code()),
        ];
        if is_optional {
            // RFC 8058: a mail program may do it with one click, without showing a page.
            headers.push(header("List-Unsubscribe", &format!("<{}>", self.unsubscribe)));
            headers.push(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
        }
        Ok(Message {
            message_id: delivery.message_id.clone(),
            to: self.to.to_owned(),
            to_name: greeted(&contact.name).unwrap_or_default(),
            subject: short_line(&letter.title),
            text,
            html,
            headers,
            attachments,
        })
    }

    /// The title and the news itself, of each piece of a digest.
    fn item(&self, item: &Item) -> (String, String) {
        let Words { title, lead, .. } = words::of(&item.news, item.titles.as_ref(), self.reader());
        (title, lead)
    }

    /// The page that the message is about.
    fn link(&self) -> Option<String> {
        match &self.delivery.news {
            News::CertificateIssued { certificate_id, .. } => {
                Some(format!("{}/v1/certificates/{certificate_id}", self.public_url))
            }
            _ => None,
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader { language: self.contact.locale, time_zone: &self.contact.time_zone }
    }

    /// The gatherings that the message tells of.
    fn gatherings(&self) -> impl Iterator<Item = Gathering> {
        let (reader, now) = (self.reader(), self.now);
        // Whoever has no seat yet learns when it is, but not how to get in.
        let may_enter = !matches!(
            self.delivery.news,
            News::Waitlisted { .. } | News::Requested(_) | News::Offered { .. }
        );
        let of_section = self.section.into_iter().flat_map(move |section| {
            let meetings = section.meetings_ahead(now);
            let told = meetings.filter(|meeting| match &self.delivery.news {
                News::Reminder { meeting_id, .. } => meeting.id == *meeting_id,
                news => !matches!(
                    news,
                    News::Rejected { .. }
                        | News::Cancelled { .. }
                        | News::Completed(_)
                        | News::CertificateIssued { .. }
                        | News::CertificateRevoked { .. }
                ),
            });
            told.map(move |meeting| (section, meeting))
        });
        of_section.map(move |(section, meeting)| {
            let zone = &section.facts.time_zone;
            let (starts_at, ends_at) = (meeting.starts_at, meeting.ends_at);
            let elsewhere = reader.differs(starts_at, zone) || reader.differs(ends_at, zone);
            let there = Reader { time_zone: zone, ..reader };
            Gathering {
                when: reader.span(starts_at, ends_at),
                there: elsewhere.then(|| there.span(starts_at, ends_at)),
                place: meeting.location.as_deref().map(one_line),
                link: meeting
                    .url
                    .as_deref()
                    .filter(|_| may_enter)
                    .and_then(web_link)
                    .map(str::to_owned),
            }
        })
    }

    /// The files that bring the person's calendar up to date.
    fn attachments(&self, titles: Option<&Titles>) -> Vec<Attachment> {
        let (Some(section), Some(titles)) = (self.section, titles) else { return Vec::new() };
        let entries = |about, summary| self.entries(section, about, summary);
        let summary = titles.summary();
        let ahead = || section.meetings_ahead(self.now);
        match &self.delivery.news {
            News::Enrolled(about) | News::Promoted(about) => {
                entries(about, &summary).attached(Method::Request, ahead())
            }
            News::Rescheduled { about, former_sequence, .. } => {
                let entries = entries(about, &summary);
                let withdrawn = section.withdrawn_since(*former_sequence, self.now);
                let mut files = entries.attached(Method::Request, ahead());
                files.extend(entries.attached(Method::Cancel, withdrawn));
                files
            }
            News::Cancelled { about, had_seat: true, .. } => {
                // What was taken out of the section before may stand in their calendar still.
                let all = ahead().chain(section.withdrawn_since(0, self.now));
                entries(about, &summary).attached(Method::Cancel, all)
            }
            _ => Vec::new(),
        }
    }

    fn entries<'e>(
        &'e self,
        section: &KnownSection,
        about: &'e About,
        summary: &'e str,
    ) -> Entries<'e> {
        Entries {
            enrollment_id: &about.enrollment_id,
            summary,
            // Each of the two only grows, and each change of the calendar grows one of them.
            sequence: section.facts.calendar_sequence + about.turns,
            attendee: &self.contact.email,
            host: self.host,
            now: self.now,
        }
    }
}

fn greeting(language: Language, name: &str) -> String {
    match (language, greeted(name)) {
        (Language::En, Some(name)) => format!("Hello {name},"),
        (Language::En, None) => "Hello,".to_owned(),
        (Language::Es, Some(name)) => format!("Hola, {name}:"),
        (Language::Es, None) => "Hola:".to_owned(),
    }
}

/// A line short enough for every mail program.
fn short_line(text: &str) -> String {
    const MOST: usize = 150;
    let line = one_line(text);
    if line.chars().count() <= MOST {
        line
    } else {
        line.chars().take(MOST - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use contracts::{
        UserId,
        courses::{MeetingFacts, SectionFacts},
        enrollments::CancelReason,
        identity::{CodePurpose, FactorKind},
    };

    use super::*;
    use crate::tests::{contact, meeting, section, time};

    const NOW: &str = "2026-03-02T12:00:00Z";

    fn about() -> About {
        About { enrollment_id: "e1".into(), section_id: "s1".into(), revision: 1, turns: 0 }
    }

    fn ada() -> Contact {
        Contact { name: "Ada".to_owned(), ..contact("ada") }
    }

    fn every_kind() -> Vec<News> {
        let expires_at = time("2026-03-02T12:15:00Z");
        let code = |purpose| News::Code { purpose, code_id: "k1".into(), expires_at };
        let cancelled = |why| News::Cancelled { about: about(), why, had_seat: true };
        vec![
            code(CodePurpose::VerifyEmail),
            code(CodePurpose::ResetPassword),
            News::RegistrationRepeated { at: time(NOW) },
            News::PasswordChanged { changed_at: time(NOW) },
            News::EmailChange { code_id: "k1".into(), expires_at },
            News::EmailChanged { changed_at: time(NOW) },
            News::DeviceAdded {
                session_id: "d1".into(),
                device: "Firefox on Linux".into(),
                network: Some("203.0.113.0/24".into()),
                signed_in_at: time(NOW),
            },
            News::FactorAdded {
                factor: FactorKind::Totp,
                name: "Phone".into(),
                added_at: time(NOW),
            },
            News::FactorRemoved {
                factor: FactorKind::Passkey,
                name: "visit evil.example".into(),
                removed_at: time(NOW),
            },
            News::RecoveryCodeUsed { codes_left: 0, used_at: time(NOW) },
            News::FactorAdded {
                factor: FactorKind::Passkey,
                name: "Laptop".into(),
                added_at: time(NOW),
            },
            News::PasskeySuspected { name: "Laptop".into(), noticed_at: time(NOW) },
            News::IdentityLinked { provider: "Google".into(), linked_at: time(NOW) },
            News::DataExported { exported_at: time(NOW) },
            News::AccountClosed { closed_at: time(NOW), erased_at: time("2026-04-01T12:00:00Z") },
            News::Enrolled(about()),
            News::Offered { about: about(), expires_at: time("2026-03-04T12:00:00Z") },
            News::Completed(about()),
            News::CertificateIssued { about: about(), certificate_id: "z1".into() },
            News::CertificateRevoked {
                about: about(),
                certificate_id: "z1".into(),
                note: "It was issued by mistake.".into(),
            },
            News::Waitlisted { about: about(), position: 3 },
            News::Requested(about()),
            News::Rejected { about: about(), note: Some("Please take the\nbasics first.".into()) },
            News::Promoted(about()),
            News::Rescheduled { about: about(), sequence: 1, former_sequence: 0 },
            cancelled(CancelReason::Left),
            cancelled(CancelReason::Removed),
            cancelled(CancelReason::SectionCancelled),
            cancelled(CancelReason::Transferred),
            News::Cancelled { about: about(), why: CancelReason::OfferLapsed, had_seat: false },
            News::Reminder {
                about: about(),
                meeting_id: "m1".into(),
                starts_at: time("2026-03-09T22:00:00Z"),
                minutes_before: 60,
            },
        ]
    }

    /// Two meetings, of which the first has a room and the second a page. A third was taken out.
    fn in_new_york() -> KnownSection {
        let first = meeting("m1", "2026-03-09T22:00:00Z");
        let second = meeting("m2", "2026-03-30T22:00:00Z");
        let meetings = vec![
            MeetingFacts { location: Some("Room 1".into()), ..first },
            MeetingFacts { url: Some("https://meet.example/rust?a=1&b=2".into()), ..second },
        ];
        let gone = vec![meeting("m3", "2026-04-06T22:00:00Z")];
        let mut known = KnownSection::new(SectionFacts { meetings: gone, ..section() });
        let (calendar_sequence, revision) = (1, 2);
        known.learn(&SectionFacts { meetings, calendar_sequence, revision, ..section() });
        known
    }

    fn written(news: News, contact: &Contact, section: &KnownSection) -> Message {
        let user_id = UserId::from("ada");
        let code = news.code().map(|_| "01234567");
        let delivery = Delivery::new(&user_id, news, "aula.example", time(NOW));
        let section = delivery.news.about().map(|_| section);
        let is_digest = matches!(delivery.news, News::Digest { .. });
        let items: Vec<_> = every_kind().into_iter().filter(|_| is_digest).collect();
        let titles = |news: &News| news.about().map(|_| Titles::of(&in_new_york()));
        let items: Vec<_> =
            items.into_iter().map(|news| Item { titles: titles(&news), news }).collect();
        let draft = Draft {
            delivery: &delivery,
            contact,
            section,
            code,
            items: &items,
            unsubscribe: "https://aula.example/v1/unsubscribe?token=t",
            to: &contact.email,
            public_url: "https://aula.example",
            host: "aula.example",
            now: time(NOW),
        };
        draft.write().unwrap()
    }

    fn shown(message: &Message) -> String {
        let Message { message_id, to, to_name, subject, text, headers, attachments, .. } = message;
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let attachments: Vec<_> = attachments
            .iter()
            .map(|it| format!("\n{} ({})\n{}", it.filename, it.content_type, it.content))
            .collect();
        let (headers, attachments) = (headers.join("\n"), attachments.concat());
        let head = format!("Message-ID: {message_id}\nTo: {to_name} <{to}>\nSubject: {subject}");
        format!("{head}\n{headers}\n\n{text}\n{attachments}").replace("\r\n", "\n")
    }

    fn all(contact: &Contact) -> String {
        let section = in_new_york();
        let digest = News::Digest { digest_id: "g1".into(), day: "2026-03-02".into() };
        let all = every_kind().into_iter().chain([digest]);
        let shown = all.map(|news| shown(&written(news, contact, &section)));
        shown.collect::<Vec<_>>().join("\n==========\n")
    }

    #[test]
    fn every_kind_is_written_in_english() {
        insta::assert_snapshot!(all(&ada()));
    }

    #[test]
    fn every_kind_is_written_in_spanish() {
        let contact = Contact {
            name: "José".to_owned(),
            locale: Language::Es,
            time_zone: "America/Bogota".parse().unwrap(),
            ..contact("jose")
        };
        insta::assert_snapshot!(all(&contact));
    }

    #[test]
    fn a_code_stands_out_in_html() {
        let code = every_kind().remove(0);
        insta::assert_snapshot!(written(code, &ada(), &in_new_york()).html);
    }

    #[test]
    fn gatherings_are_a_list_in_html() {
        let enrolled = News::Enrolled(about());
        let contact = Contact { locale: Language::Es, ..ada() };
        insta::assert_snapshot!(written(enrolled, &contact, &in_new_york()).html);
    }

    #[test]
    fn html_says_what_the_text_says() {
        let contact = ada();
        for news in every_kind() {
            let Message { text, html, .. } = written(news, &contact, &in_new_york());
            let plain = html.replace("&#x27;", "'").replace("&amp;", "&").replace("&#x2f;", "/");
            for line in text.lines().map(|line| line.trim().trim_start_matches("- ")) {
                assert!(line == "--" || plain.contains(line), "{line:?} isn't in {html}");
            }
        }
    }

    #[test]
    fn a_reader_on_the_sections_clock_is_told_one_time() {
        let contact = Contact { time_zone: "America/New_York".parse().unwrap(), ..ada() };
        let text = written(News::Enrolled(about()), &contact, &in_new_york()).text;
        assert_eq!(text.matches("18:00–19:00 (New York, UTC−4)").count(), 2, "{text}");
        assert_eq!(text.matches("New York").count(), 2, "{text}");
    }

    #[test]
    fn six_in_new_york_is_eleven_in_madrid_for_three_weeks_in_march_and_midnight_before_and_after()
    {
        let text = written(News::Enrolled(about()), &ada(), &in_new_york()).text;
        assert!(
            text.contains(
                "Monday, March 9, 2026, 23:00 – Tuesday, March 10, 2026, 00:00 (Madrid, UTC+1)"
            ),
            "{text}"
        );
        assert!(text.contains("Tuesday, March 31, 2026, 00:00–01:00 (Madrid, UTC+2)"), "{text}");
    }

    #[test]
    fn what_is_over_is_not_told_and_what_is_too_much_is_counted() {
        let day = |day: i64| time(NOW).plus_minutes((day - 2) * 24 * 60).to_string();
        let meetings = (1..=20).map(|it| meeting(&format!("m{it}"), &day(it))).collect();
        let section = KnownSection::new(SectionFacts { meetings, ..section() });
        let message = written(News::Enrolled(about()), &ada(), &section);
        assert_eq!(message.text.matches("\n- ").count(), GATHERINGS_MOST);
        assert!(message.text.contains("And 7 more."), "{}", message.text);
        assert_eq!(message.attachments.len(), 19);
    }

    #[test]
    fn no_name_or_title_breaks_out_of_a_header_or_into_the_html() {
        let evil = "<script>alert(1)</script>\r\nBcc: eve@mail.example\r\n\r\n";
        let contact = Contact { name: "<img src=x>\r\nBcc: eve".to_owned(), ..contact("ada") };
        let meetings = vec![MeetingFacts {
            location: Some(evil.to_owned()),
            url: Some("javascript:alert(1)".to_owned()),
            ..meeting("m1", "2026-03-09T22:00:00Z")
        }];
        let section = KnownSection::new(SectionFacts {
            course_title: evil.to_owned(),
            title: "{{ 7 * 7 }} & \"so\" on".to_owned(),
            meetings,
            ..section()
        });
        for news in every_kind() {
            let message = written(news, &contact, &section);
            let fields = message.headers.iter().flat_map(|(name, value)| [name, value]);
            for line in fields.chain([&message.subject, &message.to_name, &message.message_id]) {
                assert!(!line.contains(['\r', '\n']), "{line:?}");
            }
            for evil in ["<script", "<img", "javascript:", "49"] {
                assert!(!message.html.contains(evil), "{}", message.html);
            }
            let header = |line: &str| line.starts_with("Bcc:");
            assert!(!message.text.lines().any(header), "{}", message.text);
        }
    }

    #[test]
    fn a_name_that_advertises_is_not_passed_on() {
        let contact = Contact { name: "Win now at evil.example".to_owned(), ..contact("ada") };
        let message = written(every_kind().remove(0), &contact, &in_new_york());
        assert!(message.text.starts_with("Hello,\n"), "{}", message.text);
        assert!(!shown(&message).contains("evil") && !message.html.contains("evil"));
    }

    #[test]
    fn each_change_of_a_calendar_has_a_larger_sequence() {
        let sequence = |news, section: &KnownSection| {
            let file = written(news, &ada(), section).attachments.remove(0).content;
            let line = file.lines().find_map(|line| line.strip_prefix("SEQUENCE:")).unwrap();
            line.parse::<u32>().unwrap()
        };
        let turned = |turns| About { turns, ..about() };
        let (why, had_seat) = (CancelReason::Left, true);
        let before = KnownSection::new(section());
        let after = in_new_york();
        let sequences = [
            sequence(News::Enrolled(about()), &before),
            sequence(News::Rescheduled { about: about(), sequence: 1, former_sequence: 0 }, &after),
            sequence(News::Cancelled { about: turned(1), why, had_seat }, &after),
            sequence(News::Promoted(turned(2)), &after),
        ];
        assert_eq!(sequences, [0, 1, 2, 3]);
    }

    #[test]
    fn who_never_had_a_seat_has_nothing_to_take_out_of_their_calendar() {
        let (why, had_seat) = (CancelReason::Left, false);
        let left = News::Cancelled { about: about(), why, had_seat };
        assert!(written(left, &ada(), &in_new_york()).attachments.is_empty());
        let waits = News::Waitlisted { about: about(), position: 1 };
        let message = written(waits, &ada(), &in_new_york());
        assert!(message.attachments.is_empty());
        assert!(!message.text.contains("https://meet.example"), "{}", message.text);
    }

    #[test]
    fn a_long_title_is_cut_in_the_subject_alone() {
        let course_title = "ñ".repeat(200);
        let section =
            KnownSection::new(SectionFacts { course_title: course_title.clone(), ..section() });
        let message = written(News::Enrolled(about()), &ada(), &section);
        assert_eq!(message.subject.chars().count(), 150);
        assert!(message.subject.ends_with('…') && message.text.contains(&course_title));
    }
}
