//! The key that signs access tokens, and the platform's secret: made at the
//! first start, kept in files that only their owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use runtime::{Keyring, Random, RsaKey, Secret, token::PublicKey};
use tokio::sync::OnceCell;

/// An RSA key in a file, made when it's first needed: that takes a tenth of a
/// second, and the platform starts in less.
pub struct FileKeyring {
    place: Place,
    key: Arc<OnceCell<RsaKey>>,
}

/// Where the key is kept.
#[derive(Clone)]
enum Place {
    File(PathBuf),
    Memory,
}

impl FileKeyring {
    /// The key in a folder.
    pub fn open(folder: &Path) -> Self {
        Self { place: Place::File(folder.join("token.pem")), key: Arc::default() }
    }

    /// A key that is gone with the process.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory, key: Arc::default() }
    }

    /// A key that exists already: PKCS#8 in PEM.
    pub fn of_pem(pem: &str) -> anyhow::Result<Self> {
        let key = OnceCell::new_with(Some(RsaKey::of_pem(pem)?));
        Ok(Self { place: Place::Memory, key: Arc::new(key) })
    }

    /// Reads the key, or makes it, before anyone asks for it.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        self.key().await.map(drop)
    }

    async fn key(&self) -> anyhow::Result<&RsaKey> {
        let find = || async {
            let place = self.place.clone();
            tokio::task::spawn_blocking(move || place.key()).await?
        };
        self.key.get_or_try_init(find).await
    }
}

impl Place {
    fn key(&self) -> anyhow::Result<RsaKey> {
        match self {
            Self::File(path) => {
                let pem = kept(path, || Ok(RsaKey::generate()?.to_pem()?.into_bytes()))?;
                let pem = String::from_utf8(pem).with_context(|| path.display().to_string())?;
                RsaKey::of_pem(&pem).with_context(|| path.display().to_string())
            }
            Self::Memory => RsaKey::generate(),
        }
    }
}

#[async_trait]
impl Keyring for FileKeyring {
    async fn key_id(&self) -> anyhow::Result<String> {
        Ok(self.key().await?.public().kid.clone())
    }

    async fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.key().await?.sign(message)
    }

    async fn public_keys(&self) -> anyhow::Result<Vec<PublicKey>> {
        Ok(vec![self.key().await?.public().clone()])
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
