//! One process for one folder.

use std::{
    fs::{self, File, TryLockError},
    io::{Read as _, Write as _},
    path::Path,
    process,
};

use anyhow::{Context as _, anyhow};

/// Keeps other processes out of a folder while it's held.
///
/// The operating system holds the lock on the file, and lets go of it when the
/// process ends, however it ends; the file itself stays. What's in it only says
/// whom to look for.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "it's there to be held")] File);

impl Lock {
    /// Takes a folder, which is made if it isn't there.
    pub fn take(folder: &Path) -> anyhow::Result<Self> {
        let told = || folder.display().to_string();
        fs::create_dir_all(folder).with_context(told)?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("lock"))
            .with_context(told)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
            Err(TryLockError::Error(error)) => return Err(error).with_context(told),
        }
        file.set_len(0).with_context(told)?;
        write!(file, "{}", process::id()).with_context(told)?;
        Ok(Self(file))
    }
}

/// Says who has the folder.
fn held(folder: &Path, file: &mut File) -> anyhow::Error {
    let folder = folder.display();
    let mut holder = String::new();
    // It's empty while the holder is about to write it.
    let known = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
    if holder == process::id().to_string() {
        anyhow!("{folder} is in use by this process already")
    } else if known {
        anyhow!("{folder} is in use by another process (pid {holder})")
    } else {
        anyhow!("{folder} is in use by another process")
    }
}
