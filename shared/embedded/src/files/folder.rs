//! The folder that files lie in: `kept/ab/abcd….label` and, beside it,
//! `kept/ab/abcd….GENERATION`; and `incoming/` for what isn't complete yet.
//!
//! What a name is turned into is a hash of it: no name of a file can lead to
//! another place, whatever the machine makes of upper case or of accents.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::Context as _;
use contracts::Page;
use runtime::{
    FileError, FileInfo, FileName, derived_id,
    files::{Expected, Generation},
};

use crate::keyring::make_folder;

/// The folder that files lie in.
pub(super) struct Folder {
    path: PathBuf,
    /// Labels are changed one at a time, so that nobody changes what another has just checked.
    changing: Mutex<()>,
}

/// How the name of a label ends.
const LABEL: &str = "label";

impl Folder {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, changing: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a content arrives.
    pub(super) fn incoming(&self, id: &str) -> io::Result<PathBuf> {
        let incoming = self.path.join("incoming");
        make_folder(&incoming)?;
        Ok(incoming.join(id))
    }

    /// Where the label of a file lies, whether there is one or not.
    fn label(&self, name: &FileName) -> PathBuf {
        let id = derived_id(&["file", name.as_str()]);
        self.path.join("kept").join(&id[..2]).join(id).with_extension(LABEL)
    }

    /// Where the content of a file lies.
    pub(super) fn content(&self, info: &FileInfo) -> PathBuf {
        self.label(&info.name).with_extension(info.generation.to_string())
    }

    /// What is known of a file, if it's there.
    pub(super) fn find(&self, name: &FileName) -> anyhow::Result<Option<FileInfo>> {
        read_label(&self.label(name))
    }

    /// Gives a content its place, if what is there is what is expected.
    pub(super) fn place(
        &self,
        arrived: &Path,
        info: &FileInfo,
        expected: Expected,
    ) -> anyhow::Result<Result<(), FileError>> {
        let _changing = self.changing.lock().expect("no holder panics");
        let label = self.label(&info.name);
        let before = read_label(&label)?;
        if let Err(error) = expected.check(before.as_ref().map(|it| it.generation)) {
            return Ok(Err(error));
        }
        let beside = label.parent().context("a label lies in a folder")?;
        make_folder(beside)?;
        fs::rename(arrived, self.content(info))?;
        // First the content is where its label says, and then there's a label.
        sync_folder(beside)?;
        write_label(&label, info)?;
        sync_folders(beside, &self.path)?;
        if let Some(before) = before {
            remove(&self.content(&before))?;
        }
        Ok(Ok(()))
    }

    /// Deletes this generation of a file.
    pub(super) fn delete(
        &self,
        name: &FileName,
        generation: Generation,
    ) -> anyhow::Result<Result<(), FileError>> {
        let _changing = self.changing.lock().expect("no holder panics");
        let label = self.label(name);
        let Some(info) = read_label(&label)? else { return Ok(Ok(())) };
        if info.generation != generation {
            return Ok(Err(FileError::Changed));
        }
        remove(&label)?;
        sync_folder(label.parent().context("a label lies in a folder")?)?;
        remove(&self.content(&info))?;
        Ok(Ok(()))
    }

    /// Files by their names. It reads every label: a folder of one machine isn't large.
    pub(super) fn list(
        &self,
        prefix: &str,
        limit: u32,
        after: Option<&str>,
    ) -> anyhow::Result<Page<FileInfo>> {
        let mut found = Vec::new();
        for path in self.kept()? {
            if path.extension() == Some(OsStr::new(LABEL)) {
                found.extend(read_label(&path)?);
            }
        }
        let is_behind = |name: &str| after.is_none_or(|after| name > after);
        found.retain(|it| it.name.as_str().starts_with(prefix) && is_behind(it.name.as_str()));
        found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let limit = limit.clamp(1, 1000) as usize;
        let is_last = found.len() <= limit;
        found.truncate(limit);
        let last = found.last().map(|it| it.name.to_string());
        Ok(Page { items: found, next_page_token: last.filter(|_| !is_last) })
    }

    /// Removes what a crash has left: contents that weren't complete, and those without a label.
    pub(super) fn sweep(&self) -> anyhow::Result<()> {
        for path in entries(&self.path.join("incoming"))? {
            remove(&path)?;
        }
        let (mut contents, mut labeled) = (Vec::new(), BTreeSet::new());
        for path in self.kept()? {
            match path.extension().and_then(OsStr::to_str) {
                Some(LABEL) => labeled.extend(read_label(&path)?.map(|info| self.content(&info))),
                _ => contents.push(path),
            }
        }
        contents.iter().filter(|it| !labeled.contains(*it)).try_for_each(|it| remove(it))?;
        Ok(())
    }

    /// Everything that is kept, labels and contents.
    fn kept(&self) -> io::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for folder in entries(&self.path.join("kept"))? {
            all.extend(entries(&folder)?);
        }
        Ok(all)
    }
}

/// What is in a folder; nothing, if there's no such folder.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn read_label(path: &Path) -> anyhow::Result<Option<FileInfo>> {
    match fs::read(path) {
        Ok(label) => {
            let info = serde_json::from_slice(&label);
            Ok(Some(info.with_context(|| path.display().to_string())?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Writes a label: whole, in the place of the one before.
fn write_label(path: &Path, info: &FileInfo) -> anyhow::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(info)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Syncs a folder and those around it, which may be new, up to this one.
fn sync_folders(folder: &Path, up_to: &Path) -> io::Result<()> {
    folder.ancestors().take_while(|it| it.starts_with(up_to)).try_for_each(sync_folder)?;
    up_to.parent().map_or(Ok(()), sync_folder)
}
