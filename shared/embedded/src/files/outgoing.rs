//! A content that is read.

use std::{io, ops::Range, sync::Arc};

use futures_util::{StreamExt as _, stream};
use runtime::{
    Bytes, FileInfo, FileName,
    files::{Content, Generation},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};

use super::{Folder, beside};

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// A file that is open: it stays whole though it's replaced or deleted meanwhile.
pub(super) struct Opened {
    pub info: FileInfo,
    file: File,
}

/// Opens a file, or this generation of it, if it's there.
pub(super) async fn open(
    folder: &Arc<Folder>,
    name: &FileName,
    generation: Option<Generation>,
) -> anyhow::Result<Option<Opened>> {
    loop {
        let name = name.clone();
        let Some(info) = beside(folder, move |folder| folder.find(&name)).await? else {
            return Ok(None);
        };
        if generation.is_some_and(|it| it != info.generation) {
            return Ok(None);
        }
        match File::open(folder.content(&info)).await {
            Ok(file) => return Ok(Some(Opened { info, file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // It was replaced since; but a label whose content never comes is a fault.
                let (name, before) = (info.name.clone(), info.generation);
                let now = beside(folder, move |folder| folder.find(&name)).await?;
                if now.is_some_and(|now| now.generation == before) {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl Opened {
    /// All of it; what the disk has changed since is no content.
    pub(super) fn whole(self) -> Content {
        let (size, crc32c) = (self.info.size, self.info.crc32c);
        let state = (pieces(self.file, size), 0, false);
        let check = move |(mut pieces, sum, is_over): (Content, u32, bool)| async move {
            if is_over {
                return None;
            }
            match pieces.next().await {
                Some(Ok(piece)) => {
                    let sum = crc32c::crc32c_append(sum, &piece);
                    Some((Ok(piece), (pieces, sum, false)))
                }
                None if sum == crc32c => None,
                None => Some((Err(io::ErrorKind::InvalidData.into()), (pieces, sum, true))),
                Some(Err(error)) => Some((Err(error), (pieces, sum, true))),
            }
        };
        stream::unfold(state, check).boxed()
    }

    /// Some of it.
    pub(super) async fn part(mut self, range: Range<u64>) -> io::Result<Content> {
        self.file.seek(io::SeekFrom::Start(range.start)).await?;
        Ok(pieces(self.file, range.end - range.start))
    }
}

/// The next so many bytes of a file, piece by piece.
fn pieces(file: File, size: u64) -> Content {
    let next = |(mut file, left): (File, u64)| async move {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        if size == 0 {
            return None;
        }
        let mut piece = vec![0; size];
        match file.read(&mut piece).await {
            Ok(0) => Some((Err(io::ErrorKind::UnexpectedEof.into()), (file, 0))),
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(Bytes::from(piece)), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    };
    stream::unfold((file, size), next).boxed()
}
