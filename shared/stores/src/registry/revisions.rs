//! Publishing revisions of EventLogging's schema pages, as meta.wiki keeps them.

use std::collections::BTreeMap;

use eventstar_event::time::Millis;
use eventstar_ports::{KeyValueWrite, PortErrorKind, RegistryError, SchemaRevision, Sql};
use eventstar_validation::Schema;
use serde_json::{Map, Value};

use super::{MAX_DOCUMENT_BYTES, MAX_SCHEMAS, MAX_TRIES, SqlRegistry, invalid, upsert};
use crate::keys;
use crate::stored::{FORMAT, RevisionDocument, decode, encode};

/// Longest title: EventLogging's (`schema.py:33`).
const MAX_TITLE_BYTES: usize = 63;

/// The title of the page that `text` names, as MediaWiki reads it: without the namespace, `_` for a space, a capital first.
/// `None` when it is no title of a schema.
#[must_use]
pub fn page_title(text: &str) -> Option<String> {
    let name = text.trim_matches([' ', '_']);
    let name = match name.split_once(':') {
        Some((namespace, rest)) if namespace.eq_ignore_ascii_case("schema") => rest.trim_matches([' ', '_']),
        _ => name,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_' | ' ');
    if name.is_empty() || name.len() > MAX_TITLE_BYTES || !name.chars().all(fits) {
        return None;
    }
    let mut title = name.replace(' ', "_");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Some(title)
}

impl<S: Sql, K: KeyValueWrite> SqlRegistry<S, K> {
    /// Returns how many are new, and how many were there already.
    pub(super) async fn publish_revisions(
        &self,
        schemas: &[SchemaRevision],
        now: Millis,
    ) -> Result<(usize, usize), RegistryError> {
        let documents = check(schemas, now)?;
        for _ in 0..MAX_TRIES {
            let mut statements = vec![self.next_revision().await?];
            let mut newest: BTreeMap<&str, &RevisionDocument> = BTreeMap::new();
            let mut published = 0;
            for document in documents.values() {
                let key = keys::revision(document.revision);
                if let Some(value) = self.value(&key).await? {
                    let known: RevisionDocument = decode(&key, &value)?;
                    if (&known.title, &known.json) != (&document.title, &document.json) {
                        let uri = format!("revision {} of {}", known.revision, known.title);
                        return Err(RegistryError::Immutable { uri });
                    }
                    continue;
                }
                published += 1;
                statements.push(upsert(&key, encoded(&key, document)?));
                // In the order of their ids: the last is the newest.
                newest.insert(&document.title, document);
            }
            for (title, document) in newest {
                let key = keys::newest_revision(title);
                let known = match self.value(&key).await? {
                    Some(value) => decode::<RevisionDocument>(&key, &value)?.revision,
                    None => 0,
                };
                if known < document.revision {
                    statements.push(upsert(&key, encoded(&key, document)?));
                }
            }
            if published == 0 {
                return Ok((0, schemas.len()));
            }
            match self.sql.write(statements).await {
                Ok(()) => return Ok((published, schemas.len() - published)),
                Err(error) if error.kind == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RegistryError::Unavailable {
            detail: "other publishers won every race".into(),
        })
    }
}

fn encoded(key: &str, document: &RevisionDocument) -> Result<Vec<u8>, RegistryError> {
    let bytes = encode(key, document)?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        let message = format!(
            "revision {} of {} takes {} bytes, more than the {MAX_DOCUMENT_BYTES} that can be stored",
            document.revision,
            document.title,
            bytes.len()
        );
        return Err(RegistryError::Invalid { message });
    }
    Ok(bytes)
}

/// What will be stored, by revision.
fn check(schemas: &[SchemaRevision], now: Millis) -> Result<BTreeMap<u64, RevisionDocument>, RegistryError> {
    if schemas.len() > MAX_SCHEMAS {
        let count = schemas.len();
        return Err(invalid(format!(
            "{count} schemas in one request: send at most {MAX_SCHEMAS}"
        )));
    }
    let mut documents = BTreeMap::new();
    for SchemaRevision {
        title,
        revision,
        json,
    } in schemas
    {
        let shown: String = title.chars().take(MAX_TITLE_BYTES).collect();
        let Some(title) = page_title(title) else {
            return Err(invalid(format!(
                "'{shown}' is no title of a schema: use 1 to {MAX_TITLE_BYTES} letters, digits, '.', '/', '-', '_'"
            )));
        };
        // PHP and JavaScript read ids, and MediaWiki's begin with 1.
        if *revision == 0 || i64::try_from(*revision).is_err() {
            return Err(invalid(format!(
                "{title}: {revision} is no revision: use 1 or more"
            )));
        }
        let value: Value = serde_json::from_str(json)
            .map_err(|error| invalid(format!("revision {revision} of {title}: not valid JSON: {error}")))?;
        check_schema(&value, json).map_err(|problem| {
            invalid(format!(
                "revision {revision} of {title} cannot be used: {problem}"
            ))
        })?;
        let document = RevisionDocument {
            v: FORMAT,
            title,
            revision: *revision,
            published: now,
            json: json.clone(),
        };
        if documents.insert(*revision, document).is_some() {
            return Err(invalid(format!(
                "revision {revision} stands twice in the request"
            )));
        }
    }
    Ok(documents)
}

/// Draft 3 is assumed, as EventLogging does; a schema that names another draft must compile.
fn check_schema(value: &Value, json: &str) -> Result<(), String> {
    let Value::Object(root) = value else {
        return Err("expected a JSON object".to_owned());
    };
    match root.get("$schema") {
        None => check_draft_3(root, ""),
        Some(Value::String(uri)) if uri.contains("json-schema.org/draft-03/") => check_draft_3(root, ""),
        Some(_) => Schema::compile(json).map(drop).map_err(|error| error.to_string()),
    }
}

/// Whether a keyword's value has the type it must have.
type Fits = fn(&Value) -> bool;

/// The keywords that EventLogging's schemas are made of have the types they must have.
fn check_draft_3(schema: &Map<String, Value>, at: &str) -> Result<(), String> {
    let is_type = |value: &Value| value.is_string() || value.is_array() || value.is_object();
    let checks: [(&str, Fits, &str); 5] = [
        ("type", is_type, "a type or a list of them"),
        ("properties", Value::is_object, "an object"),
        ("required", Value::is_boolean, "true or false, as draft 3 has it"),
        ("enum", Value::is_array, "a list"),
        ("description", Value::is_string, "a text"),
    ];
    for (keyword, fits, expected) in checks {
        if schema.get(keyword).is_some_and(|value| !fits(value)) {
            return Err(format!("at {at}/{keyword}: expected {expected}"));
        }
    }
    let members = schema.get("properties").and_then(Value::as_object);
    for (name, member) in members.into_iter().flatten() {
        let at = format!("{at}/properties/{name}");
        match member {
            Value::Object(member) => check_draft_3(member, &at)?,
            _ => return Err(format!("at {at}: expected a schema")),
        }
    }
    match schema.get("items") {
        Some(Value::Object(items)) => check_draft_3(items, &format!("{at}/items")),
        _ => Ok(()),
    }
}
