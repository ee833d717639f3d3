//! The folder that a schema repository may read from. Its files may be a stranger's, who must not choose what else of this
//! machine is read: a check of them in CI shows what it reads.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The git work tree around a folder, or the folder itself where there is none.
#[derive(Debug)]
pub(crate) struct WorkTree {
    top: PathBuf,
}

impl WorkTree {
    /// The work tree around a folder.
    pub(crate) fn around(folder: &Path) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("{}: cannot be opened", folder.display()))?;
        let top = folder.ancestors().find(|above| above.join(".git").exists());
        Ok(Self {
            top: top.unwrap_or(&folder).to_owned(),
        })
    }

    /// True if a file or folder lies within, once its links are followed.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| path.starts_with(&self.top))
    }

    /// Refuses a link that leads out; one that leads nowhere is left to who reads it.
    pub(crate) fn check_link(&self, path: &Path) -> Result<()> {
        if path.is_symlink() && path.exists() && !self.holds(path) {
            bail!(
                "a link that leads out of {}: put what it links to into the repository",
                self.top.display()
            );
        }
        Ok(())
    }

    pub(crate) fn top(&self) -> &Path {
        &self.top
    }
}
