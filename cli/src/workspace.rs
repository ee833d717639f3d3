//! A schema repository on disk: found, read into memory, and written to.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use eventstar_schema_repository::{Fault, File, Files, Node, Options, Others, Repository, read};

use crate::http::is_https_or_loopback;
use crate::remote::RemoteSchemas;
use crate::worktree::WorkTree;

const CONFIG: &str = ".jsonschema-tools.yaml";

/// Folders deeper than this are taken for a loop.
const MAX_DEPTH: usize = 32;

/// A repository on disk.
pub(crate) struct Workspace<'a> {
    root: PathBuf,
    base: PathBuf,
    shown: PathBuf,
    options: Options,
    files: Files,
    others: Others,
    remote: &'a RemoteSchemas,
}

/// One file to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) path: PathBuf,
    file: File,
}

impl<'a> Workspace<'a> {
    /// The repository that holds a file.
    pub(crate) fn of_file(file: &Path, remote: &'a RemoteSchemas) -> Result<Self> {
        if !file.is_file() {
            bail!("{}: not a file", file.display());
        }
        let folder = file.parent().filter(|parent| *parent != Path::new(""));
        Self::open(folder.unwrap_or(Path::new(".")), remote)
    }

    /// The repository at a folder: configured there or above, else its folder `jsonschema`, else the folder itself.
    pub(crate) fn open(dir: &Path, remote: &'a RemoteSchemas) -> Result<Self> {
        if !dir.is_dir() {
            bail!(
                "{}: not a folder: name the root of a schema repository",
                dir.display()
            );
        }
        let here = dir
            .canonicalize()
            .with_context(|| format!("{}: cannot be opened", dir.display()))?;
        let found = here.ancestors().find(|folder| folder.join(CONFIG).is_file());
        let tree = WorkTree::around(found.unwrap_or(&here))?;
        let (root, options) = match found {
            Some(root) => {
                let path = root.join(CONFIG);
                tree.check_link(&path)
                    .with_context(|| path.display().to_string())?;
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("{}: cannot be read", path.display()))?;
                (
                    root.to_owned(),
                    Options::parse(&path.display().to_string(), &text)?,
                )
            }
            None => {
                let above = here.ancestors().find(|folder| folder.ends_with("jsonschema"));
                let below = Some(here.join("jsonschema")).filter(|folder| folder.is_dir());
                (
                    below.as_deref().or(above).unwrap_or(&here).to_owned(),
                    Options::default(),
                )
            }
        };
        let base = root.join(&options.schema_base_path);
        let base = canonical(&base, "schemaBasePath")?;
        let places = Places {
            root: &root,
            tree: &tree,
            named: remote.bases(),
        };
        places.check(&base, "schemaBasePath")?;
        // Reports name files as their reader named the folder.
        let shown = base.strip_prefix(&here).map(|below| dir.join(below));
        Ok(Self {
            shown: shown.unwrap_or_else(|_| base.clone()),
            files: load(&base)?,
            others: places.others(&base, options.schema_base_uris.iter().flatten())?,
            root,
            base,
            options,
            remote,
        })
    }

    /// The folder of the configuration.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the schemas.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The folder of the schemas, by the name it was opened by.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// The configuration's file, whether it is there or not.
    pub(crate) fn config(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn current_file(&self) -> String {
        self.options.current_file()
    }

    /// The path of a file below the base.
    pub(crate) fn path_of(&self, file: &Path) -> Result<String> {
        let full = file
            .canonicalize()
            .with_context(|| format!("{}: cannot be opened", file.display()))?;
        let below = full.strip_prefix(&self.base);
        let below = below.map_err(|_| anyhow!("{}: not below {}", file.display(), self.base.display()))?;
        let steps: Option<Vec<&str>> = below.iter().map(|step| step.to_str()).collect();
        Ok(steps
            .with_context(|| format!("{}: its name is not UTF-8", file.display()))?
            .join("/"))
    }

    pub(crate) fn repository(&self) -> Result<Repository<'a, RemoteSchemas>> {
        let options = self.options.clone();
        Repository::new(self.files.clone(), self.others.clone(), options, self.remote)
            .map_err(|fault| self.error(&fault))
    }

    /// A materialized version.
    pub(crate) fn version(&self, folder: &str, version: &str) -> Result<Node> {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let mut paths = ["", ".yaml", ".json", ".yml"]
            .into_iter()
            .map(|extension| format!("{prefix}{version}{extension}"));
        let path = paths.find(|path| self.files.contains_key(path));
        let path = path.with_context(|| {
            format!(
                "{}: there is no version {version}",
                self.base.join(folder).display()
            )
        })?;
        read(&self.files, &path).map_err(|fault| self.error(&fault))
    }

    /// What has to be written for these paths; all that is wrong is told at once.
    pub(crate) fn plan(&self, paths: &[String], force: bool) -> Result<Vec<Edit>> {
        let repository = self.repository()?;
        let mut edits = Vec::new();
        let mut faults = Vec::new();
        for path in paths {
            match repository.plan(path, force) {
                Ok(changes) => edits.extend(changes.into_iter().map(|change| Edit {
                    path: self.base.join(change.path),
                    file: change.file,
                })),
                Err(fault) => {
                    let line = self.error(&fault).to_string();
                    if !faults.contains(&line) {
                        faults.push(line);
                    }
                }
            }
        }
        if !faults.is_empty() {
            bail!("nothing was written:\n  {}", faults.join("\n  "));
        }
        Ok(edits)
    }

    /// A fault, with the whole path of its file.
    pub(crate) fn error(&self, fault: &Fault) -> anyhow::Error {
        if fault.file.contains("://") {
            anyhow!("{fault}")
        } else {
            anyhow!("{}/{fault}", self.base.display())
        }
    }
}

impl Edit {
    /// Writes beside the file and renames, so that nobody ever sees half of it.
    pub(crate) fn apply(&self) -> Result<()> {
        let name = self
            .path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let beside = self
            .path
            .with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let written = match &self.file {
            // A link of that name in a stranger's repository is not written through.
            File::Bytes(bytes) => fs::File::create_new(&beside).and_then(|mut file| file.write_all(bytes)),
            File::Link(target) => link(target, &beside),
        };
        written
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(|error| {
                // It may not be there at all.
                let _ = fs::remove_file(&beside);
                anyhow!("{}: cannot be written: {error}", self.path.display())
            })
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            File::Bytes(_) => write!(formatter, "{}", self.path.display()),
            File::Link(target) => write!(formatter, "{} -> {target}", self.path.display()),
        }
    }
}

#[cfg(unix)]
fn link(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Git checks links out as files that name their target where links need a privilege.
#[cfg(not(unix))]
fn link(target: &str, path: &Path) -> io::Result<()> {
    fs::write(path, target)
}

/// Where a configuration may have schemas read from.
struct Places<'p> {
    root: &'p Path,
    tree: &'p WorkTree,
    /// Folders and URLs that the user names.
    named: &'p [String],
}

/// A value of `schemaBaseUris`.
enum Uri<'u> {
    Folder(&'u str),
    Url(&'u str),
}

impl<'u> Uri<'u> {
    fn parse(uri: &'u str) -> Result<Self> {
        let path = uri.strip_prefix("file://").unwrap_or(uri);
        if path.starts_with("http://") || path.starts_with("https://") {
            if !is_https_or_loopback(path) {
                bail!(
                    "{uri}: plain http is read from this machine only: write it with https:// (schemaBaseUris)"
                );
            }
            Ok(Self::Url(path))
        } else if path.contains("://") {
            bail!("{uri}: neither a folder nor a URL of http or https (schemaBaseUris)");
        } else {
            Ok(Self::Folder(path))
        }
    }
}

impl Places<'_> {
    /// The places that `schemaBaseUris` and the user name, save for the base itself.
    fn others<'u>(&self, base: &Path, uris: impl Iterator<Item = &'u String>) -> Result<Others> {
        let mut others = Others::default();
        let mut folders = vec![base.to_owned()];
        for uri in uris {
            match Uri::parse(uri)? {
                Uri::Url(url) => others.urls.push(url.to_owned()),
                Uri::Folder(path) => {
                    let folder = canonical(&self.root.join(path), "schemaBaseUris")?;
                    self.check(&folder, "schemaBaseUris")?;
                    folders.push(folder);
                }
            }
        }
        for uri in self.named {
            match Uri::parse(uri)? {
                Uri::Url(url) => others.urls.push(url.to_owned()),
                Uri::Folder(path) => folders.push(canonical(Path::new(path), "--schema-base-uri")?),
            }
        }
        let mut seen = vec![base];
        for folder in &folders {
            if !seen.contains(&folder.as_path()) {
                seen.push(folder);
                others.files.push(load(folder)?);
            }
        }
        Ok(others)
    }

    /// Refuses a folder of the configuration that lies outside the work tree, unless the user names it, too.
    fn check(&self, folder: &Path, option: &str) -> Result<()> {
        let is_named = |uri: &String| match Uri::parse(uri) {
            Ok(Uri::Folder(path)) => Path::new(path).canonicalize().is_ok_and(|path| path == folder),
            _ => false,
        };
        if !self.tree.holds(folder) && !self.named.iter().any(is_named) {
            bail!(
                "{}: lies outside {} ({option}): where you trust this configuration, add --schema-base-uri {0}",
                folder.display(),
                self.tree.top().display()
            );
        }
        Ok(())
    }
}

fn canonical(folder: &Path, option: &str) -> Result<PathBuf> {
    folder
        .canonicalize()
        .with_context(|| format!("{}: no such folder ({option})", folder.display()))
}

fn load(base: &Path) -> Result<Files> {
    let mut files = Files::new();
    load_folder(base, "", 0, &mut files)?;
    Ok(files)
}

fn load_folder(base: &Path, folder: &str, depth: usize, files: &mut Files) -> Result<()> {
    let shown = base.join(folder);
    if depth > MAX_DEPTH {
        bail!("{}: nested too deep", shown.display());
    }
    let entries = fs::read_dir(&shown).with_context(|| format!("{}: cannot be listed", shown.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("{}: cannot be listed", shown.display()))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') || name == "node_modules" {
            continue;
        }
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            load_folder(base, &path, depth + 1, files)?;
        } else if !is_schema(&name) {
            continue;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path())?;
            files.insert(path, File::Link(target.to_string_lossy().into_owned()));
        } else {
            let bytes = fs::read(entry.path());
            let bytes = bytes.with_context(|| format!("{}: cannot be read", entry.path().display()))?;
            files.insert(path, File::Bytes(bytes));
        }
    }
    Ok(())
}

/// Schemas have an extension, or none and a version for a name.
fn is_schema(name: &str) -> bool {
    let extension = Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
        || name == "latest"
        || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_written_through_a_link() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = outside.path().join("profile");
        fs::write(&target, "kept").unwrap();
        let beside = format!(".1.0.0.yaml.{}.tmp", std::process::id());
        link(target.to_str().unwrap(), &dir.path().join(beside)).unwrap();
        let edit = Edit {
            path: dir.path().join("1.0.0.yaml"),
            file: File::Bytes(b"type: object\n".to_vec()),
        };
        let refusal = edit.apply().unwrap_err().to_string();
        assert!(refusal.contains("1.0.0.yaml: cannot be written"), "{refusal}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        // What stood in the way is gone.
        edit.apply().unwrap();
        assert_eq!(fs::read_to_string(&edit.path).unwrap(), "type: object\n");
    }
}
