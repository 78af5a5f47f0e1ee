//! What anything that keeps files must do, and the links that it signs.
//!
//! A rule is given an empty [`Cabinet`]. It speaks to the adapter as a function
//! does, and sends requests to what its links lead to, as a client does.

mod contents;
mod downloads;
mod uploads;

use std::{io, sync::Arc};

use async_trait::async_trait;
use axum::body::Body;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

pub use self::{contents::*, downloads::*, uploads::*};
use crate::{
    Bytes,
    files::{
        Content, Download, Expected, FileError, FileInfo, FileName, Files, Link, MediaType,
        NewFile, Upload,
    },
};

/// Names every rule of files to a macro, which makes a test of each.
#[macro_export]
macro_rules! files_rules {
    ($run:ident) => {
        $run! {
            // What a function reads and writes by itself.
            what_is_written_is_read_back,
            an_empty_file_is_a_file,
            a_large_file_is_streamed,
            what_was_never_written_is_missing,
            a_file_is_created_once,
            of_many_who_create_a_file_one_does,
            a_file_is_replaced_at_its_generation,
            an_old_generation_replaces_nothing,
            an_old_generation_is_gone,
            what_breaks_off_leaves_nothing,
            what_breaks_off_replaces_nothing,
            a_generation_is_deleted,
            an_old_generation_deletes_nothing,
            what_is_gone_can_be_deleted_again,
            what_was_deleted_can_be_created_again,
            a_file_may_have_any_name,
            files_are_listed_by_prefix_and_page,
            // Links to send a file to.
            a_link_takes_a_file,
            a_link_takes_a_file_in_pieces_of_unknown_number,
            a_link_takes_a_file_until_it_expires,
            a_file_of_another_type_is_refused,
            a_header_that_was_signed_must_be_sent,
            other_sizes_than_were_signed_are_refused,
            a_file_that_is_too_large_leaves_nothing,
            a_file_that_is_too_large_is_refused_though_nobody_said_its_size,
            a_file_that_is_too_small_leaves_nothing,
            an_upload_that_breaks_off_leaves_nothing,
            a_link_that_creates_replaces_nothing,
            a_link_that_replaces_wants_its_generation,
            a_link_is_for_its_method_only,
            a_link_is_for_its_name_only,
            a_link_cannot_be_prolonged,
            a_link_needs_its_own_signature,
            // Links to fetch a file from.
            a_link_gives_a_file,
            a_link_to_nothing_finds_nothing,
            a_link_gives_a_file_until_it_expires,
            a_link_says_how_a_file_is_shown,
            how_a_file_is_shown_cannot_be_changed,
            a_link_to_a_generation_gives_no_other,
            a_link_gives_a_part_of_a_file,
            a_part_behind_the_end_cannot_be_had,
        }
    };
}

/// What keeps files, and what its links lead to.
#[async_trait]
pub trait Cabinet: Send + Sync {
    /// The adapter.
    fn files(&self) -> &Arc<dyn Files>;
    /// Sends a request to where a link leads. Nothing: the connection broke.
    async fn send(&self, request: http::Request<Body>) -> Option<http::Response<Bytes>>;
    /// Lets so many seconds pass.
    async fn pass(&self, seconds: u32);
}

/// A name that a file can have.
fn named(name: &str) -> FileName {
    FileName::parse(name).expect("a name that a file can have")
}

/// A media type.
fn typed(text: &str) -> MediaType {
    MediaType::parse(text).expect("a media type")
}

/// A content in one piece.
fn whole(content: impl Into<Bytes>) -> Content {
    let content = content.into();
    stream::once(async move { Ok(content) }).boxed()
}

/// A content that breaks off after one piece.
fn broken(content: &'static str) -> Content {
    let piece = Ok(Bytes::from_static(content.as_bytes()));
    stream::iter([piece, Err(io::Error::other("the sender is gone"))]).boxed()
}

/// A content of so many bytes, made while it's read.
fn large(size: usize) -> Content {
    const PIECE: usize = 64 * 1024;
    let piece = move |from: usize| {
        let to = size.min(from + PIECE);
        (from < to).then(|| Ok(pattern(from..to)))
    };
    stream::iter((0..size).step_by(PIECE).filter_map(piece)).boxed()
}

/// Some of the bytes of a large content; they differ from place to place.
fn pattern(places: std::ops::Range<usize>) -> Bytes {
    let byte = |place: usize| {
        let [low, middle, high, ..] = place.to_le_bytes();
        low ^ middle.rotate_left(3) ^ high
    };
    places.map(byte).collect()
}

/// A text file to be written.
fn text(name: &str, expected: Expected) -> NewFile {
    NewFile { name: named(name), media_type: typed("text/plain"), expected }
}

/// A link to send a text to, of at most ten bytes, for a minute.
fn ten_bytes(name: &str) -> Upload {
    Upload::new(named(name), typed("text/plain"), 0..=10, 60).expect("a link for a minute")
}

/// The request that a link is for.
fn request(link: &Link, body: impl Into<Body>) -> http::Request<Body> {
    let mut request = http::Request::builder().method(&*link.method).uri(&link.url);
    for (name, value) in &link.headers {
        request = request.header(name, value);
    }
    request.body(body.into()).expect("a link is a request")
}

/// The same link to another place.
fn leading(link: &Link, from: &str, to: &str) -> Link {
    assert!(link.url.contains(from), "{from} isn't in the link");
    Link { url: link.url.replacen(from, to, 1), ..link.clone() }
}

impl dyn Cabinet + '_ {
    async fn write(&self, file: &NewFile, content: &'static str) -> FileInfo {
        self.files().write(file, whole(content)).await.expect("a file that can be written")
    }

    /// What a file holds, if it's there.
    async fn read(&self, name: &str) -> Option<Bytes> {
        let content = match self.files().read(&named(name), None).await {
            Err(FileError::Missing) => return None,
            content => content.expect("a file is read"),
        };
        let pieces: Vec<Bytes> = content.try_collect().await.expect("a file is read to its end");
        Some(pieces.concat().into())
    }

    async fn upload(&self, upload: &Upload) -> Link {
        self.files().upload_link(upload).await.expect("a link is signed")
    }

    async fn download(&self, download: &Download) -> Link {
        self.files().download_link(download).await.expect("a link is signed")
    }

    /// A link to a file for a minute.
    async fn link_to(&self, name: &str) -> Link {
        self.download(&Download::new(named(name), 60).expect("a link for a minute")).await
    }

    /// The status of what a link answers.
    async fn status(&self, request: http::Request<Body>) -> u16 {
        self.send(request).await.expect("an answer").status().as_u16()
    }

    /// That an upload isn't admitted, and that nothing is there.
    async fn refuses(&self, request: http::Request<Body>) {
        let status = self.status(request).await;
        assert!(matches!(status, 400 | 403), "{status}");
        self.is_empty().await;
    }

    /// That no file is there, whole or in part.
    async fn is_empty(&self) {
        let there = self.files().list("", 10, None).await.expect("a list");
        assert_eq!(there.items, []);
    }
}

#[cfg(test)]
mod tests {
    /// A rule that isn't listed is run by nobody.
    #[test]
    fn every_rule_is_listed() {
        macro_rules! names {
            ($($rule:ident),+ $(,)?) => { [$(stringify!($rule)),+] };
        }
        let listed = files_rules!(names);
        let sources = [
            include_str!("files/contents.rs"),
            include_str!("files/uploads.rs"),
            include_str!("files/downloads.rs"),
        ];
        let written: Vec<_> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        assert_eq!(written, listed);
    }
}
