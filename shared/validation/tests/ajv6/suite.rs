//! The pairs of JSON-Schema-Test-Suite, as the npm package of that name has them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::Case;

/// The drafts that AJV 6 knows.
const DRAFTS: [&str; 3] = ["04", "06", "07"];

/// Each schema of the suite under each draft: AJV has one set of keywords for all of them.
pub(crate) fn cases(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in [folder.to_owned(), folder.join("optional")] {
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort();
        for file in files {
            let groups: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            for group in groups {
                let events: Vec<String> = group["tests"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|test| test["data"].to_string())
                    .collect();
                for draft in DRAFTS {
                    if let Some(schema) = of_draft(&group["schema"], draft) {
                        cases.push(Case {
                            schema,
                            events: events.clone(),
                        });
                    }
                }
            }
        }
    }
    cases
}

fn of_draft(schema: &Value, draft: &str) -> Option<Value> {
    let mut schema = schema.as_object()?.clone();
    if !schema
        .get("$schema")
        .and_then(Value::as_str)
        .is_some_and(|uri| uri.contains("schema#"))
        || draft != "04"
    {
        schema.insert(
            "$schema".to_owned(),
            json!(format!("http://json-schema.org/draft-{draft}/schema#")),
        );
    }
    Some(Value::Object(schema))
}
