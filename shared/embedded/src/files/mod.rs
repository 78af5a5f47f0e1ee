//! Files in a folder, with links to this server.
//!
//! The bytes of a file and its label, which says all that is known of it, lie
//! beside each other. A content arrives under a name of its own, is synced and
//! gets its place; then the label is written and renamed, which is the moment
//! that counts: after a crash a file is whole, or as it was before.

mod folder;
mod incoming;
mod outgoing;
mod range;
mod serving;
mod signature;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use contracts::Page;
use futures_util::StreamExt as _;
use runtime::{
    Clock, FileError, FileInfo, FileName, Files, Random, Secret, SystemRandom,
    files::{Content, Download, Generation, Link, NewFile, Upload},
};
use tokio::sync::OnceCell;

use self::{folder::Folder, incoming::Incoming, signature::Signed};

/// Where the links lead to, on this server.
const PATH: &str = "/local/files/";

/// Files in a folder.
pub struct LocalFiles {
    folder: Arc<Folder>,
    /// Whether the folder goes with the process.
    is_temporary: bool,
    swept: OnceCell<()>,
    public_url: String,
    secret: Arc<Secret>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl LocalFiles {
    /// Files in a folder that no other process writes to; nothing is made before
    /// it's needed. Links lead to this server's public URL.
    pub fn open(
        folder: &Path,
        public_url: &str,
        secret: Arc<Secret>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let folder = Arc::new(Folder::at(folder.to_owned()));
        let (swept, public_url) = (OnceCell::new(), public_url.to_owned());
        Self { folder, is_temporary: false, swept, public_url, secret, clock, random }
    }

    /// The same, in a folder that is gone with the process.
    pub fn temporary(
        public_url: &str,
        secret: Arc<Secret>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        // Whatever the randomness is that it's given: two that begin alike aren't one.
        let name: &dyn Random = &SystemRandom;
        let folder = std::env::temp_dir().join(format!("aula-files-{}", name.id()));
        let mut files = Self::open(&folder, public_url, secret, clock, random);
        files.is_temporary = true;
        files
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder, without what a crash has left in it.
    async fn folder(&self) -> anyhow::Result<&Arc<Folder>> {
        let folder = &self.folder;
        self.swept.get_or_try_init(|| beside(folder, Folder::sweep)).await?;
        Ok(folder)
    }

    /// A link to a file, signed.
    fn link(&self, method: &str, name: &FileName, signed: Signed<'_>) -> Link {
        let query = signed.query(&self.secret, method, name);
        let url = format!("{}{PATH}{}?{query}", self.public_url, signature::path_of(name));
        let (method, headers) = (method.to_owned(), signed.headers.clone());
        Link { method, url, headers, expires_at: signed.expires_at }
    }

    /// Takes a content that isn't longer than this, and gives it its place.
    async fn take(
        &self,
        file: &NewFile,
        sizes: std::ops::RangeInclusive<u64>,
        mut content: Content,
    ) -> Result<FileInfo, Untaken> {
        let folder = self.folder().await?;
        let mut incoming = Incoming::open(folder, &self.random.id()).await?;
        while let Some(piece) = content.next().await {
            incoming.add(&piece.map_err(Untaken::BrokenOff)?).await?;
            if incoming.size() > *sizes.end() {
                return Err(Untaken::TooLarge);
            }
        }
        if incoming.size() < *sizes.start() {
            return Err(Untaken::TooSmall);
        }
        let now = self.clock.now();
        Ok(incoming.place(file.clone(), self.generation(), now).await?)
    }

    /// A generation that never was before: 62 random bits.
    fn generation(&self) -> Generation {
        loop {
            let mut bytes = [0; 8];
            self.random.fill(&mut bytes);
            if let Some(generation) = Generation::of(i64::from_le_bytes(bytes) >> 2) {
                return generation;
            }
        }
    }
}

impl Drop for LocalFiles {
    fn drop(&mut self) {
        if self.is_temporary {
            let _gone = std::fs::remove_dir_all(self.folder.path());
        }
    }
}

/// Why a content wasn't taken.
enum Untaken {
    TooLarge,
    TooSmall,
    BrokenOff(std::io::Error),
    Refused(FileError),
}

impl<E: Into<FileError>> From<E> for Untaken {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Runs what waits for the disk where waiting holds nobody up.
async fn beside<T: Send + 'static>(
    folder: &Arc<Folder>,
    run: impl FnOnce(&Folder) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let folder = Arc::clone(folder);
    tokio::task::spawn_blocking(move || run(&folder)).await?
}

#[async_trait]
impl Files for LocalFiles {
    async fn upload_link(&self, upload: &Upload) -> Result<Link, FileError> {
        let expires_at = self.clock.now().plus_seconds(upload.seconds().into());
        let signed = Signed { expires_at, headers: &upload.headers(), parameters: &<_>::default() };
        Ok(self.link("PUT", upload.name(), signed))
    }

    async fn download_link(&self, download: &Download) -> Result<Link, FileError> {
        let expires_at = self.clock.now().plus_seconds(download.seconds().into());
        let parameters = &download.parameters();
        let signed = Signed { expires_at, headers: &<_>::default(), parameters };
        Ok(self.link("GET", download.name(), signed))
    }

    async fn info(&self, name: &FileName) -> Result<FileInfo, FileError> {
        let name = name.clone();
        let found = beside(self.folder().await?, move |folder| folder.find(&name)).await?;
        found.ok_or(FileError::Missing)
    }

    async fn read(
        &self,
        name: &FileName,
        generation: Option<Generation>,
    ) -> Result<Content, FileError> {
        let opened = outgoing::open(self.folder().await?, name, generation).await?;
        opened.map(outgoing::Opened::whole).ok_or(FileError::Missing)
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<FileInfo, FileError> {
        self.take(file, 0..=u64::MAX, content).await.map_err(|untaken| match untaken {
            Untaken::Refused(error) => error,
            Untaken::BrokenOff(error) => anyhow::Error::from(error).context("the content").into(),
            Untaken::TooLarge | Untaken::TooSmall => unreachable!("any size is taken"),
        })
    }

    async fn delete(&self, name: &FileName, generation: Generation) -> Result<(), FileError> {
        let name = name.clone();
        beside(self.folder().await?, move |folder| folder.delete(&name, generation)).await?
    }

    async fn list(
        &self,
        prefix: &str,
        limit: u32,
        page_token: Option<&str>,
    ) -> Result<Page<FileInfo>, FileError> {
        let (prefix, after) = (prefix.to_owned(), page_token.map(str::to_owned));
        let list = move |folder: &Folder| folder.list(&prefix, limit, after.as_deref());
        Ok(beside(self.folder().await?, list).await?)
    }
}
