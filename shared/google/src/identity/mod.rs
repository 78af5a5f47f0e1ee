//! Who calls, and who we are: the platform's access tokens, and Google's ID
//! tokens by which its functions know one another.

mod credentials;
mod jwks;
mod keyring;
mod metadata;
mod tokens;

pub use self::{
    jwks::RemoteKeys,
    keyring::{CloudKeyring, SigningKey},
    metadata::Metadata,
    tokens::{Callers, GoogleTokens},
};
pub(crate) use tokens::bears_googles;
