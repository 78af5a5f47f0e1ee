//! Links to send a file to.

use axum::body::Body;
use http::header::CONTENT_LENGTH;

use super::{
    Cabinet, Expected, Upload, broken, large, leading, named, request, ten_bytes, text, typed,
};
use crate::files::header::{GENERATION, SIZES};

/// And the function finds it as it was sent.
pub async fn a_link_takes_a_file(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a/ñ b.txt")).await;
    assert_eq!(link.method, "PUT");
    assert_eq!(cabinet.status(request(&link, "123456789")).await, 200);
    let info = cabinet.files().info(&named("a/ñ b.txt")).await.expect("it's there");
    assert_eq!((info.size, info.crc32c), (9, 0xE306_9283));
    assert_eq!(info.media_type, "text/plain");
    assert_eq!(cabinet.read("a/ñ b.txt").await.as_deref(), Some(&b"123456789"[..]));
}

/// Up to the size that was signed.
pub async fn a_link_takes_a_file_in_pieces_of_unknown_number(cabinet: &dyn Cabinet) {
    const SIZE: usize = 3 * 1024 * 1024 + 1;
    let sizes = SIZE as u64..=SIZE as u64;
    let upload = Upload::new(named("a"), typed("video/mp4"), sizes, 60).expect("a link");
    let link = cabinet.upload(&upload).await;
    let sent = request(&link, Body::from_stream(large(SIZE)));
    assert!(!sent.headers().contains_key(CONTENT_LENGTH));
    assert_eq!(cabinet.status(sent).await, 200);
    let info = cabinet.files().info(&named("a")).await.expect("it's there");
    assert_eq!(info.size, SIZE as u64);
}

/// And not after.
pub async fn a_link_takes_a_file_until_it_expires(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a")).await;
    cabinet.pass(50).await;
    assert_eq!(cabinet.status(request(&link, "one")).await, 200);
    cabinet.pass(15).await;
    let status = cabinet.status(request(&link, "two")).await;
    assert!(matches!(status, 400 | 403), "{status}");
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"one"[..]));
}

/// The type is part of the signature.
pub async fn a_file_of_another_type_is_refused(cabinet: &dyn Cabinet) {
    let mut link = cabinet.upload(&ten_bytes("a")).await;
    link.headers.insert("content-type".to_owned(), "text/html".to_owned());
    cabinet.refuses(request(&link, "x")).await;
}

/// Each of them.
pub async fn a_header_that_was_signed_must_be_sent(cabinet: &dyn Cabinet) {
    let upload = ten_bytes("a").if_there(Expected::Absent);
    let link = cabinet.upload(&upload).await;
    assert_eq!(link.headers.len(), 3);
    for name in link.headers.keys() {
        let mut without = link.clone();
        without.headers.remove(name);
        let status = cabinet.status(request(&without, "x")).await;
        assert!(matches!(status, 400 | 403), "without {name}: {status}");
        cabinet.is_empty().await;
    }
}

/// As is what a client says of what must be there.
pub async fn other_sizes_than_were_signed_are_refused(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a").if_there(Expected::Absent)).await;
    for (name, value) in [(SIZES, "0,100"), (SIZES, "0,11"), (GENERATION, "1")] {
        let mut other = link.clone();
        other.headers.insert(name.to_owned(), value.to_owned());
        cabinet.refuses(request(&other, "x")).await;
    }
}

/// However little too large it is.
pub async fn a_file_that_is_too_large_leaves_nothing(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a")).await;
    for content in ["12345678901", "123456789012345678901234567890"] {
        let status = cabinet.status(request(&link, content)).await;
        assert!(matches!(status, 400 | 413), "{status}");
        cabinet.is_empty().await;
    }
    assert_eq!(cabinet.status(request(&link, "1234567890")).await, 200);
}

/// As soon as it's clear.
pub async fn a_file_that_is_too_large_is_refused_though_nobody_said_its_size(
    cabinet: &dyn Cabinet,
) {
    let link = cabinet.upload(&ten_bytes("a")).await;
    let sent = request(&link, Body::from_stream(large(200_000)));
    // Who doesn't stop sending may find the connection cut.
    if let Some(answer) = cabinet.send(sent).await {
        assert!(matches!(answer.status().as_u16(), 400 | 413), "{}", answer.status());
    }
    cabinet.is_empty().await;
}

/// Of an exact size, it's that one.
pub async fn a_file_that_is_too_small_leaves_nothing(cabinet: &dyn Cabinet) {
    let upload = Upload::new(named("a"), typed("text/plain"), 5..=5, 60).expect("a link");
    let link = cabinet.upload(&upload).await;
    for content in ["", "1234"] {
        cabinet.refuses(request(&link, content)).await;
    }
    assert_eq!(cabinet.status(request(&link, "12345")).await, 200);
}

/// A file is whole, or it isn't there.
pub async fn an_upload_that_breaks_off_leaves_nothing(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a")).await;
    let sent = request(&link, Body::from_stream(broken("half")));
    if let Some(answer) = cabinet.send(sent).await {
        assert!(!answer.status().is_success(), "{}", answer.status());
    }
    cabinet.is_empty().await;
}

/// Even by its own holder, a second time.
pub async fn a_link_that_creates_replaces_nothing(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a").if_there(Expected::Absent)).await;
    assert_eq!(cabinet.status(request(&link, "one")).await, 200);
    assert_eq!(cabinet.status(request(&link, "two")).await, 412);
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"one"[..]));
    // One that doesn't care does.
    let link = cabinet.upload(&ten_bytes("a")).await;
    assert_eq!(cabinet.status(request(&link, "two")).await, 200);
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"two"[..]));
}

/// So it's good for one change.
pub async fn a_link_that_replaces_wants_its_generation(cabinet: &dyn Cabinet) {
    let first = cabinet.write(&text("a", Expected::Absent), "one").await;
    let upload = ten_bytes("a").if_there(Expected::At(first.generation));
    let link = cabinet.upload(&upload).await;
    assert_eq!(cabinet.status(request(&link, "two")).await, 200);
    assert_eq!(cabinet.status(request(&link, "three")).await, 412);
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"two"[..]));
}

/// Who may send may not fetch, and the other way round.
pub async fn a_link_is_for_its_method_only(cabinet: &dyn Cabinet) {
    let mut sending = cabinet.upload(&ten_bytes("b")).await;
    let mut fetching = cabinet.link_to("b").await;
    "PUT".clone_into(&mut fetching.method);
    cabinet.refuses(request(&fetching, "x")).await;
    fetching.headers.clone_from(&sending.headers);
    cabinet.refuses(request(&fetching, "x")).await;
    cabinet.write(&text("b", Expected::Absent), "one").await;
    for method in ["GET", "HEAD", "DELETE", "POST"] {
        method.clone_into(&mut sending.method);
        let status = cabinet.status(request(&sending, "")).await;
        assert!(matches!(status, 400 | 403 | 405), "{method}: {status}");
    }
    assert_eq!(cabinet.read("b").await.as_deref(), Some(&b"one"[..]));
}

/// However the other one is written.
pub async fn a_link_is_for_its_name_only(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("homework/ada")).await;
    for other in ["homework/bob", "homework/ada2", "homework/ad", "homework/Ada", "homework//ada"] {
        let other = leading(&link, "homework/ada", other);
        let status = cabinet.status(request(&other, "x")).await;
        assert!(matches!(status, 400 | 403), "{other:?}: {status}");
        cabinet.is_empty().await;
    }
}

/// By its holder.
pub async fn a_link_cannot_be_prolonged(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a")).await;
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count() > 0;
    // Whatever in the query tells a time or a span of time.
    let (_, query) = link.url.split_once('?').expect("a link has a query");
    let mut tried = 0;
    for (name, value) in query.split('&').filter_map(|it| it.split_once('=')) {
        let is_time = ["expires", "date"].iter().any(|it| name.to_ascii_lowercase().ends_with(it));
        if is_time && digits(value) {
            let later = value.replacen(char::is_numeric, "9", 1);
            let (from, to) = (format!("{name}={value}"), format!("{name}={later}"));
            cabinet.refuses(request(&leading(&link, &from, &to), "x")).await;
            tried += 1;
        }
    }
    assert!(tried > 0, "a link says when it expires");
}

/// Not another link's, and not a little changed.
pub async fn a_link_needs_its_own_signature(cabinet: &dyn Cabinet) {
    let link = cabinet.upload(&ten_bytes("a")).await;
    let signature = |url: &str| {
        let at = url.to_ascii_lowercase().rfind("signature=").expect("a link has a signature");
        url[at + "signature=".len()..].to_owned()
    };
    let own = signature(&link.url);
    let another = signature(&cabinet.upload(&ten_bytes("b")).await.url);
    let first = if own.starts_with('0') { "1" } else { "0" };
    let changed = format!("{first}{}", &own[1..]);
    for wrong in [&another, &changed, &own[1..], ""] {
        cabinet.refuses(request(&leading(&link, &own, wrong), "x")).await;
    }
    let (plain, _) = link.url.split_once('?').expect("a link has a query");
    let status = cabinet.status(request(&leading(&link, &link.url, plain), "x")).await;
    assert!(matches!(status, 401 | 403), "{status}");
    cabinet.is_empty().await;
}
