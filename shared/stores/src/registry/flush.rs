//! The writes to KV of what it is owed. Several instances may flush one database at once, so nothing here relies on a lock.

use eventstar_ports::{KeyValueWrite, PortError, Sql, Statement};
use futures_util::StreamExt;

use super::{MAX_TRIES, SqlRegistry};

/// KV writes under way at once: Workers allow six connections that wait for headers.
const KV_WRITES_AT_ONCE: usize = 6;

impl<S: Sql, K: KeyValueWrite> SqlRegistry<S, K> {
    /// Writes to KV what it is owed; returns how many keys it is owed still. A KV failure is no error: what was published
    /// is committed, and the next request tries again.
    pub(super) async fn flush(&self) -> Result<usize, PortError> {
        let mut owed = 0;
        for _ in 0..MAX_TRIES {
            let (tried, failed) = self.write_owed().await?;
            if tried == 0 {
                return Ok(0);
            }
            let rows = self
                .query("SELECT COUNT(*) FROM registry_kv WHERE owed > 0", vec![])
                .await?;
            let count = rows.first().map_or(0, |row| row.integer(0));
            owed = usize::try_from(count).unwrap_or(usize::MAX);
            // More than what failed: another publish was committed meanwhile, so an older value may have come last.
            if owed <= failed {
                break;
            }
        }
        Ok(owed)
    }

    /// Writes each value that KV is owed once; returns how many it tried and how many of them failed.
    async fn write_owed(&self) -> Result<(usize, usize), PortError> {
        let (mut tried, mut failed) = (0, 0);
        let mut after = String::new();
        loop {
            let rows = self
                .query(
                    "SELECT key, value, owed FROM registry_kv WHERE owed > 0 AND key > ? ORDER BY key LIMIT 32",
                    vec![after.as_str().into()],
                )
                .await?;
            let Some(last) = rows.last() else {
                return Ok((tried, failed));
            };
            after = last.text(0).to_owned();
            let writes = rows.into_iter().map(|mut row| async move {
                let (key, value) = (row.text(0).to_owned(), row.take_blob(1));
                let is_written = self.kv.put(&key, &value).await.is_ok();
                (key, value, if is_written { row.integer(2) } else { 0 })
            });
            let written: Vec<_> = futures_util::stream::iter(writes)
                .buffer_unordered(KV_WRITES_AT_ONCE)
                .collect()
                .await;
            tried += written.len();
            failed += written.iter().filter(|(.., mark)| *mark == 0).count();
            let settled = written
                .into_iter()
                .map(|(key, value, mark)| settle(&key, value, mark))
                .collect();
            self.sql.write(settled).await?;
        }
    }
}

/// The key is paid when it still has the value that was written and the mark that was read with it. A newer value is owed
/// once more, as the older one may have reached KV after it, also where that write had no answer (mark 0). The mark then
/// differs from what the newer value's writer read, so it cannot take it away.
fn settle(key: &str, value: Vec<u8>, mark: u64) -> Statement {
    Statement::new(
        "UPDATE registry_kv SET owed = CASE WHEN value <> ? THEN owed + 1 WHEN owed = ? THEN 0 ELSE owed END WHERE key = ?",
        vec![value.into(), mark.into(), key.into()],
    )
}
