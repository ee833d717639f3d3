//! A schema repository on disk: `DIR/<title>/<x.y.z>[.yaml|.json]`, as `jsonschema-tools` materializes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use eventstar_event::SchemaUri;
use eventstar_schema_repository::{check_json, yaml_to_json};
use eventstar_validation::Schema;
use serde_json::Value;

use crate::place::place_in;
use crate::worktree::WorkTree;

/// Folders deeper than this are taken for a symlink loop.
const MAX_DEPTH: usize = 32;

/// How many problems an error lists before it only counts the rest.
const MAX_LISTED: usize = 20;

/// One version of one schema, ready to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The folder below the base: `mediawiki/page/change`.
    pub title: String,
    /// `x.y.z`.
    pub version: String,
    /// The schema as JSON text: the file's own where there is a JSON form.
    pub json: String,
    /// The schema as YAML text, where the repository holds one.
    pub yaml: Option<String>,
    /// The file it was read from, for errors.
    pub path: PathBuf,
}

impl SchemaVersion {
    /// The URI events name in `$schema`.
    pub fn uri(&self) -> String {
        format!("/{}/{}", self.title, self.version)
    }

    /// The URI the schema calls itself by (`$id`), where that is one.
    pub(crate) fn own_uri(&self) -> Option<SchemaUri> {
        let json: Value = serde_json::from_str(&self.json).ok()?;
        SchemaUri::parse(json.get("$id")?.as_str()?).ok()
    }

    /// The first object among the schema's `examples`.
    pub fn example(&self) -> Option<serde_json::Map<String, Value>> {
        let Value::Object(mut schema) = serde_json::from_str(&self.json).ok()? else {
            return None;
        };
        match schema.remove("examples")? {
            Value::Array(examples) => examples.into_iter().find_map(|example| match example {
                Value::Object(example) => Some(example),
                _ => None,
            }),
            _ => None,
        }
    }
}

/// Every materialized version below a base folder.
#[derive(Debug, Default)]
pub struct SchemaRepository {
    schemas: Vec<SchemaVersion>,
    warnings: Vec<String>,
}

impl SchemaRepository {
    /// Reads everything below `base`. All broken files are named at once.
    pub fn read(base: &Path) -> Result<Self> {
        if !base.is_dir() {
            bail!(
                "{}: not a folder: name the base of a schema repository, such as `…/jsonschema`",
                base.display()
            );
        }
        let mut versions = Versions::new();
        let mut problems = Vec::new();
        let tree = WorkTree::around(base)?;
        collect(base, "", 0, &tree, &mut versions, &mut problems);
        let mut repository = Self::default();
        for ((title, _), forms) in versions {
            match read_version(&title, &forms) {
                Ok((schema, warnings)) => {
                    repository.schemas.push(schema);
                    repository.warnings.extend(warnings);
                }
                Err(problem) => problems.push(format!("{problem:#}")),
            }
        }
        if !problems.is_empty() {
            let more = problems.len().saturating_sub(MAX_LISTED);
            problems.truncate(MAX_LISTED);
            let more = if more > 0 {
                format!("\n  … and {more} more")
            } else {
                String::new()
            };
            bail!(
                "the schema repository cannot be published:\n  {}{more}",
                problems.join("\n  ")
            );
        }
        if repository.schemas.is_empty() {
            bail!(
                "{}: no materialized versions (files named `x.y.z`, `x.y.z.yaml` or `x.y.z.json`)",
                base.display()
            );
        }
        Ok(repository)
    }

    /// The versions, by title, oldest first.
    pub fn schemas(&self) -> &[SchemaVersion] {
        &self.schemas
    }

    /// What is odd but does not keep a schema from working.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Major, minor and patch of a version.
pub(crate) type Number = [u64; 3];
type Versions = BTreeMap<(String, Number), Forms>;

/// The files that hold one version.
#[derive(Default)]
struct Forms {
    bare: Option<PathBuf>,
    yaml: Option<PathBuf>,
    json: Option<PathBuf>,
}

fn collect(
    dir: &Path,
    title: &str,
    depth: usize,
    tree: &WorkTree,
    versions: &mut Versions,
    problems: &mut Vec<String>,
) {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return problems.push(format!("{}: cannot be listed: {error}", dir.display())),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        let path = dir.join(name);
        if (path.is_dir() || version_file(name).is_some())
            && let Err(problem) = tree.check_link(&path)
        {
            problems.push(format!("{}: {problem}", path.display()));
        } else if path.is_dir() {
            if depth == MAX_DEPTH {
                problems.push(format!(
                    "{}: nested too deep: is there a symlink loop?",
                    path.display()
                ));
            } else if name != "node_modules" {
                let title = if title.is_empty() {
                    name.clone()
                } else {
                    format!("{title}/{name}")
                };
                collect(&path, &title, depth + 1, tree, versions, problems);
            }
        } else if let Some((version, extension)) = version_file(name) {
            if title.is_empty() {
                problems.push(format!(
                    "{}: a schema version must be in a folder named as its title",
                    path.display()
                ));
                continue;
            }
            let forms = versions.entry((title.to_owned(), version)).or_default();
            let form = match extension {
                "json" => &mut forms.json,
                "" => &mut forms.bare,
                _ => &mut forms.yaml,
            };
            if let Some(other) = form.replace(path) {
                problems.push(format!(
                    "{}: the same version as {name}: remove one of them",
                    other.display()
                ));
            }
        }
    }
}

/// `1.2.3.yaml` → its numbers and `yaml`; `None` for `current.yaml`, `latest` and every other file.
pub(crate) fn version_file(name: &str) -> Option<(Number, &str)> {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension @ ("json" | "yaml" | "yml"))) => (stem, extension),
        _ => (name, ""),
    };
    let mut parts = stem.split('.').map(|part| {
        let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        plain.then(|| part.parse().ok()).flatten()
    });
    let number = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some((number, extension))
}

fn read_version(title: &str, forms: &Forms) -> Result<(SchemaVersion, Vec<String>)> {
    let mut json = None;
    let mut yaml = None;
    for path in [&forms.json, &forms.yaml, &forms.bare].into_iter().flatten() {
        let Some(text) = read_form(path)? else { continue };
        let is_json = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => true,
            Some("yaml" | "yml") => false,
            _ => text.trim_start().starts_with('{'),
        };
        let slot = if is_json { &mut json } else { &mut yaml };
        if slot.is_none() {
            *slot = Some((path.clone(), text));
        }
    }
    let (path, json, yaml) = match (json, yaml) {
        (Some((path, json)), yaml) => {
            check_json(&json).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
            if let Some((yaml_path, text)) = &yaml {
                let converted = convert(yaml_path, text)?;
                if serde_json::from_str::<Value>(&converted)? != serde_json::from_str::<Value>(&json)? {
                    bail!(
                        "{}: says something else than {}: materialize again",
                        yaml_path.display(),
                        path.display()
                    );
                }
            }
            (path, json, yaml.map(|(_, text)| text))
        }
        (None, Some((path, text))) => (path.clone(), convert(&path, &text)?, Some(text)),
        (None, None) => {
            let path = [&forms.json, &forms.yaml, &forms.bare]
                .into_iter()
                .flatten()
                .next();
            bail!(
                "{}: points at itself",
                path.map(|path| path.display().to_string()).unwrap_or_default()
            );
        }
    };
    let version = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(version_file)
        .map(|(number, _)| number);
    let version = version.unwrap_or_default().map(|part| part.to_string()).join(".");
    let warnings = check_root(title, &version, &path, &json)?;
    Ok((
        SchemaVersion {
            title: title.to_owned(),
            version,
            json,
            yaml,
            path,
        },
        warnings,
    ))
}

fn convert(path: &Path, text: &str) -> Result<String> {
    yaml_to_json(text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// The text of one form; `None` when it only points at another form. A checkout without symlink support holds a
/// link as a file whose text is the name of its target.
fn read_form(path: &Path) -> Result<Option<String>> {
    let shown = path.display();
    if let Ok(target) = fs::read_link(path)
        && !path.exists()
    {
        bail!("{shown}: points at {}, which is missing", target.display());
    }
    let bytes = fs::read(path).with_context(|| format!("{shown}: cannot be read"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!("{shown}: not UTF-8 from byte {at} on: save it as UTF-8")
    })?;
    let target = text.trim();
    let is_link = version_file(target).is_some() && path.file_name().is_some_and(|name| name != target);
    if is_link {
        let there = path.parent().is_some_and(|parent| parent.join(target).is_file());
        return if there {
            Ok(None)
        } else {
            bail!("{shown}: points at {target}, which is missing")
        };
    }
    if text.trim().is_empty() {
        bail!("{shown}: is empty");
    }
    Ok(Some(text))
}

fn check_root(title: &str, version: &str, path: &Path, json: &str) -> Result<Vec<String>> {
    let shown = path.display();
    let Value::Object(root) = serde_json::from_str(json).with_context(|| format!("{shown}: not valid"))?
    else {
        bail!("{shown}: the root of a schema must be an object");
    };
    match root.get("title") {
        Some(Value::String(own)) if own == title => {}
        Some(own) => bail!(
            "{}: /title is {own}, but its folder says \"{title}\": make them equal",
            place_in(path, "/title")
        ),
        None => bail!("{shown}: /title is missing: it must be \"{title}\", as its folder says"),
    }
    let mut warnings = Vec::new();
    let uri = format!("/{title}/{version}");
    if let Some(id) = root.get("$id")
        && id.as_str().is_none_or(|id| !id.ends_with(&uri))
    {
        warnings.push(format!(
            "{}: /$id is {id}, but the schema lies at {uri}: events may name it by either",
            place_in(path, "/$id")
        ));
    }
    // What the compiler refuses is told before publishing, for all schemas at once.
    if let Some(error) = Schema::compile(json).ok().and_then(|schema| schema.insecurity()) {
        warnings.push(format!(
            "{}: {error}. Intake takes no events of this schema unless ALLOW_INSECURE_SCHEMAS is set",
            place_in(path, &error.pointer)
        ));
    }
    Ok(warnings)
}

#[cfg(test)]
#[path = "schema_repository_tests.rs"]
mod tests;
