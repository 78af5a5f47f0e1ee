//! The files of one domain: those in the folder of its name. No domain sees
//! another's, as no domain sees another's documents.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::Page;

use super::{
    Content, Download, FileError, FileInfo, FileName, Files, Generation, Link, NewFile, Upload,
};

/// The files of one domain, which calls them as if there were no others.
pub struct DomainFiles {
    all: Arc<dyn Files>,
    /// The domain's name and a slash.
    folder: String,
}

impl DomainFiles {
    /// The files of a domain, among all.
    pub fn new(all: Arc<dyn Files>, domain: &str) -> Self {
        Self { all, folder: format!("{domain}/") }
    }

    fn outside(&self, name: &FileName) -> Result<FileName, FileError> {
        FileName::parse(format!("{}{name}", self.folder))
    }

    fn inside(&self, info: FileInfo) -> Result<FileInfo, FileError> {
        let name = info.name.as_str().strip_prefix(&self.folder);
        let name = name.ok_or_else(|| anyhow::anyhow!("a file of another domain was given"))?;
        Ok(FileInfo { name: FileName::parse(name)?, ..info })
    }
}

#[async_trait]
impl Files for DomainFiles {
    async fn upload_link(&self, upload: &Upload) -> Result<Link, FileError> {
        self.all.upload_link(&upload.clone().renamed(self.outside(upload.name())?)).await
    }

    async fn download_link(&self, download: &Download) -> Result<Link, FileError> {
        self.all.download_link(&download.clone().renamed(self.outside(download.name())?)).await
    }

    async fn info(&self, name: &FileName) -> Result<FileInfo, FileError> {
        self.inside(self.all.info(&self.outside(name)?).await?)
    }

    async fn read(
        &self,
        name: &FileName,
        generation: Option<Generation>,
    ) -> Result<Content, FileError> {
        self.all.read(&self.outside(name)?, generation).await
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<FileInfo, FileError> {
        let file = NewFile { name: self.outside(&file.name)?, ..file.clone() };
        self.inside(self.all.write(&file, content).await?)
    }

    async fn delete(&self, name: &FileName, generation: Generation) -> Result<(), FileError> {
        self.all.delete(&self.outside(name)?, generation).await
    }

    async fn list(
        &self,
        prefix: &str,
        limit: u32,
        page_token: Option<&str>,
    ) -> Result<Page<FileInfo>, FileError> {
        let prefix = format!("{}{prefix}", self.folder);
        let page = self.all.list(&prefix, limit, page_token).await?;
        let items = page.items.into_iter().map(|info| self.inside(info)).collect::<Result<_, _>>();
        Ok(Page { items: items?, next_page_token: page.next_page_token })
    }
}

/// No files: the domain hasn't said that it needs any, or has been given no place for them.
pub struct NoFiles(pub &'static str);

impl NoFiles {
    fn none<T>(&self) -> Result<T, FileError> {
        Err(FileError::Unavailable(self.0.to_owned()))
    }
}

#[async_trait]
impl Files for NoFiles {
    async fn upload_link(&self, _: &Upload) -> Result<Link, FileError> {
        self.none()
    }

    async fn download_link(&self, _: &Download) -> Result<Link, FileError> {
        self.none()
    }

    async fn info(&self, _: &FileName) -> Result<FileInfo, FileError> {
        self.none()
    }

    async fn read(&self, _: &FileName, _: Option<Generation>) -> Result<Content, FileError> {
        self.none()
    }

    async fn write(&self, _: &NewFile, _: Content) -> Result<FileInfo, FileError> {
        self.none()
    }

    async fn delete(&self, _: &FileName, _: Generation) -> Result<(), FileError> {
        self.none()
    }

    async fn list(&self, _: &str, _: u32, _: Option<&str>) -> Result<Page<FileInfo>, FileError> {
        self.none()
    }
}
