//! What a function reads and writes by itself.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tokio::task::JoinSet;

use super::{
    Bytes, Cabinet, Expected, FileError, NewFile, broken, large, named, pattern, text, typed, whole,
};

/// And what is known of it is so.
pub async fn what_is_written_is_read_back(cabinet: &dyn Cabinet) {
    let media_type = typed("text/plain; charset=utf-8");
    let file = NewFile { name: named("a/b.txt"), media_type, expected: Expected::Anything };
    let written = cabinet.write(&file, "123456789").await;
    assert_eq!((written.name.as_str(), written.size), ("a/b.txt", 9));
    assert_eq!(written.media_type, "text/plain; charset=utf-8");
    assert_eq!(written.crc32c, 0xE306_9283);
    let info = cabinet.files().info(&file.name).await.expect("it's there");
    assert_eq!(info, written);
    assert_eq!(cabinet.read("a/b.txt").await.as_deref(), Some(&b"123456789"[..]));
}

/// It has no bytes, and all the rest.
pub async fn an_empty_file_is_a_file(cabinet: &dyn Cabinet) {
    let written = cabinet.write(&text("a", Expected::Absent), "").await;
    assert_eq!((written.size, written.crc32c), (0, 0));
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b""[..]));
}

/// Both ways, piece by piece.
pub async fn a_large_file_is_streamed(cabinet: &dyn Cabinet) {
    const SIZE: usize = 9 * 1024 * 1024 + 7;
    let written = cabinet.files().write(&text("a", Expected::Absent), large(SIZE)).await;
    assert_eq!(written.expect("a file that can be written").size, SIZE as u64);
    let mut content = cabinet.files().read(&named("a"), None).await.expect("it's there");
    let (mut place, mut pieces) = (0, 0);
    while let Some(piece) = content.try_next().await.expect("a file is read to its end") {
        let end = place + piece.len();
        assert!(piece == pattern(place..end), "bytes {place} to {end} are others");
        (place, pieces) = (end, pieces + 1);
    }
    assert_eq!(place, SIZE);
    assert!(pieces > 8, "{pieces} pieces: that's no stream");
}

/// Neither known nor read.
pub async fn what_was_never_written_is_missing(cabinet: &dyn Cabinet) {
    cabinet.write(&text("a/b", Expected::Absent), "x").await;
    for name in ["a", "b", "a/b/c", "A/B"] {
        let info = cabinet.files().info(&named(name)).await;
        assert!(matches!(info, Err(FileError::Missing)), "{name}: {info:?}");
        assert_eq!(cabinet.read(name).await, None, "{name}");
    }
}

/// Whoever comes second is told, and what is there stays.
pub async fn a_file_is_created_once(cabinet: &dyn Cabinet) {
    let file = text("a", Expected::Absent);
    let first = cabinet.write(&file, "one").await;
    let second = cabinet.files().write(&file, whole("two")).await;
    assert!(matches!(second, Err(FileError::Exists)), "{second:?}");
    assert_eq!(cabinet.files().info(&file.name).await.expect("it's there"), first);
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"one"[..]));
}

/// At once, too.
pub async fn of_many_who_create_a_file_one_does(cabinet: &dyn Cabinet) {
    let mut racers = JoinSet::new();
    for racer in 0..20 {
        let files = Arc::clone(cabinet.files());
        racers.spawn(async move {
            let content = whole(format!("of {racer}"));
            match files.write(&text("a", Expected::Absent), content).await {
                Ok(_) => Some(racer),
                Err(FileError::Exists) => None,
                Err(error) => panic!("{error}"),
            }
        });
    }
    let winners: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(cabinet.read("a").await, Some(Bytes::from(format!("of {}", winners[0]))));
}

/// It gets another one.
pub async fn a_file_is_replaced_at_its_generation(cabinet: &dyn Cabinet) {
    let first = cabinet.write(&text("a", Expected::Absent), "one").await;
    let second = cabinet.write(&text("a", Expected::At(first.generation)), "two").await;
    assert_ne!(first.generation, second.generation);
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"two"[..]));
    let third = cabinet.write(&text("a", Expected::Anything), "two").await;
    assert_ne!(second.generation, third.generation);
}

/// Nor does any where there's no file.
pub async fn an_old_generation_replaces_nothing(cabinet: &dyn Cabinet) {
    let first = cabinet.write(&text("a", Expected::Absent), "one").await;
    cabinet.write(&text("a", Expected::Anything), "two").await;
    for name in ["a", "b"] {
        let file = text(name, Expected::At(first.generation));
        let written = cabinet.files().write(&file, whole("three")).await;
        assert!(matches!(written, Err(FileError::Changed)), "{written:?}");
    }
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"two"[..]));
    assert_eq!(cabinet.read("b").await, None);
}

/// Whoever asks for it isn't given another.
pub async fn an_old_generation_is_gone(cabinet: &dyn Cabinet) {
    let first = cabinet.write(&text("a", Expected::Absent), "one").await;
    let second = cabinet.write(&text("a", Expected::Anything), "two").await;
    let gone = cabinet.files().read(&named("a"), Some(first.generation)).await;
    assert!(matches!(gone.err(), Some(FileError::Missing)));
    let content = cabinet.files().read(&named("a"), Some(second.generation)).await;
    let pieces: Vec<_> = content.expect("it's there").try_collect().await.expect("it's whole");
    assert_eq!(pieces.concat(), b"two");
}

/// A file is whole, or it isn't there.
pub async fn what_breaks_off_leaves_nothing(cabinet: &dyn Cabinet) {
    let file = text("a", Expected::Anything);
    cabinet.files().write(&file, broken("half a sen")).await.expect_err("it broke off");
    cabinet.is_empty().await;
    assert_eq!(cabinet.read("a").await, None);
}

/// What was there before stays.
pub async fn what_breaks_off_replaces_nothing(cabinet: &dyn Cabinet) {
    let file = text("a", Expected::Anything);
    let written = cabinet.write(&file, "one").await;
    cabinet.files().write(&file, broken("half a sen")).await.expect_err("it broke off");
    assert_eq!(cabinet.files().info(&file.name).await.expect("it's there"), written);
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"one"[..]));
}

/// Then it's nowhere.
pub async fn a_generation_is_deleted(cabinet: &dyn Cabinet) {
    let written = cabinet.write(&text("a", Expected::Absent), "one").await;
    cabinet.files().delete(&written.name, written.generation).await.expect("it's there");
    assert_eq!(cabinet.read("a").await, None);
    cabinet.is_empty().await;
}

/// Whoever deletes must have seen what is there.
pub async fn an_old_generation_deletes_nothing(cabinet: &dyn Cabinet) {
    let first = cabinet.write(&text("a", Expected::Absent), "one").await;
    cabinet.write(&text("a", Expected::Anything), "two").await;
    let deleted = cabinet.files().delete(&first.name, first.generation).await;
    assert!(matches!(deleted, Err(FileError::Changed)), "{deleted:?}");
    assert_eq!(cabinet.read("a").await.as_deref(), Some(&b"two"[..]));
}

/// So it can be tried again when nobody knows whether it worked.
pub async fn what_is_gone_can_be_deleted_again(cabinet: &dyn Cabinet) {
    let written = cabinet.write(&text("a", Expected::Absent), "one").await;
    for _ in 0..2 {
        cabinet.files().delete(&written.name, written.generation).await.expect("it's gone");
    }
}

/// As a generation that never was.
pub async fn what_was_deleted_can_be_created_again(cabinet: &dyn Cabinet) {
    let first = cabinet.write(&text("a", Expected::Absent), "one").await;
    cabinet.files().delete(&first.name, first.generation).await.expect("it's there");
    let second = cabinet.write(&text("a", Expected::Absent), "one").await;
    assert_ne!(first.generation, second.generation);
    let deleted = cabinet.files().delete(&first.name, first.generation).await;
    assert!(matches!(deleted, Err(FileError::Changed)), "{deleted:?}");
}

/// And is found by it everywhere.
pub async fn a_file_may_have_any_name(cabinet: &dyn Cabinet) {
    let longest = format!("{}/{}", "ñ".repeat(256), "a".repeat(511));
    let names = [
        "plain.txt",
        "a b/c  d",
        "100%/%2F%2e.txt",
        "?a=b&c#d",
        "+",
        "~!*'();:@=,[]{}|^`\"<>",
        "日本/語.pdf",
        "e\u{301}",
        "é",
        ".hidden/...",
        "CON",
        "con",
        &longest,
    ];
    for name in names {
        cabinet.write(&text(name, Expected::Absent), "x").await;
    }
    for name in names {
        let info = cabinet.files().info(&named(name)).await.expect("it's there");
        assert_eq!(info.name.as_str(), name);
        assert_eq!(cabinet.read(name).await.as_deref(), Some(&b"x"[..]), "{name}");
        let answer = cabinet.send(super::request(&cabinet.link_to(name).await, "")).await;
        assert_eq!(answer.expect("an answer").status(), 200, "{name}");
    }
    let listed = cabinet.files().list("", 100, None).await.expect("a list");
    let listed: Vec<_> = listed.items.iter().map(|it| it.name.as_str()).collect();
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(listed, sorted);
    for info in cabinet.files().list("", 100, None).await.expect("a list").items {
        cabinet.files().delete(&info.name, info.generation).await.expect("it's there");
    }
    cabinet.is_empty().await;
}

/// Each once, in the order of their names.
pub async fn files_are_listed_by_prefix_and_page(cabinet: &dyn Cabinet) {
    for name in ["b/3", "a/1", "b/1", "b/2", "b", "c/1", "b/2/x", "ba"] {
        cabinet.write(&text(name, Expected::Absent), "x").await;
    }
    let mut names = Vec::new();
    let mut page_token = None;
    loop {
        let page = cabinet.files().list("b/", 2, page_token.as_deref()).await.expect("a page");
        assert!(page.items.len() <= 2, "a page is longer than its limit");
        names.extend(page.items.into_iter().map(|it| it.name.as_str().to_owned()));
        page_token = page.next_page_token;
        if page_token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["b/1", "b/2", "b/2/x", "b/3"]);
    assert_eq!(cabinet.files().list("", 100, None).await.expect("a page").items.len(), 8);
    assert_eq!(cabinet.files().list("x", 100, None).await.expect("a page").items, []);
}
