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
use aws_lc_rs::{
    digest,
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use runtime::{Keyring, Random, Secret, token::PublicKey};
use tokio::sync::OnceCell;

/// An RSA key in a file, made when it's first needed: that takes a tenth of a
/// second, and the platform starts in less.
pub struct FileKeyring {
    place: Place,
    key: Arc<OnceCell<Key>>,
}

/// Where the key is kept.
#[derive(Clone)]
enum Place {
    File(PathBuf),
    Memory,
}

struct Key {
    public: PublicKey,
    pair: KeyPair,
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
        let key = OnceCell::new_with(Some(Key::of_pem(pem)?));
        Ok(Self { place: Place::Memory, key: Arc::new(key) })
    }

    /// Reads the key, or makes it, before anyone asks for it.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        self.key().await.map(drop)
    }

    async fn key(&self) -> anyhow::Result<&Key> {
        let find = || async {
            let place = self.place.clone();
            tokio::task::spawn_blocking(move || place.key()).await?
        };
        self.key.get_or_try_init(find).await
    }
}

impl Place {
    fn key(&self) -> anyhow::Result<Key> {
        match self {
            Self::File(path) => {
                let pem = kept(path, new_pem)?;
                let pem = String::from_utf8(pem).with_context(|| path.display().to_string())?;
                Key::of_pem(&pem).with_context(|| path.display().to_string())
            }
            Self::Memory => Ok(Key::of(new_pair()?)),
        }
    }
}

const PEM_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_ENDS: &str = "-----END PRIVATE KEY-----";

fn new_pair() -> anyhow::Result<KeyPair> {
    KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no RSA key could be made"))
}

fn new_pem() -> anyhow::Result<Vec<u8>> {
    let pair = new_pair()?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair);
    let der = der.map_err(|_| anyhow!("the RSA key can't be written"))?;
    let text = BASE64_STANDARD.encode(der.as_ref());
    let mut pem = format!("{PEM_BEGINS}\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line)?);
        pem.push('\n');
    }
    pem.push_str(PEM_ENDS);
    pem.push('\n');
    Ok(pem.into_bytes())
}

impl Key {
    fn of_pem(pem: &str) -> anyhow::Result<Self> {
        let (_, rest) = pem.split_once(PEM_BEGINS).context("this isn't a private key in PEM")?;
        let (text, _) = rest.split_once(PEM_ENDS).context("the private key is cut off")?;
        let text: String = text.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(text).context("the private key isn't Base64")?;
        let pair = KeyPair::from_pkcs8(&der);
        Ok(Self::of(pair.map_err(|why| anyhow!("this isn't an RSA key: {why}"))?))
    }

    fn of(pair: KeyPair) -> Self {
        let base64 = |number: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(number);
        let n = base64(pair.public_key().modulus().big_endian_without_leading_zero());
        let e = base64(pair.public_key().exponent().big_endian_without_leading_zero());
        // The key's thumbprint (RFC 7638): the same key has the same id everywhere.
        let jwk = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let kid = base64(digest::digest(&digest::SHA256, jwk.as_bytes()).as_ref());
        Self { public: PublicKey { kid, n, e }, pair }
    }
}

#[async_trait]
impl Keyring for FileKeyring {
    async fn key_id(&self) -> anyhow::Result<String> {
        Ok(self.key().await?.public.kid.clone())
    }

    async fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let pair = &self.key().await?.pair;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| anyhow!("the RSA key can't sign"))?;
        Ok(signature)
    }

    async fn public_keys(&self) -> anyhow::Result<Vec<PublicKey>> {
        Ok(vec![self.key().await?.public.clone()])
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
fn make_folder(folder: &Path) -> io::Result<()> {
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
