//! The index of a repository: its titles and versions, and what listings tell of them.

use std::collections::BTreeMap;

use eventstar_event::SchemaUri;
use eventstar_event::time::Millis;
use eventstar_ports::{KeyValueWrite, RegistryError, SchemaFile, Sql, Statement};

use super::{SqlRegistry, invalid, upsert};
use crate::keys;
use crate::stored::{FORMAT, FileNote, IndexDocument, SchemaDocument, decode, encode};

/// Most versions that are noted after the fact in one request: each takes a read of its document.
const MAX_NOTED_LATER: usize = 500;

impl<S: Sql, K: KeyValueWrite> SqlRegistry<S, K> {
    /// The write of the index with `fresh` schemas, by title, in it; `None` when it is what it was.
    pub(super) async fn plan_index(
        &self,
        repository: &str,
        fresh: &BTreeMap<&str, Vec<&SchemaFile>>,
        now: Millis,
    ) -> Result<Option<Statement>, RegistryError> {
        let key = keys::index(repository);
        let before = match self.value(&key).await? {
            Some(value) => decode::<IndexDocument>(&key, &value)?,
            None => IndexDocument {
                v: FORMAT,
                ..IndexDocument::default()
            },
        };
        let mut index = before.clone();
        for (title, fresh) in fresh {
            let versions = index.titles.entry((*title).to_owned()).or_default();
            versions.extend(fresh.iter().map(|schema| schema.version.clone()));
            versions.sort_by_key(|version| semver::Version::parse(version).ok());
            let notes = index.files.entry((*title).to_owned()).or_default();
            notes.extend(fresh.iter().map(|schema| {
                let note = FileNote {
                    published: now,
                    json: schema.json.len(),
                    yaml: schema.yaml.as_ref().map(String::len),
                };
                (schema.version.clone(), note)
            }));
        }
        self.note_later(repository, &mut index).await?;
        if index == before {
            return Ok(None);
        }
        Ok(Some(upsert(&key, encode(&key, &index)?)))
    }

    /// Notes the versions of older writers, which noted none.
    async fn note_later(&self, repository: &str, index: &mut IndexDocument) -> Result<(), RegistryError> {
        for (title, version) in without_note(index) {
            let uri = SchemaUri::parse(&format!("/{title}/{version}")).map_err(invalid)?;
            let key = keys::schema(repository, &uri);
            let Some(value) = self.value(&key).await? else {
                continue;
            };
            let document: SchemaDocument = decode(&key, &value)?;
            let note = FileNote {
                published: document.published,
                json: document.json.len(),
                yaml: document.yaml.as_ref().map(String::len),
            };
            index.files.entry(title).or_default().insert(version, note);
        }
        Ok(())
    }
}

/// Titles and versions, at most [`MAX_NOTED_LATER`].
fn without_note(index: &IndexDocument) -> Vec<(String, String)> {
    let is_noted = |title: &str, version: &str| {
        let notes = index.files.get(title);
        notes.is_some_and(|notes| notes.contains_key(version))
    };
    let all = index
        .titles
        .iter()
        .flat_map(|(title, versions)| versions.iter().map(move |version| (title, version)));
    all.filter(|(title, version)| !is_noted(title, version))
        .take(MAX_NOTED_LATER)
        .map(|(title, version)| (title.clone(), version.clone()))
        .collect()
}
