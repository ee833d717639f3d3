//! The registry over SQL: it checks and serialises what is published, keeps history, and writes edge KV as the read copy.
//!
//! Every KV value is kept here too, with a mark while KV does not have it yet: so a failed KV write is made good by
//! the next request of an administrator, and a miss in KV can be answered from here.

mod check;
mod flush;
mod index;
mod revisions;

use std::collections::BTreeMap;

use eventstar_event::SchemaUri;
use eventstar_event::time::Millis;
use eventstar_ports::{
    KeyValueWrite, PortError, PortErrorKind, Published, RegistryError, RegistryRequest, RegistryVersion, Row,
    SchemaFile, Sql, SqlValue, Statement, StoredConfig,
};
use eventstar_stream_config::StreamConfigs;
use serde_json::value::RawValue;

use crate::keys;
use crate::stored::{FORMAT, SchemaDocument, StreamConfigDocument, VersionsDocument, decode, encode};

pub(crate) use check::is_repository_name;
pub use revisions::page_title;

use check::check_schemas;

/// Most schemas in one request: each takes four KV writes, and Workers allow 1,000 KV operations an invocation.
const MAX_SCHEMAS: usize = 100;

/// Largest schema document in bytes: a row of a SQLite-backed Durable Object holds 2 MB.
const MAX_DOCUMENT_BYTES: usize = 1_900_000;

/// Versions listed in a history.
const HISTORY: u64 = 100;

/// How often a publish that another one overtook is tried again.
const MAX_TRIES: usize = 10;

const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS registry_kv (key TEXT PRIMARY KEY, value BLOB NOT NULL, owed INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS registry_repository (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS registry_stream_config (version INTEGER PRIMARY KEY, published INTEGER NOT NULL, config BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS registry_revision (revision INTEGER PRIMARY KEY)",
];

/// The registry in a SQLite database, writing KV.
pub struct SqlRegistry<S, K> {
    sql: S,
    kv: K,
}

impl<S: Sql, K: KeyValueWrite> SqlRegistry<S, K> {
    /// A registry.
    pub fn new(sql: S, kv: K) -> Self {
        Self { sql, kv }
    }

    /// Answers one request. A publish that was committed answers so even when KV fails: `in_kv` then says it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn ask(&self, request: RegistryRequest, now: Millis) -> Result<Published, RegistryError> {
        match request {
            RegistryRequest::PublishSchemas { repository, schemas } => {
                let order = [repository.as_str()];
                let (published, unchanged) = self.publish_schemas(&order, &repository, &schemas, now).await?;
                Ok(Published::Schemas {
                    published,
                    unchanged,
                    in_kv: self.flush().await? == 0,
                })
            }
            RegistryRequest::PlanSchemas { repository, schemas } => {
                check_schemas(&repository, &schemas)?;
                self.flush().await?;
                let known = self.compare(&repository, &schemas).await?;
                Ok(Published::Plan {
                    new: known.new.into_iter().map(uri_text).collect(),
                    unchanged: known.unchanged,
                    conflicting: known.conflicting.into_iter().map(uri_text).collect(),
                })
            }
            RegistryRequest::PublishRevisions { schemas } => {
                let (published, unchanged) = self.publish_revisions(&schemas, now).await?;
                Ok(Published::Schemas {
                    published,
                    unchanged,
                    in_kv: self.flush().await? == 0,
                })
            }
            RegistryRequest::PublishStreamConfig { if_match, config } => {
                let version = self.publish_stream_config(if_match, &config, now).await?;
                Ok(Published::StreamConfig {
                    version,
                    in_kv: self.flush().await? == 0,
                })
            }
            RegistryRequest::RollbackStreamConfig { if_match, version } => {
                let earlier = self.stream_config(Some(version)).await?;
                let Some(config) = earlier.and_then(|earlier| earlier.config) else {
                    return Err(RegistryError::UnknownVersion { version });
                };
                let version = self.publish_stream_config(if_match, &config, now).await?;
                Ok(Published::StreamConfig {
                    version,
                    in_kv: self.flush().await? == 0,
                })
            }
            RegistryRequest::Lookup { keys } => {
                let mut values = Vec::with_capacity(keys.len());
                for key in &keys {
                    values.push(self.value(key).await?);
                }
                Ok(Published::Values(values))
            }
            RegistryRequest::StreamConfig { version } => {
                // Who asks for the current one is about to publish, perhaps because an answer was lost.
                if version.is_none() {
                    self.flush().await?;
                }
                Ok(Published::Config(self.stream_config(version).await?))
            }
            RegistryRequest::StreamConfigHistory => {
                self.flush().await?;
                Ok(Published::History(self.history().await?))
            }
            RegistryRequest::Version => Ok(Published::Version(self.version().await?)),
            // Without upstreams there is nothing newer anywhere.
            RegistryRequest::Refresh { .. } => Ok(Published::Refreshed),
            RegistryRequest::Flush => Ok(Published::Flushed {
                owed: self.flush().await?,
            }),
        }
    }

    async fn query(&self, sql: &'static str, params: Vec<SqlValue>) -> Result<Vec<Row>, PortError> {
        let statement = Statement::new(sql, params);
        match self.sql.query(statement.clone()).await {
            Err(error) if error.detail.contains("no such table") => {
                let tables = TABLES.iter().map(|table| Statement::new(table, vec![])).collect();
                self.sql.write(tables).await?;
                self.sql.query(statement).await
            }
            answer => answer,
        }
    }

    /// The value that KV has, or is owed, under `key`.
    pub(crate) async fn value(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let rows = self
            .query("SELECT value FROM registry_kv WHERE key = ?", vec![key.into()])
            .await?;
        Ok(rows.into_iter().next().map(|mut row| row.take_blob(0)))
    }

    async fn repositories(&self) -> Result<Vec<String>, PortError> {
        let rows = self
            .query("SELECT name FROM registry_repository ORDER BY position", vec![])
            .await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    /// The statement that makes a publish fail when another one was committed since `self` read.
    async fn next_revision(&self) -> Result<Statement, PortError> {
        let rows = self
            .query("SELECT COALESCE(MAX(revision), 0) FROM registry_revision", vec![])
            .await?;
        let next = rows.first().map_or(0, |row| row.integer(0)) + 1;
        Ok(Statement::new(
            "INSERT INTO registry_revision (revision) VALUES (?)",
            vec![next.into()],
        ))
    }

    /// Publishes schemas into one of the repositories of `order`; those that are new take their places in that order.
    pub(crate) async fn publish_fetched(
        &self,
        order: &[&str],
        repository: &str,
        schemas: &[SchemaFile],
        now: Millis,
    ) -> Result<(), RegistryError> {
        self.publish_schemas(order, repository, schemas, now).await?;
        self.flush().await?;
        Ok(())
    }

    async fn publish_schemas(
        &self,
        order: &[&str],
        repository: &str,
        schemas: &[SchemaFile],
        now: Millis,
    ) -> Result<(usize, usize), RegistryError> {
        check_schemas(repository, schemas)?;
        for _ in 0..MAX_TRIES {
            let mut statements = vec![self.next_revision().await?];
            let unchanged = self
                .plan_schemas(order, repository, schemas, now, &mut statements)
                .await?;
            if statements.len() == 1 {
                return Ok((0, unchanged));
            }
            match self.sql.write(statements).await {
                Ok(()) => return Ok((schemas.len() - unchanged, unchanged)),
                Err(error) if error.kind == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RegistryError::Unavailable {
            detail: "other publishers won every race".into(),
        })
    }

    /// Adds the writes for the repositories of `order` that are new; returns all in lookup order.
    async fn plan_repositories(
        &self,
        order: &[&str],
        statements: &mut Vec<Statement>,
    ) -> Result<Vec<String>, PortError> {
        let mut repositories = self.repositories().await?;
        let known = repositories.len();
        for name in order {
            if !repositories.iter().any(|known| known == name) {
                let position = repositories.len() as u64;
                statements.push(Statement::new(
                    "INSERT INTO registry_repository (name, position) VALUES (?, ?)",
                    vec![(*name).into(), position.into()],
                ));
                repositories.push((*name).to_owned());
            }
        }
        if repositories.len() > known {
            let names = encode(keys::REPOSITORIES, &repositories)?;
            statements.push(upsert(keys::REPOSITORIES, names));
        }
        Ok(repositories)
    }

    /// Adds the writes for all schemas that are new; returns how many are there already.
    async fn plan_schemas(
        &self,
        order: &[&str],
        repository: &str,
        schemas: &[SchemaFile],
        now: Millis,
        statements: &mut Vec<Statement>,
    ) -> Result<usize, RegistryError> {
        let known = self.compare(repository, schemas).await?;
        if let Some(schema) = known.conflicting.first() {
            let uri = format!("{repository}{}", uri_text(schema));
            return Err(RegistryError::Immutable { uri });
        }
        let mut by_title: BTreeMap<&str, Vec<&SchemaFile>> = BTreeMap::new();
        for schema in known.new {
            by_title.entry(&schema.title).or_default().push(schema);
        }
        statements.extend(self.plan_index(repository, &by_title, now).await?);
        if by_title.is_empty() {
            return Ok(known.unchanged);
        }
        let repositories = self.plan_repositories(order, statements).await?;
        let before: Vec<&str> = repositories
            .iter()
            .map(String::as_str)
            .take_while(|name| *name != repository)
            .collect();
        for (title, fresh) in by_title {
            self.plan_title(repository, &before, title, &fresh, now, statements)
                .await?;
        }
        Ok(known.unchanged)
    }

    /// Compares schemas with those that are published.
    async fn compare<'s>(
        &self,
        repository: &str,
        schemas: &'s [SchemaFile],
    ) -> Result<Compared<'s>, RegistryError> {
        let mut compared = Compared::default();
        for schema in schemas {
            match self.value(&keys::schema(repository, &uri_of(schema)?)).await? {
                None => compared.new.push(schema),
                Some(value) => {
                    let known: SchemaDocument = decode("schema", &value)?;
                    if known.json == schema.json && known.yaml == schema.yaml {
                        compared.unchanged += 1;
                    } else {
                        compared.conflicting.push(schema);
                    }
                }
            }
        }
        Ok(compared)
    }

    async fn plan_title(
        &self,
        repository: &str,
        before: &[&str],
        title: &str,
        fresh: &[&SchemaFile],
        now: Millis,
        statements: &mut Vec<Statement>,
    ) -> Result<(), RegistryError> {
        let versions_key = keys::versions(repository, title);
        let mut versions = match self.value(&versions_key).await? {
            Some(value) => decode::<VersionsDocument>(&versions_key, &value)?.versions,
            None => Vec::new(),
        };
        versions.extend(fresh.iter().map(|schema| schema.version.clone()));
        versions.sort_by_key(|version| semver::Version::parse(version).ok());
        let newest = versions.last().cloned().unwrap_or_default();
        let mut title_is_ours = true;
        for earlier in before {
            title_is_ours &= self.value(&keys::versions(earlier, title)).await?.is_none();
        }
        for schema in fresh {
            let uri = uri_of(schema)?;
            let document = document(repository, schema, now)?;
            let mut ours = true;
            for earlier in before {
                ours &= self.value(&keys::schema(earlier, &uri)).await?.is_none();
            }
            if schema.version == newest {
                let latest = SchemaUri::parse(&format!("/{title}/latest")).map_err(invalid)?;
                statements.push(upsert(&keys::schema(repository, &latest), document.clone()));
                if title_is_ours {
                    statements.push(upsert(&keys::uri(&latest), document.clone()));
                }
            }
            if ours {
                statements.push(upsert(&keys::uri(&uri), document.clone()));
            }
            if let Some(id) = id_of(schema).filter(|id| *id != uri) {
                statements.push(insert_where_missing(&keys::uri(&id), document.clone()));
            }
            statements.push(upsert(&keys::schema(repository, &uri), document));
        }
        let document = encode(&versions_key, &VersionsDocument { v: FORMAT, versions })?;
        statements.push(upsert(&versions_key, document));
        Ok(())
    }

    async fn version(&self) -> Result<RegistryVersion, PortError> {
        let rows = self
            .query(
                "SELECT (SELECT COALESCE(MAX(revision), 0) FROM registry_revision), (SELECT COALESCE(MAX(version), 0) FROM registry_stream_config)",
                vec![],
            )
            .await?;
        let number = |column| rows.first().map_or(0, |row| row.integer(column));
        Ok(RegistryVersion {
            schemas: number(0),
            stream_config: number(1),
        })
    }

    async fn current_version(&self) -> Result<u64, PortError> {
        let rows = self
            .query(
                "SELECT COALESCE(MAX(version), 0) FROM registry_stream_config",
                vec![],
            )
            .await?;
        Ok(rows.first().map_or(0, |row| row.integer(0)))
    }

    async fn publish_stream_config(
        &self,
        if_match: Option<u64>,
        config: &RawValue,
        now: Millis,
    ) -> Result<u64, RegistryError> {
        let parsed = serde_json::from_str(config.get()).map_err(invalid)?;
        let next = StreamConfigs::parse(&parsed).map_err(invalid)?;
        let bytes = config.get().len();
        if bytes > MAX_DOCUMENT_BYTES {
            return Err(invalid(format!(
                "the stream config takes {bytes} bytes, more than the {MAX_DOCUMENT_BYTES} that can be stored: take descriptions and unused streams out"
            )));
        }
        for _ in 0..MAX_TRIES {
            let current = self.current_version().await?;
            if let Some(expected) = if_match.filter(|expected| *expected != current) {
                return Err(RegistryError::VersionMismatch { current, expected });
            }
            if let Some(earlier) = self.configured(current).await? {
                next.check_after(&earlier).map_err(invalid)?;
            }
            let version = current + 1;
            let document = StreamConfigDocument {
                v: FORMAT,
                version,
                published: now,
                config: config.to_owned(),
            };
            let statements = vec![
                Statement::new(
                    "INSERT INTO registry_stream_config (version, published, config) VALUES (?, ?, ?)",
                    vec![
                        version.into(),
                        now.into(),
                        config.get().as_bytes().to_vec().into(),
                    ],
                ),
                upsert(keys::STREAM_CONFIG, encode(keys::STREAM_CONFIG, &document)?),
            ];
            match self.sql.write(statements).await {
                Ok(()) => return Ok(version),
                Err(error) if error.kind == PortErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RegistryError::Unavailable {
            detail: "other publishers won every race".into(),
        })
    }

    /// A version of the stream config, read; `None` if there is none, or one that counts as wrong by now.
    async fn configured(&self, version: u64) -> Result<Option<StreamConfigs>, RegistryError> {
        let stored = self.stream_config(Some(version)).await?;
        Ok(stored
            .and_then(|stored| serde_json::from_str(stored.config?.get()).ok())
            .and_then(|config| StreamConfigs::parse(&config).ok()))
    }

    async fn stream_config(&self, version: Option<u64>) -> Result<Option<StoredConfig>, RegistryError> {
        let version = match version {
            Some(version) => version,
            None => self.current_version().await?,
        };
        let rows = self
            .query(
                "SELECT version, published, config FROM registry_stream_config WHERE version = ?",
                vec![version.into()],
            )
            .await?;
        let Some(mut row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let text = String::from_utf8(row.take_blob(2)).map_err(invalid)?;
        let config = Some(RawValue::from_string(text).map_err(invalid)?);
        Ok(Some(StoredConfig {
            version: row.integer(0),
            published: row.integer(1),
            config,
        }))
    }

    async fn history(&self) -> Result<Vec<StoredConfig>, PortError> {
        let rows = self
            .query(
                "SELECT version, published FROM registry_stream_config ORDER BY version DESC LIMIT ?",
                vec![HISTORY.into()],
            )
            .await?;
        Ok(rows
            .iter()
            .map(|row| StoredConfig {
                version: row.integer(0),
                published: row.integer(1),
                config: None,
            })
            .collect())
    }
}

/// Schemas beside those that are published.
#[derive(Default)]
struct Compared<'s> {
    new: Vec<&'s SchemaFile>,
    unchanged: usize,
    conflicting: Vec<&'s SchemaFile>,
}

fn uri_text(schema: &SchemaFile) -> String {
    format!("/{}/{}", schema.title, schema.version)
}

fn invalid(error: impl ToString) -> RegistryError {
    RegistryError::Invalid {
        message: error.to_string(),
    }
}

fn upsert(key: &str, value: Vec<u8>) -> Statement {
    Statement::new(
        "INSERT INTO registry_kv (key, value, owed) VALUES (?, ?, 1) ON CONFLICT (key) DO UPDATE SET value = excluded.value, owed = 1",
        vec![key.into(), value.into()],
    )
}

/// For the URI a schema calls itself by (`$id`) where it lies elsewhere: events name it by that. A path goes first.
fn insert_where_missing(key: &str, value: Vec<u8>) -> Statement {
    Statement::new(
        "INSERT INTO registry_kv (key, value, owed) VALUES (?, ?, 1) ON CONFLICT (key) DO NOTHING",
        vec![key.into(), value.into()],
    )
}

fn id_of(schema: &SchemaFile) -> Option<SchemaUri> {
    let json: serde_json::Value = serde_json::from_str(&schema.json).ok()?;
    SchemaUri::parse(json.get("$id")?.as_str()?).ok()
}

fn uri_of(schema: &SchemaFile) -> Result<SchemaUri, RegistryError> {
    SchemaUri::parse(&format!("/{}/{}", schema.title, schema.version)).map_err(invalid)
}

fn document(repository: &str, schema: &SchemaFile, now: Millis) -> Result<Vec<u8>, RegistryError> {
    let document = SchemaDocument {
        v: FORMAT,
        repository: repository.to_owned(),
        title: schema.title.clone(),
        version: schema.version.clone(),
        published: now,
        json: schema.json.clone(),
        yaml: schema.yaml.clone(),
    };
    let bytes = encode("schema", &document)?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(invalid(format!(
            "schema /{}/{} takes {} bytes, more than the {MAX_DOCUMENT_BYTES} that can be stored: split it",
            schema.title,
            schema.version,
            bytes.len()
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
