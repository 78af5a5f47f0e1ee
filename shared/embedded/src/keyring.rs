//! The keys that sign access tokens, and the platform's secret: made at the
//! first start, kept in files that only their owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use contracts::Timestamp;
use runtime::{Keyring, Random, RsaKey, Secret, token::PublicKey};
use tokio::sync::Mutex;

/// RSA keys in files, the first one made when it's needed: that takes a tenth of
/// a second, and the platform starts in less.
///
/// A key signs for 30 days. The next one stands beside it for an hour before it
/// signs, so that whoever checks tokens has seen it, and the last one stays until
/// no token that it signed is good any more.
pub struct FileKeyring {
    place: Place,
    keys: RwLock<Vec<Arc<Kept>>>,
    /// Held by whoever makes or drops keys.
    changing: Mutex<()>,
    /// The key that signs now, by its place.
    signing: RwLock<usize>,
}

/// A key and since when it's there.
struct Kept {
    key: RsaKey,
    since: Timestamp,
    file: Option<PathBuf>,
}

/// Where the keys are kept.
#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    Memory,
}

/// How long a key is there before the next one is made, in minutes.
const LASTS_MINUTES: i64 = 30 * 24 * 60;
/// How long a key is published before it signs, in minutes.
const PUBLISHED_MINUTES: i64 = 60;
/// How long a key is published after it signed last, in minutes: an access token
/// is good for 15, and clocks disagree.
const KEPT_MINUTES: i64 = 60;

/// The file of the first key; the others' have the time in their names.
const FIRST: &str = "token.pem";

impl FileKeyring {
    /// The keys in a folder.
    pub fn open(folder: &Path) -> Self {
        Self::at(Place::Folder(folder.to_owned()), Vec::new())
    }

    /// Keys that are gone with the process.
    pub fn in_memory() -> Self {
        Self::at(Place::Memory, Vec::new())
    }

    /// A key that exists already: PKCS#8 in PEM.
    pub fn of_pem(pem: &str) -> anyhow::Result<Self> {
        let key = Kept { key: RsaKey::of_pem(pem)?, since: Timestamp::UNIX_EPOCH, file: None };
        Ok(Self::at(Place::Memory, vec![Arc::new(key)]))
    }

    fn at(place: Place, keys: Vec<Arc<Kept>>) -> Self {
        let (keys, signing) = (RwLock::new(keys), RwLock::default());
        Self { place, keys, changing: Mutex::default(), signing }
    }

    /// Reads the keys, or makes the first, before anyone asks for it.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        self.keys().await.map(drop)
    }

    /// The keys, the oldest first; there's one at least.
    async fn keys(&self) -> anyhow::Result<Vec<Arc<Kept>>> {
        let known = || self.keys.read().expect("no holder panics").clone();
        let keys = known();
        if !keys.is_empty() {
            return Ok(keys);
        }
        let _alone = self.changing.lock().await;
        let keys = known();
        if !keys.is_empty() {
            return Ok(keys);
        }
        let place = self.place.clone();
        let found = tokio::task::spawn_blocking(move || place.keys()).await??;
        self.keys.write().expect("no holder panics").clone_from(&found);
        Ok(found)
    }

    async fn signing_key(&self) -> anyhow::Result<Arc<Kept>> {
        let keys = self.keys().await?;
        let place = *self.signing.read().expect("no holder panics");
        keys.get(place.min(keys.len() - 1)).cloned().context("there's no key")
    }
}

impl Place {
    fn keys(&self) -> anyhow::Result<Vec<Arc<Kept>>> {
        let Self::Folder(folder) = self else {
            let key = RsaKey::generate()?;
            return Ok(vec![Arc::new(Kept { key, since: Timestamp::UNIX_EPOCH, file: None })]);
        };
        let mut keys = Vec::new();
        for path in later(folder)? {
            keys.push(Arc::new(read(path.1, path.0)?));
        }
        let first = folder.join(FIRST);
        if keys.is_empty() || first.exists() {
            kept(&first, || Ok(RsaKey::generate()?.to_pem()?.into_bytes()))?;
            let since = fs::metadata(&first)?.modified()?.duration_since(UNIX_EPOCH)?.as_millis();
            let since = Timestamp::from_millis(i64::try_from(since)?);
            keys.push(Arc::new(read(first, since)?));
        }
        keys.sort_by_key(|it| it.since);
        Ok(keys)
    }

    /// Makes one more key.
    fn make(&self, now: Timestamp) -> anyhow::Result<Kept> {
        let key = RsaKey::generate()?;
        let Self::Folder(folder) = self else { return Ok(Kept { key, since: now, file: None }) };
        let path = folder.join(format!("token-{}.pem", now.as_millis()));
        kept(&path, || Ok(key.to_pem()?.into_bytes()))?;
        read(path, now)
    }
}

/// The files of the keys that came after the first, with their times.
fn later(folder: &Path) -> anyhow::Result<Vec<(Timestamp, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let millis = name.strip_prefix("token-").and_then(|it| it.strip_suffix(".pem"));
        if let Some(millis) = millis.and_then(|it| it.parse().ok()) {
            found.push((Timestamp::from_millis(millis), path));
        }
    }
    Ok(found)
}

fn read(path: PathBuf, since: Timestamp) -> anyhow::Result<Kept> {
    let reading = || path.display().to_string();
    tighten(&path).with_context(reading)?;
    let pem = fs::read_to_string(&path).with_context(reading)?;
    let key = RsaKey::of_pem(&pem).with_context(reading)?;
    Ok(Kept { key, since, file: Some(path) })
}

/// Which of the keys signs: the newest that has been published long enough. The
/// times are those since when they are there, the oldest first.
fn signing(since: &[Timestamp], now: Timestamp) -> usize {
    let published = |it: &Timestamp| it.plus_minutes(PUBLISHED_MINUTES) <= now;
    since.iter().rposition(published).unwrap_or(0)
}

/// How many of the oldest keys have signed nothing that is still good.
fn retired(since: &[Timestamp], now: Timestamp) -> usize {
    let minutes = PUBLISHED_MINUTES + KEPT_MINUTES;
    since.iter().rposition(|it| it.plus_minutes(minutes) <= now).unwrap_or(0)
}

/// Whether it's time for the next key.
fn is_due(since: &[Timestamp], now: Timestamp) -> bool {
    since.last().is_none_or(|it| it.plus_minutes(LASTS_MINUTES) <= now)
}

#[async_trait]
impl Keyring for FileKeyring {
    async fn key_id(&self) -> anyhow::Result<String> {
        Ok(self.signing_key().await?.key.public().kid.clone())
    }

    async fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.signing_key().await?.key.sign(message)
    }

    async fn public_keys(&self) -> anyhow::Result<Vec<PublicKey>> {
        Ok(self.keys().await?.iter().map(|it| it.key.public().clone()).collect())
    }

    async fn rotate(&self, now: Timestamp) -> anyhow::Result<()> {
        let mut keys = self.keys().await?;
        let _alone = self.changing.lock().await;
        let times = |keys: &[Arc<Kept>]| keys.iter().map(|it| it.since).collect::<Vec<_>>();
        if is_due(&times(&keys), now) {
            let place = self.place.clone();
            keys.push(Arc::new(tokio::task::spawn_blocking(move || place.make(now)).await??));
        }
        let gone: Vec<_> = keys.drain(..retired(&times(&keys), now)).collect();
        for file in gone.iter().filter_map(|it| it.file.as_deref()) {
            match fs::remove_file(file) {
                // Somebody has tidied up before.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.with_context(|| file.display().to_string())?,
            }
        }
        let place = signing(&times(&keys), now);
        let (mut kept, mut signs) = (
            self.keys.write().expect("no holder panics"),
            self.signing.write().expect("no holder panics"),
        );
        (*kept, *signs) = (keys, place);
        Ok(())
    }
}

/// The platform's secret in a folder, made at the first start.
pub fn secret(folder: &Path, random: &dyn Random) -> anyhow::Result<Secret> {
    let path = folder.join("secret");
    let bytes: Result<[u8; 32], _> = kept(&path, || Ok(new_secret(random).to_vec()))?.try_into();
    // A secret cut short would quietly be a weak one.
    let bytes = bytes.map_err(|_| anyhow!("{} doesn't have 32 bytes", path.display()))?;
    Ok(Secret::new(&bytes))
}

/// 32 bytes that nobody can guess.
pub(crate) fn new_secret(random: &dyn Random) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    bytes
}

/// What a file holds; made first, if there's no such file. After a crash the
/// file is either whole or not there.
fn kept(path: &Path, make: impl FnOnce() -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => {
            let content = other.with_context(|| path.display().to_string())?;
            tighten(path).with_context(|| path.display().to_string())?;
            return Ok(content);
        }
    }
    let content = make()?;
    match write_whole(path, &content) {
        // Another process was faster: its content is the one that everybody has.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
        written => written.map(|()| content),
    }
    .with_context(|| path.display().to_string())
}

/// Writes a file that isn't there yet: whole, or not at all.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    tighten(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    // A link, unlike a rename, never replaces what another process has put there.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    linked?;
    File::open(folder)?.sync_all()
}

/// Makes a folder that only its owner may look into.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Takes a file from the eyes of others, whatever a copy or a backup made of it.
fn tighten(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    async fn kids(keyring: &FileKeyring) -> Vec<String> {
        keyring.public_keys().await.unwrap().into_iter().map(|it| it.kid).collect()
    }

    #[tokio::test]
    async fn the_next_key_is_published_an_hour_before_it_signs_and_the_last_stays_an_hour() {
        let keyring = FileKeyring::in_memory();
        let month = START.plus_minutes(LASTS_MINUTES);
        keyring.rotate(month.plus_seconds(-1)).await.unwrap();
        let old = keyring.key_id().await.unwrap();
        assert_eq!(kids(&keyring).await, std::slice::from_ref(&old));

        keyring.rotate(month).await.unwrap();
        let both = kids(&keyring).await;
        assert_eq!((both.len(), keyring.key_id().await.unwrap()), (2, old.clone()));
        keyring.rotate(month.plus_seconds(60 * 60 - 1)).await.unwrap();
        assert_eq!(keyring.key_id().await.unwrap(), old);
        keyring.rotate(month.plus_minutes(60)).await.unwrap();
        let new = keyring.key_id().await.unwrap();
        assert_eq!((new.clone(), kids(&keyring).await), (both[1].clone(), both));

        keyring.rotate(month.plus_seconds(2 * 60 * 60 - 1)).await.unwrap();
        assert_eq!(kids(&keyring).await.len(), 2);
        keyring.rotate(month.plus_minutes(120)).await.unwrap();
        assert_eq!(kids(&keyring).await, [new]);
    }

    #[tokio::test]
    async fn a_platform_that_slept_for_long_does_not_sign_with_what_nobody_has_seen() {
        let keyring = FileKeyring::in_memory();
        let old = keyring.key_id().await.unwrap();
        let much_later = START.plus_minutes(10 * LASTS_MINUTES);
        keyring.rotate(much_later).await.unwrap();
        assert_eq!(keyring.key_id().await.unwrap(), old);
        assert_eq!(kids(&keyring).await.len(), 2);
    }

    #[tokio::test]
    async fn keys_are_found_again_in_their_folder() {
        let folder = std::env::temp_dir().join(format!("aula-keys-{}", std::process::id()));
        let now = {
            let keyring = FileKeyring::open(&folder);
            keyring.prepare().await.unwrap();
            let now = keyring.keys().await.unwrap()[0].since.plus_minutes(LASTS_MINUTES);
            keyring.rotate(now).await.unwrap();
            now
        };
        let keyring = FileKeyring::open(&folder);
        let both = kids(&keyring).await;
        keyring.rotate(now.plus_minutes(1)).await.unwrap();
        assert_eq!(
            (kids(&keyring).await, keyring.key_id().await.unwrap()),
            (both.clone(), both[0].clone())
        );
        keyring.rotate(now.plus_minutes(180)).await.unwrap();
        assert_eq!(kids(&FileKeyring::open(&folder)).await, [both[1].clone()]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
