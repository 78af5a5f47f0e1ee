//! `GET /v1/users/{user_id}/calendar`

use std::collections::BTreeMap;

use contracts::{
    Content,
    courses::{MeetingFacts, SectionId},
};
use runtime::prelude::*;

use crate::{
    attendance::Attendance,
    calendar::{self, FeedEntry},
    feed::Feed,
    inbox_item::Titles,
    section::KnownSection,
};

/// Get a person's meetings as a calendar (iCalendar, RFC 5545).
///
/// It's for calendar programs, which can't sign in: they bring the secret of
/// the address that `POST /v1/users/{user_id}/calendar/rotate` answers. There
/// are the meetings of the sections in which the person has a seat, from the
/// last 90 days on; what was cancelled, or left, stays as cancelled.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetCalendar {
    /// Whose.
    user_id: UserId,
    /// The secret of the address; without it nothing is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Line<1, 100>>,
}

/// The media type of calendars.
const CALENDAR: &str = "text/calendar; charset=utf-8";

/// There's no such calendar, or the secret isn't the one that it has now.
pub const CALENDAR_NOT_FOUND: Problem = Problem::not_found(
    "calendar-not-found",
    "There is no such calendar, or its address was changed.",
    "No existe ese calendario, o su dirección cambió.",
);

impl Endpoint for GetCalendar {
    const OPERATION: &'static str = "notifications.get_calendar";
    const ROUTE: Route = Route::get("/v1/users/{user_id}/calendar");
    const PROBLEMS: &'static [Problem] = &[CALENDAR_NOT_FOUND];
    const ANSWERS: &'static str = CALENDAR;
    type Response = Content;
}

/// For how many days a meeting stays after its end.
const KEPT_DAYS: i64 = 90;

pub async fn run(cx: Context<Anyone>, request: GetCalendar) -> Result<Content> {
    let GetCalendar { user_id, token } = request;
    let feed = cx.get::<Feed>(user_id.as_str()).await?;
    if !feed.zip(token).is_some_and(|(feed, token)| feed.opens(&cx, &token)) {
        return Err(CALENDAR_NOT_FOUND.into());
    }
    let attendances = cx.query_all(&Attendance::of(&user_id)).await?;
    let sections = sections(&cx, &attendances).await?;
    let since = cx.now.plus_minutes(-KEPT_DAYS * 24 * 60);
    let mut entries = Vec::new();
    for attendance in attendances.iter().filter(|it| it.was_invited()) {
        let Some(section) = sections.get(&attendance.section_id) else { continue };
        let gone = section.facts.cancelled || !attendance.has_seat();
        let summary = Titles::of(section).summary();
        let (known, sequence) = (attendance.about(), section.facts.calendar_sequence);
        let entry = |meeting: &MeetingFacts, cancelled: bool| {
            let mut meeting = meeting.clone();
            if cancelled {
                // Where people gather is for those who do.
                (meeting.url, meeting.location) = (None, None);
            }
            let sequence = sequence + known.turns;
            Entry { meeting, summary: summary.clone(), sequence, cancelled }
        };
        let ahead = section.meetings_ahead(since).map(|it| entry(it, gone));
        let withdrawn = section.withdrawn_since(0, since).map(|it| entry(it, true));
        entries.extend(ahead.chain(withdrawn).map(|it| (&attendance.id, it)));
    }
    entries.sort_by_key(|(_, entry)| entry.meeting.starts_at);
    let entries = entries.iter().map(|(enrollment_id, it)| FeedEntry {
        enrollment_id,
        meeting: &it.meeting,
        summary: &it.summary,
        sequence: it.sequence,
        cancelled: it.cancelled,
    });
    Ok(calendar::feed(entries, cx.now).into_bytes().into())
}

struct Entry {
    meeting: MeetingFacts,
    summary: String,
    sequence: u32,
    cancelled: bool,
}

/// The sections of some attendances; none was ever followed without its section.
async fn sections(
    cx: &Context<Anyone>,
    attendances: &[Stored<Attendance>],
) -> Result<BTreeMap<SectionId, KnownSection>> {
    let mut ids: Vec<_> = attendances.iter().map(|it| it.section_id.to_string()).collect();
    ids.sort();
    ids.dedup();
    let found = cx.get_all::<KnownSection>(&ids).await?;
    let known = found.into_iter().flatten().map(Stored::into_inner);
    Ok(known.map(|it| (it.facts.section_id.clone(), it)).collect())
}

#[cfg(test)]
mod tests {
    use contracts::courses::{SectionFacts, SectionUpdated};
    use testing::{App, json};

    use super::*;
    use crate::tests::{app, app_with_section, confirmed, left, meeting, section};

    async fn address(app: &App) -> String {
        let uri = "/v1/users/me/calendar/rotate";
        let url = app.user("ada").post_without_key(uri, json!({})).await.ok()["url"].clone();
        url.as_str().unwrap().strip_prefix(App::PUBLIC_URL).unwrap().to_owned()
    }

    async fn read(app: &App, uri: &str) -> String {
        let answer = app.anyone().get(uri).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, CALENDAR));
        answer.text
    }

    fn lines<'a>(feed: &'a str, name: &str) -> Vec<&'a str> {
        feed.lines().filter(|it| it.starts_with(name)).collect()
    }

    #[tokio::test]
    async fn the_meetings_are_there_as_the_mail_has_them() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        let uri = address(&app).await;
        let feed = read(&app, &uri).await;
        let mailed = app.mail()[0].attachments[0].content.clone();
        for name in ["UID:", "SEQUENCE:", "DTSTART:", "DTEND:", "SUMMARY:", "STATUS:"] {
            assert_eq!(lines(&feed, name), lines(&mailed, name), "{feed}");
        }
        assert!(feed.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')));
        assert!(feed.starts_with("BEGIN:VCALENDAR\r\n") && feed.ends_with("END:VCALENDAR\r\n"));
    }

    #[tokio::test]
    async fn what_moves_keeps_its_uid_and_what_goes_stays_as_cancelled() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let uri = address(&app).await;
        let before = read(&app, &uri).await;
        let uid = lines(&before, "UID:")[0].to_owned();
        let moved = |revision, mut meetings: Vec<MeetingFacts>| {
            meetings[0].location = Some("Room 7".into());
            let calendar_sequence = u32::try_from(revision).unwrap() - 1;
            SectionUpdated {
                section: SectionFacts { meetings, revision, calendar_sequence, ..section() },
            }
        };
        app.deliver(&moved(2, vec![meeting("m1", "2026-03-12T22:00:00Z")])).await;
        let feed = read(&app, &uri).await;
        assert_eq!(lines(&feed, "UID:"), [&uid]);
        assert_eq!(lines(&feed, "SEQUENCE:"), ["SEQUENCE:1"]);
        assert_eq!(lines(&feed, "DTSTART:"), ["DTSTART:20260312T220000Z"]);
        assert_eq!(lines(&feed, "LOCATION:"), ["LOCATION:Room 7"]);
        app.deliver(&moved(3, vec![meeting("m2", "2026-03-20T22:00:00Z")])).await;
        let feed = read(&app, &uri).await;
        assert_eq!(lines(&feed, "STATUS:"), ["STATUS:CANCELLED", "STATUS:CONFIRMED"]);
        assert_eq!(lines(&feed, "UID:")[0], uid);
        app.deliver(&left("ada", 2)).await;
        let feed = read(&app, &uri).await;
        assert_eq!(lines(&feed, "STATUS:"), ["STATUS:CANCELLED"; 2]);
        assert_eq!(lines(&feed, "SEQUENCE:"), ["SEQUENCE:3"; 2]);
        // Where it is now, who has left isn't told.
        assert!(!feed.contains("LOCATION:"), "{feed}");
    }

    #[tokio::test]
    async fn who_never_had_a_seat_has_an_empty_calendar_that_is_one() {
        let app = app_with_section().await;
        let feed = read(&app, &address(&app).await).await;
        assert!(!feed.contains("VEVENT") && feed.contains("BEGIN:VTIMEZONE"), "{feed}");
    }

    #[tokio::test]
    async fn only_the_secret_opens_it_and_only_ones_own() {
        let app = app();
        let uri = address(&app).await;
        let other = uri.replace("/ada/", "/bob/");
        app.anyone().get(&other).await.is(CALENDAR_NOT_FOUND);
        app.anyone().get("/v1/users/ada/calendar?token=guess").await.is(CALENDAR_NOT_FOUND);
        app.user("ada").get("/v1/users/ada/calendar?token=").await.blames("token", "empty");
        app.anyone().get("/v1/users/ada/calendar").await.is(CALENDAR_NOT_FOUND);
        assert!(read(&app, &uri).await.contains("BEGIN:VCALENDAR"));
    }

    #[tokio::test]
    async fn a_meeting_stays_for_a_season_after_its_end() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let uri = address(&app).await;
        app.advance_minutes(90 * 24 * 60);
        assert!(read(&app, &uri).await.contains("BEGIN:VEVENT"));
        app.advance_minutes(10 * 24 * 60);
        assert!(!read(&app, &uri).await.contains("BEGIN:VEVENT"));
    }
}
