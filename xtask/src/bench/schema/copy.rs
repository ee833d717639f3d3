//! A copy of a schema repository.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A copy that may be written to.
pub(super) struct Copy(PathBuf);

/// Where a link leads, or what a file holds, by path.
type Tree = BTreeMap<PathBuf, Vec<u8>>;

impl Copy {
    /// Copies a repository, in place of an earlier copy.
    pub(super) fn of(repository: &Path, to: &Path) -> Result<Self> {
        if !repository.join(".jsonschema-tools.yaml").is_file() {
            bail!("{} has no .jsonschema-tools.yaml", repository.display());
        }
        if to.exists() {
            fs::remove_dir_all(to).with_context(|| format!("{} cannot be removed", to.display()))?;
        }
        copy(repository, to).with_context(|| format!("{} cannot be copied", repository.display()))?;
        Ok(Self(to.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes what materializing the edited files gives.
    pub(super) fn remove_current_versions(&self) -> Result<()> {
        let tree = self.tree()?;
        for (path, text) in &tree {
            let is_current = path.file_name().is_some_and(|name| name == "current.yaml");
            let Some(version) = version(&String::from_utf8_lossy(text)).filter(|_| is_current) else {
                continue;
            };
            for stem in [version.as_str(), "latest"] {
                for extension in ["", ".yaml", ".json"] {
                    let name = path.with_file_name(format!("{stem}{extension}"));
                    if tree.contains_key(&name) {
                        fs::remove_file(self.0.join(&name))
                            .with_context(|| format!("{} cannot be removed", name.display()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The files that another copy does not have, or not with these bytes.
    pub(super) fn difference(&self, other: &Self) -> Result<Vec<String>> {
        let (mine, theirs) = (self.tree()?, other.tree()?);
        let paths = mine.keys().chain(theirs.keys());
        let mut different: Vec<String> = paths
            .filter(|path| mine.get(*path) != theirs.get(*path))
            .map(|path| path.display().to_string())
            .collect();
        different.sort_unstable();
        different.dedup();
        Ok(different)
    }

    /// How many schemas and versions there are.
    pub(super) fn summary(&self) -> Result<String> {
        let tree = self.tree()?;
        let count = |is_one: fn(&str) -> bool| {
            let names = tree.keys().filter_map(|path| path.file_name()?.to_str());
            names.filter(|name| is_one(name)).count()
        };
        let schemas = count(|name| name == "current.yaml");
        let versions =
            count(|name| name.starts_with(|first: char| first.is_ascii_digit()) && name.ends_with(".yaml"));
        Ok(format!("{schemas} schemas at {versions} versions"))
    }

    fn tree(&self) -> Result<Tree> {
        let mut tree = Tree::new();
        read(&self.0, Path::new(""), &mut tree)
            .with_context(|| format!("{} cannot be read", self.0.display()))?;
        Ok(tree)
    }
}

/// The version in the `$id` of an edited file.
fn version(text: &str) -> Option<String> {
    let id = text.lines().find_map(|line| line.strip_prefix("$id:"))?;
    let version = id.trim().trim_matches(['\'', '"']).rsplit('/').next()?;
    Some(version.to_owned())
}

fn read(root: &Path, folder: &Path, tree: &mut Tree) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read(root, &path, tree)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path())?;
            tree.insert(path, target.into_os_string().into_encoded_bytes());
        } else {
            tree.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Checkouts without links hold them as files whose text is a name: the original needs links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == ".git" || name == "node_modules" {
            continue;
        }
        let (source, copy_of) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &copy_of)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &copy_of)?;
        } else {
            let bytes = fs::read(&source)?;
            let target = str::from_utf8(&bytes).unwrap_or_default().trim();
            let is_link = !target.is_empty() && !target.contains(['/', '\n']) && from.join(target).is_file();
            if is_link {
                symlink(target, &copy_of)?;
            } else {
                fs::write(&copy_of, bytes)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_links_and_loses_only_what_materializing_gives() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("a")).unwrap();
        for (name, text) in [
            (".jsonschema-tools.yaml", "{}"),
            ("a/current.yaml", "title: a\n$id: '/a/1.1.0'\n"),
            ("a/1.0.0.yaml", "old"),
            ("a/1.0.0", "1.0.0.yaml\n"),
            ("a/1.1.0.yaml", "new"),
            ("a/1.1.0", "1.1.0.yaml"),
            ("a/latest", "1.1.0.yaml"),
        ] {
            fs::write(from.join(name), text).unwrap();
        }
        let one = Copy::of(&from, &dir.path().join("one")).unwrap();
        let two = Copy::of(&from, &dir.path().join("two")).unwrap();
        assert!(one.path().join("a/1.0.0").is_symlink());
        assert_eq!(one.difference(&two).unwrap(), [""; 0]);
        assert_eq!(one.summary().unwrap(), "1 schemas at 2 versions");
        two.remove_current_versions().unwrap();
        assert_eq!(
            one.difference(&two).unwrap(),
            ["a/1.1.0", "a/1.1.0.yaml", "a/latest"]
        );
        assert!(Copy::of(&from.join("a"), &dir.path().join("three")).is_err());
    }
}
