//! The secrets of a development server, kept in its state folder.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The tokens of a development server: the same for every run on one state folder.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    /// For `/admin/…` and `/metrics`.
    pub(crate) admin: String,
    /// For streams that ask producers for a token.
    pub(crate) producer: String,
}

impl Tokens {
    /// The tokens kept in `state`, made when missing.
    pub(crate) fn of(state: &Path) -> Result<Self> {
        Ok(Self {
            admin: kept(&state.join("admin-token"))?,
            producer: kept(&state.join("producer-token"))?,
        })
    }
}

fn kept(path: &Path) -> Result<String> {
    if let Ok(token) = fs::read_to_string(path)
        && !token.trim().is_empty()
    {
        return Ok(token.trim().to_owned());
    }
    let token = random()?;
    write_private(path, &token)?;
    Ok(token)
}

/// Writes a file only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// 128 random bits as hexadecimal text.
pub(crate) fn random() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("/dev/urandom cannot be read")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn tokens_are_private_and_the_same_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Tokens::of(dir.path()).unwrap();
        let second = Tokens::of(dir.path()).unwrap();
        assert_eq!((&first.admin, &first.producer), (&second.admin, &second.producer));
        assert_ne!(first.admin, first.producer);
        let mode = fs::metadata(dir.path().join("admin-token"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
