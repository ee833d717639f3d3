//! Which partition an event goes to.

/// The partition of `key` among `partitions`, by FNV-1a.
///
/// The key is the message key, else `meta.id`, else the event's text. The function must never change for
/// stored topics: order per key depends on it.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    if partitions < 2 {
        return 0;
    }
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u32::try_from(hash % u64::from(partitions)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_partition() {
        // Pinned: a change here would break the order of keys that are already stored.
        assert_eq!(partition_of(b"enwiki:1", 8), 7);
        assert_eq!(partition_of(b"anything", 1), 0);
        assert_eq!(partition_of(b"anything", 0), 0);
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut counts = [0_u32; 8];
        for n in 0..8000 {
            counts[partition_of(format!("key-{n}").as_bytes(), 8) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }
}
