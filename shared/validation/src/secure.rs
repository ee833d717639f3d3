//! Whether a schema can be trusted with events of strangers: AJV's `json-schema-secure.json`, as EventGate checks it
//! (`lib/EventValidator.js:188-195`). It wants bounds where a check costs more the longer a value is: a `maxLength` beside
//! `pattern` and `format`, `propertyNames.maxLength` beside `patternProperties`, `maxItems` beside `uniqueItems` of
//! anything but scalars.

use jsonschema::Validator;
use serde_json::Value;

use crate::SchemaError;

/// From the package `ajv` 6.12 (MIT, Evgeny Poberezkin).
const META_SCHEMA: &str = include_str!("secure.json");

thread_local! {
    static CHECK: Option<Validator> = compile();
}

/// The first place without a bound; `None` when the schema is secure.
pub(crate) fn insecurity(schema: &Value) -> Option<SchemaError> {
    CHECK.with(|check| match check {
        Some(check) => check.iter_errors(schema).next().map(|error| SchemaError {
            pointer: error.instance_path().to_string(),
            message: format!("not secure: {error}, or a long value could be slow to check"),
        }),
        None => Some(SchemaError {
            pointer: String::new(),
            message: "the security meta-schema is broken, so that nothing can be judged secure".to_owned(),
        }),
    })
}

fn compile() -> Option<Validator> {
    let schema = serde_json::from_str(META_SCHEMA).ok()?;
    jsonschema::draft7::new(&schema).ok()
}
