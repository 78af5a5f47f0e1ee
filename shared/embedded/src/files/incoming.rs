//! A content that is arriving.

use std::{path::PathBuf, sync::Arc};

use contracts::Timestamp;
use runtime::{
    FileError, FileInfo,
    files::{Generation, NewFile},
};
use tokio::{fs::File, io::AsyncWriteExt as _};

use super::{Folder, beside};

/// A content that is arriving. Unless it gets its place, it's gone when this is
/// dropped: whoever hangs up leaves nothing.
pub(super) struct Incoming {
    folder: Arc<Folder>,
    file: File,
    arriving: Arriving,
    size: u64,
    crc32c: u32,
}

/// The name that a content has until it gets its place.
struct Arriving(PathBuf);

impl Drop for Arriving {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

impl Incoming {
    pub(super) async fn open(folder: &Arc<Folder>, id: &str) -> anyhow::Result<Self> {
        let id = id.to_owned();
        let path = beside(folder, move |folder| Ok(folder.incoming(&id)?)).await?;
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(&path).await?;
        let (folder, arriving) = (Arc::clone(folder), Arriving(path));
        Ok(Self { folder, file, arriving, size: 0, crc32c: 0 })
    }

    /// Adds the next bytes.
    pub(super) async fn add(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.size += bytes.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        Ok(self.file.write_all(bytes).await?)
    }

    /// How many bytes have arrived.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// It's complete: makes it durable, and the file what it says.
    pub(super) async fn place(
        mut self,
        file: NewFile,
        generation: Generation,
        now: Timestamp,
    ) -> Result<FileInfo, FileError> {
        self.file.flush().await.map_err(anyhow::Error::from)?;
        self.file.sync_all().await.map_err(anyhow::Error::from)?;
        let Self { folder, arriving, size, crc32c, .. } = self;
        let media_type = file.media_type.as_str().to_owned();
        let (name, created_at) = (file.name, now);
        let info = FileInfo { name, generation, size, media_type, created_at, crc32c, md5: None };
        // The guard goes along: though the caller goes away, this comes to its end.
        let place = move |folder: &Folder| {
            let placed = folder.place(&arriving.0, &info, file.expected)?;
            Ok(placed.map(|()| info))
        };
        beside(&folder, place).await?
    }
}
