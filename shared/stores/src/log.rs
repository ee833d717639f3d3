//! The stream log over SQL: append in chunks, read by offset and by time.

mod open;
mod recent;
mod retention;

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::{Appended, Chunk, LogName, Retention};
use eventstar_ports::{Config, PortError, PortErrorKind, Row, Sql, SqlValue, Statement};

use self::recent::{Needed, Recent};

/// Largest chunk, in bytes of its lines. A row of a SQLite-backed Durable Object holds 2 MB.
const MAX_CHUNK_BYTES: usize = 1_000_000;

/// How often an append that lost the race for the next offset is tried again.
const MAX_TRIES: usize = 50;

/// Chunks read in one query.
const CHUNKS_PER_READ: u64 = 8;

/// How long a retry of an event is recognised, in milliseconds, where the setting `RETRY_WINDOW_MS` does not say otherwise.
const RETRY_WINDOW: Millis = 300_000;

/// Longest window: a day.
pub(crate) const MAX_RETRY_WINDOW: Millis = 86_400_000;

/// Delivery ids that the owner of a log remembers at most: some 6 MB.
const MAX_REMEMBERED: usize = 100_000;

/// Delivery ids that an append reads at most to recognise retries, where nobody remembers them.
const MAX_READ: usize = 1_000;

/// Chunks whose ids are read in one query, after the last.
const CHUNKS_PER_SCAN: i64 = 256;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS chunk (log TEXT NOT NULL, base INTEGER NOT NULL, count INTEGER NOT NULL, \
     first INTEGER NOT NULL, last INTEGER NOT NULL, ids BLOB NOT NULL, lines BLOB NOT NULL, PRIMARY KEY (log, base)) WITHOUT ROWID";

/// An insert like the others, but at the end of the log, wherever that is by now.
const INSERT_AT_END: &str = "INSERT INTO chunk (log, base, count, first, last, ids, lines) \
     SELECT ?1, COALESCE(head.base + head.count, 0), ?3, MAX(?4, COALESCE(head.last, 0)), MAX(?5, COALESCE(head.last, 0)), ?6, ?7 \
     FROM (SELECT 1) LEFT JOIN (SELECT base, count, last FROM chunk WHERE log = ?1 ORDER BY base DESC LIMIT 1) AS head ON TRUE \
     WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE log = ?1 AND base >= ?2 AND instr(ids, ?8) > 0)";

/// The stream log in a SQLite database. The primary key serves offset and time lookups: timestamps never run backwards,
/// so a time is found by bisection over offsets, and one append is one row.
#[derive(Debug, Clone)]
pub struct SqlLog<S> {
    sql: S,
    retry_window: Millis,
    /// What the owner of a log remembers of it; taken while an append is under way.
    memory: Option<Rc<RefCell<Option<Recent>>>>,
}

/// How long a retry is recognised: the setting `RETRY_WINDOW_MS`, 0 for not at all, at most a day.
pub fn retry_window(config: &impl Config) -> Millis {
    config
        .get("RETRY_WINDOW_MS")
        .and_then(|text| text.parse().ok())
        .map_or(RETRY_WINDOW, |window: Millis| window.min(MAX_RETRY_WINDOW))
}

/// The end of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Head {
    next: u64,
    last: Millis,
}

impl<S: Sql> SqlLog<S> {
    /// The logs in the database `sql`.
    pub fn new(sql: S) -> Self {
        Self {
            sql,
            retry_window: RETRY_WINDOW,
            memory: None,
        }
    }

    /// The one log in the database `sql`, for its only writer, which then need not read what it wrote itself.
    pub fn owned(sql: S) -> Self {
        Self {
            memory: Some(Rc::default()),
            ..Self::new(sql)
        }
    }

    /// With another window for retries than five minutes; see [`retry_window`].
    #[must_use]
    pub fn with_retry_window(self, retry_window: Millis) -> Self {
        Self { retry_window, ..self }
    }

    /// Creates the tables where they are missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn prepare(&self) -> Result<(), PortError> {
        let tables = [TABLE, retention::TABLE].map(|table| Statement::new(table, vec![]));
        self.sql.write(tables.into()).await
    }

    /// Runs `query`, creating the tables when it is the first to need them.
    async fn query(&self, sql: &'static str, params: Vec<SqlValue>) -> Result<Vec<Row>, PortError> {
        let statement = Statement::new(sql, params);
        match self.sql.query(statement.clone()).await {
            Err(error) if error.detail.contains("no such table") => {
                self.prepare().await?;
                self.sql.query(statement).await
            }
            answer => answer,
        }
    }

    /// Runs `statements` in one transaction, creating the tables when they are the first to need them.
    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        match self.sql.write(statements.clone()).await {
            Err(error) if error.detail.contains("no such table") => {
                self.prepare().await?;
                self.sql.write(statements).await
            }
            answer => answer,
        }
    }

    /// Appends a batch; one row a chunk. Events whose delivery id is in the log already are left out.
    ///
    /// # Errors
    /// The database's; `Unavailable` when other writers won every race.
    pub async fn append(&self, log: &LogName, batch: &[Envelope]) -> Result<Appended, PortError> {
        self.append_with(log, batch, None).await
    }

    /// The same, for a stream with this retention; without, what the log was told last counts.
    ///
    /// # Errors
    /// As [`SqlLog::append`].
    pub async fn append_with(
        &self,
        log: &LogName,
        batch: &[Envelope],
        retention: Option<Retention>,
    ) -> Result<Appended, PortError> {
        let (appended, _) = self.append_and_look(log, batch, retention).await?;
        Ok(appended)
    }

    /// The same; tells also whether it looked for what has expired.
    pub(crate) async fn append_and_look(
        &self,
        log: &LogName,
        batch: &[Envelope],
        retention: Option<Retention>,
    ) -> Result<(Appended, bool), PortError> {
        let name = log.to_string();
        let (appended, before) = self.append_batch(&name, batch).await?;
        let looks = appended.written > 0 && retention::must_look(before, batch, retention);
        if looks {
            // The batch is durable whatever becomes of this: what fails here is made up for by the next look.
            let _ = self
                .drop_expired(&name, retention, retention::newest(batch))
                .await;
        }
        Ok((appended, looks))
    }

    /// Appends a batch; returns also where the log ended before.
    async fn append_batch(&self, name: &str, batch: &[Envelope]) -> Result<(Appended, Head), PortError> {
        let needed = Needed::by(batch, self.retry_window, self.most_ids());
        let mut overtaken = false;
        for _ in 0..MAX_TRIES {
            // What goes wrong below leaves nothing remembered: the next append reads what is true.
            let remembered = self.memory.as_ref().and_then(|memory| memory.take());
            let recent = match remembered.filter(|recent| recent.is_of(name) && recent.has(&needed)) {
                Some(recent) => recent,
                None => self.read_recent(name, &needed).await?,
            };
            let head = recent.head;
            let mut seen = HashSet::new();
            let fresh: Vec<&Envelope> = batch
                .iter()
                .filter(|event| {
                    let id = id_bytes(&event.id);
                    !recent.contains(&id) && seen.insert(id)
                })
                .collect();
            let duplicates = (batch.len() - fresh.len()) as u64;
            let appended = Appended {
                base: head.next,
                written: fresh.len() as u64,
                duplicates,
            };
            if fresh.is_empty() {
                self.remember(recent);
                return Ok((appended, head));
            }
            if overtaken && let Some(base) = self.append_at_end(name, head, &fresh).await? {
                return Ok((Appended { base, ..appended }, head));
            }
            match self.sql.write(inserts(name, head, &fresh)).await {
                Ok(()) => {
                    self.remember(recent.with(&fresh));
                    return Ok((appended, head));
                }
                Err(error) if error.kind == PortErrorKind::Conflict => overtaken = true,
                Err(error) => return Err(error),
            }
        }
        Err(PortError::unavailable(
            "log",
            format!("{name}: {MAX_TRIES} appends in a row lost the race for an offset"),
        ))
    }

    fn most_ids(&self) -> usize {
        if self.memory.is_some() {
            MAX_REMEMBERED
        } else {
            MAX_READ
        }
    }

    /// Remembers, unless an append that ended later did so already.
    fn remember(&self, mut recent: Recent) {
        let Some(memory) = &self.memory else {
            return;
        };
        recent.forget_older(self.retry_window, MAX_REMEMBERED);
        let mut memory = memory.borrow_mut();
        if memory
            .as_ref()
            .is_none_or(|other| other.head.next <= recent.head.next)
        {
            *memory = Some(recent);
        }
    }

    /// Appends where others append at the same moment: the database itself finds the end, so nobody overtakes this. Returns
    /// the offset; `None` when `events` need several chunks, or when a chunk that came after `head` was read holds the
    /// first of them, which is then being delivered twice.
    async fn append_at_end(
        &self,
        name: &str,
        head: Head,
        events: &[&Envelope],
    ) -> Result<Option<u64>, PortError> {
        let first_id = events.first().map(|event| id_bytes(&event.id).to_vec());
        let mut inserts = inserts(name, Head { last: 0, ..head }, events);
        let (Some(mut insert), true, Some(first_id)) = (inserts.pop(), inserts.is_empty(), first_id) else {
            return Ok(None);
        };
        insert.sql = INSERT_AT_END;
        insert.params.push(first_id.clone().into());
        self.sql.write(vec![insert]).await?;
        let rows = self
            .query(
                "SELECT base FROM chunk WHERE log = ? AND base >= ? AND instr(ids, ?) = 1 ORDER BY base LIMIT 1",
                vec![name.into(), head.next.into(), first_id.into()],
            )
            .await?;
        Ok(rows.first().map(|row| row.integer(0)))
    }

    /// Reads the head, and the delivery ids of every chunk that may hold an event of the batch.
    ///
    /// An event is stored with its receive time, which redelivery keeps, and timestamps never run backwards: so
    /// only chunks that end at the batch's earliest receive time or later can hold one. For new events that is
    /// the last chunk or none. A retry has a receive time of its own: for it the chunks of the window are read, too.
    async fn read_recent(&self, name: &str, needed: &Needed) -> Result<Recent, PortError> {
        let mut recent = Recent::of(name);
        // The largest offset there can be: JavaScript hosts pass integers as doubles.
        let mut before = (1_i64 << 53) - 1;
        // For new events the last chunk tells all.
        let mut limit = 1;
        loop {
            let rows = self
                .query(
                    "SELECT base, count, last, ids FROM chunk WHERE log = ? AND base < ? ORDER BY base DESC LIMIT ?",
                    vec![name.into(), SqlValue::Integer(before), SqlValue::Integer(limit)],
                )
                .await?;
            let ended = i64::try_from(rows.len()).is_ok_and(|rows| rows < limit);
            limit = CHUNKS_PER_SCAN;
            for mut row in rows {
                let (base, count, last) = (row.integer(0), row.integer(1), row.integer(2));
                let chunk_head = Head {
                    next: base + count,
                    last,
                };
                if !recent.add_older(chunk_head, needed, || row.take_blob(3)) {
                    return Ok(recent);
                }
                before = i64::try_from(base).unwrap_or(0);
            }
            if ended {
                recent.is_all();
                return Ok(recent);
            }
        }
    }

    /// The chunks from the one that holds the offset `from`, until `max_bytes` are reached; at least one if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(&self, log: &LogName, from: u64, max_bytes: usize) -> Result<Vec<Chunk>, PortError> {
        let name = log.to_string();
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut size = 0;
        let mut next = from;
        while size < max_bytes {
            let rows = self
                .query(
                    "SELECT base, count, first, last, lines FROM chunk WHERE log = ?1 AND base + count > ?2 AND base >= \
                     COALESCE((SELECT MAX(base) FROM chunk WHERE log = ?1 AND base <= ?2), 0) AND length(lines) > 0 \
                     ORDER BY base LIMIT ?3",
                    vec![name.as_str().into(), next.into(), CHUNKS_PER_READ.into()],
                )
                .await?;
            // Nothing comes after these yet.
            let ended = (rows.len() as u64) < CHUNKS_PER_READ;
            for mut row in rows {
                let chunk = Chunk {
                    base: row.integer(0),
                    count: row.integer(1),
                    first: row.integer(2),
                    last: row.integer(3),
                    lines: Bytes::from(row.take_blob(4)),
                };
                size += chunk.lines.len();
                next = chunk.next();
                chunks.push(chunk);
                if size >= max_bytes {
                    break;
                }
            }
            if ended {
                break;
            }
        }
        Ok(chunks)
    }
}

/// One insert a chunk. The first carries the offset that another writer may have taken meanwhile.
fn inserts(name: &str, head: Head, events: &[&Envelope]) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut at = head;
    let mut rest = events;
    while !rest.is_empty() {
        let mut lines = Vec::new();
        let mut ids = Vec::new();
        let mut taken = 0;
        let (base, mut first) = (at.next, None);
        for event in rest {
            let before = lines.len();
            event.write_line(&mut lines);
            if taken > 0 && lines.len() > MAX_CHUNK_BYTES {
                lines.truncate(before);
                break;
            }
            at.last = at.last.max(event.dt);
            first.get_or_insert(at.last);
            ids.extend_from_slice(&id_bytes(&event.id));
            taken += 1;
        }
        at.next += taken as u64;
        statements.push(Statement::new(
            "INSERT INTO chunk (log, base, count, first, last, ids, lines) VALUES (?, ?, ?, ?, ?, ?, ?)",
            vec![
                name.into(),
                base.into(),
                (taken as u64).into(),
                first.unwrap_or_default().into(),
                at.last.into(),
                ids.into(),
                lines.into(),
            ],
        ));
        rest = rest.get(taken..).unwrap_or_default();
    }
    statements
}

/// A delivery id in 16 bytes; ids that are no UUIDs are hashed.
fn id_bytes(id: &str) -> [u8; 16] {
    uuid::Uuid::try_parse(id).map_or_else(
        |_| {
            let hash = |seed: u64| {
                id.bytes().fold(seed, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                })
            };
            let wide =
                (u128::from(hash(0xcbf2_9ce4_8422_2325)) << 64) | u128::from(hash(0x9e37_79b9_7f4a_7c15));
            wide.to_be_bytes()
        },
        uuid::Uuid::into_bytes,
    )
}

#[cfg(test)]
mod tests;
