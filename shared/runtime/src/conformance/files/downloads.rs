//! Links to fetch a file from.

use super::{
    Body, Bytes, Cabinet, Download, Expected, Link, NewFile, leading, named, request, text, typed,
};

/// A link to a file for a minute.
fn minute(name: &str) -> Download {
    Download::new(named(name), 60).expect("a link for a minute")
}

fn header<'a>(answer: &'a http::Response<Bytes>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |it| it.to_str().expect("a header is text"))
}

/// As often as its holder likes.
pub async fn a_link_gives_a_file(cabinet: &dyn Cabinet) {
    let media_type = typed("text/csv; charset=utf-8");
    let file = NewFile { name: named("a/ñ b.csv"), media_type, expected: Expected::Absent };
    cabinet.write(&file, "a,b").await;
    let link = cabinet.link_to("a/ñ b.csv").await;
    assert_eq!((&*link.method, link.headers.len()), ("GET", 0));
    for _ in 0..2 {
        let answer = cabinet.send(request(&link, "")).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "content-type"), "text/csv; charset=utf-8");
        assert_eq!(header(&answer, "content-length"), "3");
        assert_eq!(&answer.body()[..], b"a,b");
    }
}

/// Its holder may know that.
pub async fn a_link_to_nothing_finds_nothing(cabinet: &dyn Cabinet) {
    let link = cabinet.link_to("a").await;
    assert_eq!(cabinet.status(request(&link, "")).await, 404);
}

/// And not after.
pub async fn a_link_gives_a_file_until_it_expires(cabinet: &dyn Cabinet) {
    cabinet.write(&text("a", Expected::Absent), "one").await;
    let link = cabinet.link_to("a").await;
    cabinet.pass(50).await;
    assert_eq!(cabinet.status(request(&link, "")).await, 200);
    cabinet.pass(15).await;
    let answer = cabinet.send(request(&link, "")).await.expect("an answer");
    assert!(matches!(answer.status().as_u16(), 400 | 403), "{}", answer.status());
    assert!(!answer.body().windows(3).any(|it| it == b"one"));
}

/// Under which name it's saved, and as what.
pub async fn a_link_says_how_a_file_is_shown(cabinet: &dyn Cabinet) {
    cabinet.write(&text("a", Expected::Absent), "one").await;
    let pdf = typed("application/pdf");
    let link = cabinet.download(&minute("a").saved_as("el \"año\".pdf").shown_as(pdf)).await;
    let answer = cabinet.send(request(&link, "")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), "application/pdf");
    assert_eq!(
        header(&answer, "content-disposition"),
        "attachment; filename=\"el _a_o_.pdf\"; filename*=UTF-8''el%20%22a%C3%B1o%22.pdf"
    );
}

/// By its holder.
pub async fn how_a_file_is_shown_cannot_be_changed(cabinet: &dyn Cabinet) {
    cabinet.write(&text("a", Expected::Absent), "one").await;
    let link = cabinet.download(&minute("a").shown_as(typed("text/plain"))).await;
    let other = leading(&link, "text%2Fplain", "text%2Fhtml");
    assert_eq!(cabinet.status(request(&other, "")).await, 403);
    let more = format!("{}&response-content-disposition=inline", link.url);
    assert_eq!(cabinet.status(request(&Link { url: more, ..link }, "")).await, 403);
}

/// Not even its successor.
pub async fn a_link_to_a_generation_gives_no_other(cabinet: &dyn Cabinet) {
    let first = cabinet.write(&text("a", Expected::Absent), "one").await;
    let link = cabinet.download(&minute("a").of(first.generation)).await;
    let answer = cabinet.send(request(&link, "")).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"one"[..]));
    cabinet.write(&text("a", Expected::Anything), "two").await;
    assert_eq!(cabinet.status(request(&link, "")).await, 404);
}

async fn part(cabinet: &dyn Cabinet, link: &Link, range: &str) -> http::Response<Bytes> {
    let mut asked: http::Request<Body> = request(link, "");
    asked.headers_mut().insert("range", range.parse().expect("a header"));
    cabinet.send(asked).await.expect("an answer")
}

/// To go on after a break, or to begin in the middle of a film.
pub async fn a_link_gives_a_part_of_a_file(cabinet: &dyn Cabinet) {
    cabinet.write(&text("a", Expected::Absent), "0123456789").await;
    let link = cabinet.link_to("a").await;
    for (range, content, told) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
        ("bytes=-100", "0123456789", "bytes 0-9/10"),
    ] {
        let answer = part(cabinet, &link, range).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.body()[..]),
            (206, content.as_bytes()),
            "{range}"
        );
        assert_eq!(header(&answer, "content-range"), told);
    }
}

/// And the answer says so.
pub async fn a_part_behind_the_end_cannot_be_had(cabinet: &dyn Cabinet) {
    cabinet.write(&text("a", Expected::Absent), "0123456789").await;
    let link = cabinet.link_to("a").await;
    assert_eq!(part(cabinet, &link, "bytes=10-").await.status(), 416);
    assert_eq!(part(cabinet, &link, "bytes=100-200").await.status(), 416);
}
