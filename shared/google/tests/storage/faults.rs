//! What goes wrong on the way to Cloud Storage.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use runtime::{
    Bytes, FileError, FileName,
    files::{Content, Expected, MediaType, NewFile},
};

use crate::{
    Cloud,
    fake::Fault::{BreakOff, LoseAnswer, Pass, Status},
};

fn named(name: &str) -> FileName {
    FileName::parse(name).unwrap()
}

fn new(name: &str) -> NewFile {
    let media_type = MediaType::parse("text/plain").unwrap();
    NewFile { name: named(name), media_type, expected: Expected::Absent }
}

fn whole(content: &'static [u8]) -> Content {
    stream::once(async move { Ok(Bytes::from_static(content)) }).boxed()
}

async fn read(cloud: &Cloud, name: &str) -> Vec<u8> {
    let content = cloud.files.read(&named(name), None).await.unwrap();
    content.try_collect::<Vec<_>>().await.unwrap().concat()
}

#[tokio::test]
async fn what_fails_in_passing_is_asked_again() {
    let cloud = Cloud::start().await;
    cloud.fake.put("a", "one");
    cloud.fake.fail([Status(503), Status(429), Status(500)]);
    assert_eq!(cloud.files.info(&named("a")).await.unwrap().size, 3);
    cloud.fake.fail([Status(503)]);
    assert_eq!(cloud.files.list("", 10, None).await.unwrap().items.len(), 1);
    assert!(cloud.fake.has_failed());
}

#[tokio::test]
async fn what_fails_for_long_is_unavailable_and_what_is_forbidden_is_a_fault() {
    let cloud = Cloud::start().await;
    cloud.fake.fail([Status(503); 4]);
    let info = cloud.files.info(&named("a")).await;
    assert!(matches!(info, Err(FileError::Unavailable(_))), "{info:?}");
    assert!(cloud.fake.has_failed());
    cloud.fake.fail([Status(403)]);
    let info = cloud.files.info(&named("a")).await;
    assert!(matches!(info, Err(FileError::Internal(_))), "{info:?}");
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_made_once() {
    let cloud = Cloud::start().await;
    cloud.fake.put("a", "one");
    let info = cloud.files.info(&named("a")).await.unwrap();
    cloud.fake.fail([LoseAnswer]);
    cloud.files.delete(&info.name, info.generation).await.unwrap();
    assert!(matches!(cloud.files.info(&info.name).await, Err(FileError::Missing)));
}

#[tokio::test]
async fn a_write_goes_on_where_it_was_when_something_fails() {
    const SIZE: usize = 5 * 1024 * 1024 + 3;
    static CONTENT: [u8; SIZE] = [7; SIZE];
    let cloud = Cloud::start().await;
    // It begins at the second try. Then each part arrives and its answer is lost,
    // so that it must be asked how much has arrived; that fails once, too.
    cloud.fake.fail([
        Status(503),
        Pass,
        LoseAnswer,
        Status(503),
        Pass,
        LoseAnswer,
        Pass,
        LoseAnswer,
    ]);
    let written = cloud.files.write(&new("a"), whole(&CONTENT)).await.unwrap();
    assert!(cloud.fake.has_failed());
    assert_eq!(written.size, SIZE as u64);
    assert!(read(&cloud, "a").await == CONTENT);
}

#[tokio::test]
async fn a_write_whose_last_answer_is_lost_is_no_conflict_with_itself() {
    let cloud = Cloud::start().await;
    // The upload is begun, and then all of it arrives.
    cloud.fake.fail([Pass, LoseAnswer]);
    let written = cloud.files.write(&new("a"), whole(b"one")).await.unwrap();
    assert!(cloud.fake.has_failed());
    assert_eq!(cloud.files.info(&named("a")).await.unwrap(), written);
}

#[tokio::test]
async fn a_read_goes_on_where_it_broke_off() {
    let cloud = Cloud::start().await;
    cloud.fake.put("a", "0123456789");
    cloud.fake.fail([BreakOff(4), BreakOff(3)]);
    assert_eq!(read(&cloud, "a").await, b"0123456789");
    assert!(cloud.fake.has_failed());
}

#[tokio::test]
async fn what_was_put_there_past_us_with_another_name_hides_nothing() {
    let cloud = Cloud::start().await;
    cloud.fake.put("a/", "");
    cloud.fake.put("a/b", "one");
    let listed = cloud.files.list("", 10, None).await.unwrap();
    assert_eq!(listed.items.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a/b"]);
}
