//! What is said of single values: `enum`, bounds, `pattern`, `format`, `multipleOf`, `uniqueItems`.

use eventstar_validation::Schema;
use serde_json::{Map, Number, Value, json};

use super::{Comparison, Object, Place, concerns};
use crate::edit::Action;
use crate::incompatibility::{Direction, Rule};
use crate::instance::{beyond, probes, samples};
use crate::schema::{
    BOOLEAN, INTEGER, NULL, NUMBER, Types, declared_types, effective_types, same, type_of, values,
};

/// Formats that accept all that another one accepts, as AJV 6 judges them.
const WIDER: [(&str, &str); 3] = [("uri", "uri-reference"), ("url", "uri"), ("url", "uri-reference")];

/// A pair of bounds.
struct Range {
    lower: &'static str,
    upper: &'static str,
    /// Where a lower bound of this value says nothing.
    floor: f64,
}

const RANGES: [Range; 4] = [
    Range {
        lower: "minimum",
        upper: "maximum",
        floor: f64::NEG_INFINITY,
    },
    Range {
        lower: "minLength",
        upper: "maxLength",
        floor: 0.0,
    },
    Range {
        lower: "minItems",
        upper: "maxItems",
        floor: 0.0,
    },
    Range {
        lower: "minProperties",
        upper: "maxProperties",
        floor: 0.0,
    },
];

/// One end of what a schema accepts, with the keyword that sets it.
#[derive(Clone, Copy)]
struct Limit {
    keyword: &'static str,
    /// As an upper bound: the lower ones are negated.
    value: f64,
    excluded: bool,
}

impl Limit {
    fn is_tighter(self, other: Self) -> bool {
        self.value < other.value || self.value == other.value && self.excluded && !other.excluded
    }
}

impl Comparison<'_> {
    /// `enum` and `const`.
    pub(super) fn enumerations(&mut self, old: &Object, new: &Object, shared: Types, place: &Place) {
        for (direction, rule, accepting, refusing) in [
            (Direction::OldOnly, Rule::EnumNarrowed, old, new),
            (Direction::NewOnly, Rule::EnumWidened, new, old),
        ] {
            let Some(allowed) = values(refusing) else { continue };
            let keyword = if refusing.contains_key("const") {
                "const"
            } else {
                "enum"
            };
            let missing: Option<Vec<Value>> = finite(accepting, shared).map(|values| {
                values
                    .into_iter()
                    .filter(|value| declared_types(refusing) & type_of(value) != 0)
                    .filter(|value| !allowed.iter().any(|one| same(one, value)))
                    .collect()
            });
            let (message, put) = match missing {
                Some(missing) if missing.is_empty() => continue,
                Some(missing) => {
                    let shown: Vec<String> = missing.iter().map(Value::to_string).collect();
                    let shown = shown.join(", ");
                    let message = match direction {
                        Direction::OldOnly => format!("`{keyword}` has lost {shown}"),
                        Direction::NewOnly => format!("`{keyword}` has got {shown}"),
                    };
                    (message, missing)
                }
                None => {
                    let root = self.accepting_root(direction);
                    let mut put = samples(&Value::Object(accepting.clone()), root);
                    put.extend(probes());
                    let message = match direction {
                        Direction::OldOnly => format!("`{keyword}` is new: all values were accepted"),
                        Direction::NewOnly => format!("`{keyword}` is gone: all values are accepted"),
                    };
                    (message, put)
                }
            };
            self.push(
                rule,
                direction,
                place,
                keyword,
                message,
                Action::Put(put),
                Some(keyword),
            );
        }
    }

    /// `minimum`, `maximum` and their kin.
    pub(super) fn bounds(&mut self, old: &Object, new: &Object, shared: Types, place: &Place) {
        for range in &RANGES {
            if concerns(range.lower) & shared == 0 {
                continue;
            }
            for end in [lower, upper] {
                let only_integers = shared & NUMBER == INTEGER;
                let (old_limit, new_limit) = (end(range, old, only_integers), end(range, new, only_integers));
                for (direction, rule, accepting, refusing, wide, tight) in [
                    (
                        Direction::OldOnly,
                        Rule::BoundNarrowed,
                        old,
                        new,
                        old_limit,
                        new_limit,
                    ),
                    (
                        Direction::NewOnly,
                        Rule::BoundWidened,
                        new,
                        old,
                        new_limit,
                        old_limit,
                    ),
                ] {
                    if !tight.is_tighter(wide) || fits(accepting, refusing, tight.keyword, shared) {
                        continue;
                    }
                    let message = match (
                        direction,
                        accepting.get(wide.keyword),
                        refusing.get(tight.keyword),
                    ) {
                        (Direction::OldOnly, Some(was), Some(is)) => {
                            format!("`{}` is {is}, after `{}` {was}", tight.keyword, wide.keyword)
                        }
                        (Direction::NewOnly, Some(is), Some(was)) => {
                            format!("`{}` is {is}, after `{}` {was}", wide.keyword, tight.keyword)
                        }
                        (Direction::OldOnly, None, Some(is)) => format!("`{}` {is} is new", tight.keyword),
                        (_, _, Some(was)) => format!("`{}` {was} is gone", tight.keyword),
                        (_, _, None) => format!("`{}` changed", tight.keyword),
                    };
                    let root = self.accepting_root(direction);
                    let put = beyond(tight.keyword, tight.value.abs(), accepting, refusing, root);
                    self.push(
                        rule,
                        direction,
                        place,
                        tight.keyword,
                        message,
                        Action::Put(put),
                        Some(tight.keyword),
                    );
                }
            }
        }
    }

    /// `pattern`, `format`, `multipleOf`, `uniqueItems`.
    pub(super) fn scalars(&mut self, old: &Object, new: &Object, shared: Types, place: &Place) {
        for (keyword, narrowed, widened) in [
            ("pattern", Rule::PatternNarrowed, Rule::PatternWidened),
            ("format", Rule::FormatNarrowed, Rule::FormatWidened),
            ("multipleOf", Rule::ValueNarrowed, Rule::ValueWidened),
            ("uniqueItems", Rule::ValueNarrowed, Rule::ValueWidened),
        ] {
            if concerns(keyword) & shared == 0 {
                continue;
            }
            let says = |schema: &Object| {
                schema
                    .get(keyword)
                    .filter(|value| **value != json!(false))
                    .cloned()
            };
            let (was, is) = (says(old), says(new));
            for (direction, rule, accepting, refusing, lax, strict) in [
                (Direction::OldOnly, narrowed, old, new, &was, &is),
                (Direction::NewOnly, widened, new, old, &is, &was),
            ] {
                let Some(strict) = strict else { continue };
                if lax.as_ref().is_some_and(|lax| implies(keyword, lax, strict))
                    || fits(accepting, refusing, keyword, shared)
                {
                    continue;
                }
                let message = match (&was, &is) {
                    (Some(was), Some(is)) => format!("`{keyword}` is {is}, after {was}"),
                    (None, Some(is)) => format!("`{keyword}` {is} is new"),
                    (Some(was), None) => format!("`{keyword}` {was} is gone"),
                    (None, None) => continue,
                };
                let root = self.accepting_root(direction);
                let schema = Value::Object(accepting.clone());
                let mut put = samples(&schema, root);
                match keyword {
                    "multipleOf" => put.extend(off_the_grid(strict, lax.as_ref())),
                    "uniqueItems" => put = twice(&put),
                    _ => put.extend(probes()),
                }
                self.push(
                    rule,
                    direction,
                    place,
                    keyword,
                    message,
                    Action::Put(put),
                    Some(keyword),
                );
            }
        }
    }
}

/// All values a schema accepts, where they can be counted.
fn finite(schema: &Object, types: Types) -> Option<Vec<Value>> {
    if let Some(values) = values(schema) {
        return Some(values.into_iter().cloned().collect());
    }
    if types & !(NULL | BOOLEAN) != 0 || effective_types(schema) & !(NULL | BOOLEAN) != 0 {
        return None;
    }
    let mut values = Vec::new();
    if types & BOOLEAN != 0 {
        values.extend([json!(false), json!(true)]);
    }
    if types & NULL != 0 {
        values.push(Value::Null);
    }
    Some(values)
}

/// Whether the few values that one version accepts all pass a keyword of the other: a bound on an `enum` of short
/// names refuses none of them.
fn fits(accepting: &Object, refusing: &Object, keyword: &str, shared: Types) -> bool {
    let (Some(values), Some(limit)) = (finite(accepting, shared), refusing.get(keyword)) else {
        return false;
    };
    let mut only = Map::new();
    only.insert(keyword.to_owned(), limit.clone());
    Schema::compile(&Value::Object(only).to_string())
        .is_ok_and(|schema| values.iter().all(|value| schema.validate(value).is_ok()))
}

/// Whether all that passes `lax` passes `strict`.
fn implies(keyword: &str, lax: &Value, strict: &Value) -> bool {
    match (keyword, lax, strict) {
        ("multipleOf", Value::Number(lax), Value::Number(strict)) => ratio(lax, strict).fract() == 0.0,
        ("format", Value::String(narrow), Value::String(wide)) => {
            narrow == wide || WIDER.contains(&(narrow.as_str(), wide.as_str()))
        }
        _ => lax == strict,
    }
}

fn ratio(a: &Number, b: &Number) -> f64 {
    a.as_f64().unwrap_or_default() / b.as_f64().unwrap_or(f64::NAN)
}

fn off_the_grid(strict: &Value, lax: Option<&Value>) -> Vec<Value> {
    let step = lax.or(Some(strict)).and_then(Value::as_f64).unwrap_or(1.0);
    let mut numbers = vec![json!(1), json!(step)];
    numbers.extend([2.0, 3.0, 0.5].map(|factor| json!(step * factor)));
    numbers
}

/// Arrays that hold one item twice.
fn twice(arrays: &[Value]) -> Vec<Value> {
    let mut twice: Vec<Value> = arrays
        .iter()
        .filter_map(|array| array.as_array()?.first())
        .map(|first| json!([first, first]))
        .collect();
    twice.push(json!([1, 1]));
    twice.push(json!(["x", "x"]));
    twice
}

fn upper(range: &Range, schema: &Object, only_integers: bool) -> Limit {
    let exclusive = if range.upper == "maximum" {
        "exclusiveMaximum"
    } else {
        ""
    };
    limit(schema, range.upper, exclusive, f64::INFINITY, 1.0, only_integers)
}

fn lower(range: &Range, schema: &Object, only_integers: bool) -> Limit {
    let exclusive = if range.lower == "minimum" {
        "exclusiveMinimum"
    } else {
        ""
    };
    limit(schema, range.lower, exclusive, -range.floor, -1.0, only_integers)
}

/// The tighter of a bound and its exclusive form, which draft 4 writes as a boolean beside the bound.
fn limit(
    schema: &Object,
    keyword: &'static str,
    exclusive: &'static str,
    none: f64,
    sign: f64,
    only_integers: bool,
) -> Limit {
    let number = |keyword: &str| {
        schema
            .get(keyword)
            .and_then(Value::as_f64)
            .map(|value| value * sign)
    };
    let mut limit = Limit {
        keyword,
        value: number(keyword).unwrap_or(none).min(none),
        excluded: schema.get(exclusive) == Some(&Value::Bool(true)),
    };
    if let Some(value) = number(exclusive) {
        let other = Limit {
            keyword: exclusive,
            value,
            excluded: true,
        };
        if other.is_tighter(limit) {
            limit = other;
        }
    }
    if only_integers && limit.value.is_finite() {
        if limit.excluded && limit.value.fract() == 0.0 {
            limit.value -= 1.0;
        }
        limit.value = limit.value.floor();
        limit.excluded = false;
    }
    limit
}
