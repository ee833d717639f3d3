//! Which values are the same to JSON Schema: `1` and `1.0` are, and members have no order.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use jsonschema::json::cmp::equal;
use serde_json::{Number, Value};

use super::{HASHED_BYTES_A_STEP, take};

/// True if two values are the same. Each pair of values within that is looked at takes a step.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    if !take(1) {
        return false;
    }
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (Value::String(a), Value::String(b)) => {
            a.len() == b.len() && take(a.len() / HASHED_BYTES_A_STEP) && a == b
        }
        (a, b) => equal(a, b),
    }
}

/// The items that are the same: of those that stand last the second, and the first before it. AJV finds them by a search from
/// the end (`i`) for an equal item before it (`j`). Here equal ones are found by their hash.
pub(crate) fn duplicates(items: &[Value]) -> Option<(usize, usize)> {
    let mut hashes: Vec<(u64, usize)> = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let mut hasher = DefaultHasher::new();
        hash(item, &mut hasher)?;
        hashes.push((hasher.finish(), place));
    }
    hashes.sort_unstable();
    let pairs = hashes.chunk_by(|a, b| a.0 == b.0).filter_map(|alike| {
        (1..alike.len()).rev().find_map(|last| {
            let (before, rest) = alike.split_at(last);
            let i = rest.first()?.1;
            let item = items.get(i)?;
            let (_, j) = before
                .iter()
                .rev()
                .find(|(_, j)| items.get(*j).is_some_and(|other| same(other, item)))?;
            Some((i, *j))
        })
    });
    pairs.max()
}

/// Feeds a value to a hasher, the same for those that are the same; `None` where no step is left.
fn hash(value: &Value, into: &mut DefaultHasher) -> Option<()> {
    take(1).then_some(())?;
    std::mem::discriminant(value).hash(into);
    match value {
        Value::Null => {}
        Value::Bool(flag) => flag.hash(into),
        Value::Number(number) => digits(number).hash(into),
        Value::String(text) => {
            take(text.len() / HASHED_BYTES_A_STEP);
            text.hash(into);
        }
        Value::Array(items) => {
            items.len().hash(into);
            items.iter().try_for_each(|item| hash(item, into))?;
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            members.len().hash(into);
            for (name, value) in members {
                take(name.len() / HASHED_BYTES_A_STEP);
                name.hash(into);
                hash(value, into)?;
            }
        }
    }
    Some(())
}

/// A number as its double, and its digits where they are more than a double has.
fn digits(number: &Number) -> (u64, i128) {
    let double = number.as_f64().unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "equal doubles are cut to equal integers"
    )]
    let whole = number.as_i128().unwrap_or(double as i128);
    // `-0.0` is `0`.
    ((double + 0.0).to_bits(), whole)
}
