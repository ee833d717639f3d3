//! Whether a version is what the edited file materializes to.

use eventstar_schema_repository::{Node, Repository, difference};

use super::config::Config;
use super::folder::{Folder, text_of};
use super::report::{Problem, Severity};
use crate::remote::RemoteSchemas;

/// What is wrong with the version that the edited file of a folder names. Whether it is there at all, and what leads to
/// it, is told by the structure rules.
pub(super) fn materialized(
    folder: &Folder,
    config: &Config,
    repository: &Repository<'_, RemoteSchemas>,
) -> Vec<Problem> {
    let Some(current) = folder.file(&config.current_file) else {
        return Vec::new();
    };
    let path_of = |name: &str| match folder.title.as_str() {
        "" => name.to_owned(),
        title => format!("{title}/{name}"),
    };
    let path = path_of(&config.current_file);
    let schema = match repository.schema(&path) {
        Ok(schema) => schema,
        Err(fault) => {
            let rule = "structure-current-materializes";
            let file = folder.path.join(&config.current_file);
            let problem = |message| Problem::new(Severity::Error, rule, &file, message, "correct it");
            return vec![if fault.file == path {
                problem(fault.problem.to_string()).at(&current.text, &fault.pointer)
            } else {
                problem(format!("it needs another schema: {fault}"))
            }];
        }
    };
    let Some(version) = current.version().map(text_of) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for extension in &config.content_types {
        let name = format!("{version}.{extension}");
        let Some(found) = folder.file(&name) else { continue };
        let Ok(node) = serde_json::from_str::<Node>(&found.json) else {
            continue;
        };
        if let Some(pointer) = difference(&node, &schema) {
            let message = format!("is not what {} materializes to", config.current_file);
            let fix = format!(
                "raise the version in the `$id` of {}, or materialize with --force while nobody uses {version}",
                config.current_file
            );
            let rule = "structure-current-is-materialized";
            let problem = Problem::new(
                Severity::Materialize,
                rule,
                &folder.path.join(&name),
                message,
                fix,
            );
            problems.push(problem.at(&found.text, &pointer));
        }
    }
    problems
}
