//! A content that is written, piece by piece, by the official client.

use std::{io, sync::Mutex, time::Duration};

use anyhow::Context as _;
use contracts::Timestamp;
use futures_util::StreamExt as _;
use google_cloud_gax::{
    backoff_policy::BackoffPolicyArg,
    exponential_backoff::ExponentialBackoffBuilder,
    retry_policy::{RetryPolicyArg, RetryPolicyExt as _},
};
use google_cloud_storage::{
    Error, client::Storage, model::Object, retry_policy::RetryableErrors,
    streaming_source::StreamingSource,
};
use runtime::{
    Bytes, FileError, FileInfo,
    files::{Content, Expected, Generation, NewFile},
};

/// How much of a content is in memory: what hasn't been confirmed can be sent
/// again, and what comes can't be read twice. It's a multiple of 256 KiB.
pub(super) const BUFFER: usize = 2 * 1024 * 1024;

/// For how long something is tried again.
const TRIED_FOR: Duration = Duration::from_secs(30);

/// What is tried again, and for how long.
pub(super) fn patience() -> RetryPolicyArg {
    RetryableErrors.with_time_limit(TRIED_FOR).into()
}

/// How long the pauses between are: random, each one up to twice as long.
pub(super) fn pauses() -> BackoffPolicyArg {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(Duration::from_millis(200))
        .with_maximum_delay(Duration::from_secs(5))
        .clamp()
        .into()
}

/// A content, as the client reads it.
struct Source(Mutex<Content>);

impl StreamingSource for Source {
    type Error = io::Error;

    async fn next(&mut self) -> Option<Result<Bytes, io::Error>> {
        self.0.get_mut().expect("no holder panics").next().await
    }
}

/// Writes a content: an upload that doesn't come to its end is no object.
pub(super) async fn write(
    client: &Storage,
    bucket: String,
    file: &NewFile,
    content: Content,
) -> Result<FileInfo, FileError> {
    let source = Source(Mutex::new(content));
    let request = client
        .write_object(bucket, file.name.as_str(), source)
        .set_content_type(file.media_type.as_str());
    let request = match file.expected {
        Expected::Anything => request,
        Expected::Absent => request.set_if_generation_match(0),
        Expected::At(generation) => request.set_if_generation_match(generation.number()),
    };
    let written = Box::pin(request.send_buffered()).await;
    let object = written.map_err(|error| refusal(error, file.expected))?;
    Ok(info(file, &object)?)
}

/// What is known of a file that was just written.
fn info(file: &NewFile, object: &Object) -> anyhow::Result<FileInfo> {
    let created = object.create_time.as_ref().context("timeCreated")?;
    let millis = created.seconds() * 1000 + i64::from(created.nanos() / 1_000_000);
    let checksums = object.checksums.as_ref().context("checksums")?;
    Ok(FileInfo {
        name: file.name.clone(),
        generation: Generation::of(object.generation).context("generation")?,
        size: object.size.try_into()?,
        media_type: object.content_type.clone(),
        created_at: Timestamp::from_millis(millis),
        crc32c: checksums.crc32c.context("crc32c")?,
        md5: checksums.md5_hash[..].try_into().ok(),
    })
}

/// What an error of the client's means for a file of which this was expected.
pub(super) fn refusal(error: Error, expected: Expected) -> FileError {
    match error.http_status_code() {
        Some(404) => FileError::Missing,
        Some(412) => expected.refusal(),
        Some(status @ (408 | 429 | 500..)) => {
            FileError::Unavailable(format!("Cloud Storage answered {status}"))
        }
        None if is_passing(&error) => FileError::Unavailable(error.to_string()),
        _ => anyhow::Error::from(error).into(),
    }
}

/// Whether it may be otherwise in a while.
fn is_passing(error: &Error) -> bool {
    error.is_io()
        || error.is_timeout()
        || error.is_connect()
        || error.is_transport()
        || error.is_exhausted()
        || error.is_authentication()
}
