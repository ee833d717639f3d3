//! Which files a schema must have, and what they must be called: the structure rules of `jsonschema-tools`.
//!
//! Source: jsonschema-tools 1.2, `lib/tests/structure.js`. A copy that says the same as the file a name should lead to
//! is as good as a link.

use serde_json::Value;

use super::config::Config;
use super::folder::{Entry, Folder, Read, split, text_of};
use super::report::{Problem, Severity};
use crate::schema_repository::Number;

const MATERIALIZE: &str = "materialize the schema";

/// All problems of one folder's files.
pub(super) fn structure(folder: &Folder, config: &Config) -> Vec<Problem> {
    let mut found = Found {
        folder,
        problems: Vec::new(),
    };
    for (name, entry) in &folder.entries {
        if let Entry::Read(read) = entry
            && split(name).0 != "latest"
        {
            found.identity(name, read, config);
        }
    }
    let versions = folder.versions();
    let current = found.current(config);
    let greatest = versions.last().copied();
    if let Some(current) = current {
        let is_there = versions.contains(&current);
        let text = text_of(current);
        match greatest {
            Some(greatest) if current < greatest => {
                let message = format!("its version is {text}, but there is a {}", text_of(greatest));
                let fix = "raise the version in its `$id`, or remove the greater one";
                found.push(
                    Severity::Error,
                    "structure-current-is-greatest",
                    &config.current_file,
                    message,
                    fix,
                );
            }
            _ if !is_there => {
                let message = format!("version {text} is not materialized");
                found.push(
                    Severity::Materialize,
                    "structure-current-is-materialized",
                    &config.current_file,
                    message,
                    MATERIALIZE,
                );
            }
            _ => {}
        }
    }
    for version in &versions {
        found.forms(*version, current == Some(*version), config);
    }
    if let Some(greatest) = greatest.filter(|_| config.has_latest) {
        found.latest(greatest, config);
    }
    found.problems
}

struct Found<'a> {
    folder: &'a Folder,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn push(&mut self, severity: Severity, rule: &'static str, name: &str, message: String, fix: &str) {
        let path = self.folder.path.join(name);
        self.problems
            .push(Problem::new(severity, rule, &path, message, fix));
    }

    fn push_at(
        &mut self,
        rule: &'static str,
        name: &str,
        read: &Read,
        pointer: &str,
        message: String,
        fix: &str,
    ) {
        let path = self.folder.path.join(name);
        let problem = Problem::new(Severity::Error, rule, &path, message, fix);
        self.problems.push(problem.at(&read.text, pointer));
    }

    /// The edited file's version.
    fn current(&mut self, config: &Config) -> Option<Number> {
        let folder = self.folder;
        if folder.entries.contains_key(&config.current_name) {
            let fix = "remove it: only materialized versions have a name without extension";
            let message = "an edited file without extension".to_owned();
            self.push(
                Severity::Error,
                "structure-no-extensionless-current",
                &config.current_name,
                message,
                fix,
            );
        }
        let name = &config.current_file;
        let read = match folder.entries.get(name) {
            Some(Entry::Read(read)) => read,
            Some(_) => return None,
            None => {
                let fix = "add the file that versions are materialized from";
                self.push(
                    Severity::Error,
                    "structure-current-exists",
                    name,
                    "missing".to_owned(),
                    fix,
                );
                return None;
            }
        };
        let version = read.version();
        if version.is_none() {
            let fix = format!(
                "write `$id: /{}/1.0.0`, with the version to materialize",
                folder.title
            );
            let message = "`$id` ends with no version".to_owned();
            self.push_at(
                "structure-id-matches-directory",
                name,
                read,
                "/$id",
                message,
                &fix,
            );
        }
        version
    }

    /// `title` and `$id`.
    fn identity(&mut self, name: &str, read: &Read, config: &Config) {
        let title = &self.folder.title;
        if read.schema.get("title").and_then(Value::as_str) != Some(title) {
            let own = read.schema.get("title").unwrap_or(&Value::Null);
            let message = format!("`title` is {own}, but the folder says \"{title}\"");
            self.push_at(
                "structure-title-matches-directory",
                name,
                read,
                "/title",
                message,
                "make them equal",
            );
        }
        let Some(own) = read.id() else {
            let message = "`$id` is missing".to_owned();
            let fix = format!("write `$id: /{title}/`, followed by the version");
            self.push_at("structure-id-matches-directory", name, read, "", message, &fix);
            return;
        };
        let own = own.trim_end_matches('#');
        let (folder, version) = own.rsplit_once('/').unwrap_or(("", own));
        let stem = split(name).0;
        let is_there = format!("/{title}").ends_with(folder) && !folder.is_empty();
        let is_version = stem == config.current_name || stem == version;
        if !is_there || !is_version {
            let wanted = if stem == config.current_name {
                version
            } else {
                stem
            };
            let message = format!("`$id` is \"{own}\", but the file lies at /{title}/{wanted}");
            self.push_at(
                "structure-id-matches-directory",
                name,
                read,
                "/$id",
                message,
                "make them equal",
            );
        }
    }

    /// The files of one version.
    fn forms(&mut self, version: Number, is_current: bool, config: &Config) {
        let folder = self.folder;
        let text = text_of(version);
        // Older versions are not materialized again.
        let (severity, fix) = if is_current {
            (Severity::Materialize, MATERIALIZE)
        } else {
            (Severity::Error, "restore the file")
        };
        let mut first: Option<(String, &Read)> = None;
        let wanted = |extension: &str| config.content_types.iter().any(|wanted| wanted == extension);
        let others = ["yaml", "json", "yml"].into_iter().filter(|other| !wanted(other));
        for extension in config.content_types.iter().map(String::as_str).chain(others) {
            let name = format!("{text}.{extension}");
            let Some(entry) = folder.entries.get(&name) else {
                if !wanted(extension) {
                    continue;
                }
                self.push(
                    severity,
                    "structure-content-types",
                    &name,
                    "missing".to_owned(),
                    fix,
                );
                continue;
            };
            let Entry::Read(read) = entry else { continue };
            match &first {
                None => first = Some((name, read)),
                Some((other, main)) if main.schema != read.schema => {
                    let message = format!("says something else than {other}");
                    self.push(severity, "structure-content-types-equal", &name, message, fix);
                }
                Some(_) => {}
            }
        }
        if let Some((main, read)) = first.filter(|_| config.has_extensionless) {
            self.leads(&text, &main, read, severity, fix, "structure-extensionless");
        }
    }

    /// `latest`, with and without extension.
    fn latest(&mut self, greatest: Number, config: &Config) {
        let Some(extension) = config.content_types.first() else {
            return;
        };
        let main = format!("{}.{extension}", text_of(greatest));
        let Some(read) = self.folder.file(&main) else {
            return;
        };
        let mut names = vec![format!("latest.{extension}")];
        if config.has_extensionless {
            names.push("latest".to_owned());
        }
        for name in names {
            self.leads(
                &name,
                &main,
                read,
                Severity::Materialize,
                MATERIALIZE,
                "structure-latest",
            );
        }
    }

    /// A name that must lead to a file, or say the same.
    fn leads(
        &mut self,
        name: &str,
        main: &str,
        read: &Read,
        severity: Severity,
        fix: &str,
        rule: &'static str,
    ) {
        let folder = self.folder;
        if matches!(folder.entries.get(name), Some(Entry::Broken)) {
            return;
        }
        let message = match folder.target(name) {
            None if folder.entries.contains_key(name) => format!("leads nowhere, not to {main}"),
            None => format!("missing: it must lead to {main}"),
            Some(target) if target == main => return,
            Some(target) => match folder.file(target) {
                Some(other) if other.schema == read.schema => return,
                _ if target == name => format!("says something else than {main}"),
                _ => format!("leads to {target}, not to {main}"),
            },
        };
        self.push(severity, rule, name, message, fix);
    }
}
