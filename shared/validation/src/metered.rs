//! Values whose reading is counted, so that judging an event has an end.
//!
//! The `jsonschema` crate validates any representation of JSON. This one is `serde_json`'s with a meter: each look at a
//! value, each comparison and each error takes steps. When none are left, arrays and objects end where they stand, so that
//! validation soon does, too. What it found after that counts for nothing: [`is_spent`] tells it of a verdict, [`is_cut`] of an
//! error.

mod same;

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::ControlFlow;

use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, SerdeJson};
use jsonschema::{JsonType, ValidationError};
use serde_json::{Map, Number, Value};

pub(crate) use same::{duplicates, same};

/// Bytes of a text that are matched with a pattern in a step.
const MATCHED_BYTES_A_STEP: usize = 4;

/// Bytes of a text that are hashed or compared in a step.
pub(crate) const HASHED_BYTES_A_STEP: usize = 32;

/// Texts with fewer bytes are matched soon, however often a pattern goes back in them.
const SHORT: usize = 10;

/// Steps to match a name with a pattern, besides one for each of its bytes.
const PATTERN_STEPS: usize = 8;

/// Steps an error takes for each byte of the longest name: its place in the event is written several times and sorted by.
const PLACE_STEPS: usize = 4;

/// Members of the widest object that an error's place is looked for among in a step.
const MEMBERS_A_STEP: usize = 16;

/// The most that may be done, and the cost of each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) steps: usize,
    /// Steps an error takes.
    pub(crate) error: usize,
    /// Most patterns that a member's name is matched with at once.
    pub(crate) patterns: usize,
    /// Steps that matching a text takes besides, where it is long enough to go back and forth in.
    pub(crate) backtracking: usize,
}

impl Allowance {
    /// No bound, for work that ends by itself.
    pub(crate) const ENDLESS: Self = Self {
        steps: usize::MAX,
        error: 0,
        patterns: 0,
        backtracking: 0,
    };

    fn backtracking_in(self, text: &str) -> usize {
        if text.len() < SHORT { 0 } else { self.backtracking }
    }

    /// Allows no more than this on this thread, from now on.
    pub(crate) fn begin(self) {
        STEPS.set(self.steps);
        COSTS.set(self);
        LONGEST_NAME.set(0);
        WIDEST.set(0);
    }
}

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(usize::MAX) };
    static COSTS: Cell<Allowance> = const { Cell::new(Allowance::ENDLESS) };
    static LONGEST_NAME: Cell<usize> = const { Cell::new(0) };
    static WIDEST: Cell<usize> = const { Cell::new(0) };
}

/// Takes steps; whether there were any left.
pub(crate) fn take(steps: usize) -> bool {
    let left = STEPS.get();
    STEPS.set(left.saturating_sub(steps));
    #[cfg(test)]
    if left == 0 {
        OVERRUN.set(OVERRUN.get() + 1);
    }
    left > 0
}

/// True if no step is left.
pub(crate) fn is_spent() -> bool {
    STEPS.get() == 0
}

#[cfg(test)]
thread_local! {
    static OVERRUN: Cell<usize> = const { Cell::new(0) };
}

/// Steps that are left.
#[cfg(test)]
pub(crate) fn left() -> usize {
    STEPS.get()
}

/// The number of times that steps were asked for when none was left, since this was asked last.
#[cfg(test)]
pub(crate) fn overrun() -> usize {
    OVERRUN.take()
}

/// The value that an error points to that was found when no step was left.
static CUT: Value = Value::Null;

/// The value that an error points to instead of a value that may be large.
static LARGE: Value = Value::Null;

/// The value that errors point to as it is, how many steps that takes, and whether one did when none was left.
#[derive(Debug, Clone, Copy)]
struct Whole {
    value: *const Value,
    steps: usize,
    is_cut: bool,
}

thread_local! {
    static WHOLE: Cell<Whole> = const { Cell::new(Whole { value: std::ptr::null(), steps: 0, is_cut: false }) };
}

/// From now on errors about this value point to it, each for so many steps: the validator itself looks for the place of a text
/// in the event, where a pattern went back and forth in it too often.
pub(crate) fn keep_whole(value: Option<&Value>, steps: usize) {
    WHOLE.set(Whole {
        value: value.map_or(std::ptr::null(), |value| value),
        steps,
        is_cut: false,
    });
}

/// True if an error was found when no step was left: it may be none.
pub(crate) fn is_cut(error: &ValidationError<'_>) -> bool {
    let found: *const Value = &raw const **error.instance();
    let whole = WHOLE.get();
    std::ptr::eq(found, &raw const CUT) || (whole.is_cut && std::ptr::eq(found, whole.value))
}

/// JSON as `serde_json` reads it, with a meter.
pub(crate) struct Metered;

impl Json for Metered {
    type Node<'a> = &'a Value;
    type PreparedKey = String;
    type StringBuffer = Value;

    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(&Value) -> T) -> T {
        *buffer = Value::from(string);
        f(buffer)
    }
}

impl<'a> Node<'a, Metered> for &'a Value {
    type Object = &'a Map<String, Value>;
    type Array = &'a Vec<Value>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<&'a Map<String, Value>> {
        take(1);
        Value::as_object(self)
    }

    fn as_array(&self) -> Option<&'a Vec<Value>> {
        take(1);
        Value::as_array(self)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.as_str()?;
        // A pattern may be matched with it.
        let left = take(1 + text.len() / MATCHED_BYTES_A_STEP + COSTS.get().backtracking_in(text));
        Some(Cow::Borrowed(if left { text } else { "" }))
    }

    fn as_number(&self) -> Option<&'a Number> {
        take(1);
        Value::as_number(self)
    }

    fn as_boolean(&self) -> Option<bool> {
        take(1);
        self.as_bool()
    }

    fn is_null(&self) -> bool {
        take(1);
        Value::is_null(self)
    }

    fn is_number(&self) -> bool {
        take(1);
        Value::is_number(self)
    }

    fn is_string(&self) -> bool {
        take(1);
        Value::is_string(self)
    }

    fn json_type(&self) -> JsonType {
        take(1);
        Node::<SerdeJson>::json_type(self)
    }

    fn string_length(&self) -> Option<u64> {
        take(1);
        Node::<SerdeJson>::string_length(self)
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        take(1);
        Node::<SerdeJson>::string_length_within(self, min, max)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        same(self, expected)
    }

    /// Called for errors alone, and copied for those within branches. None needs what is in the value, but that of a name the
    /// name: what it is about is found in the event by its place.
    fn to_value(&self) -> Cow<'a, Value> {
        let longest = LONGEST_NAME.get();
        let place = PLACE_STEPS * longest + WIDEST.get() / MEMBERS_A_STEP;
        let left = take(COSTS.get().error + place);
        let mut whole = WHOLE.get();
        if std::ptr::eq(*self, whole.value) {
            whole.is_cut |= !take(whole.steps);
            WHOLE.set(whole);
            return Cow::Borrowed(self);
        }
        Cow::Borrowed(match self {
            _ if !left => &CUT,
            Value::Array(_) | Value::Object(_) => &LARGE,
            Value::String(text) if text.len() > longest => &LARGE,
            small => small,
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Node::<SerdeJson>::identity(self)
    }
}

impl<'a> Object<'a, Metered> for &'a Map<String, Value> {
    type Node = &'a Value;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        Map::len(self)
    }

    fn get(&self, key: &String) -> Option<&'a Value> {
        take(1);
        Object::<SerdeJson>::get(self, key)
    }

    fn members(&self) -> Members<'a> {
        WIDEST.set(WIDEST.get().max(Map::len(self)));
        Members(self.iter())
    }

    fn try_for_each_name_node<B>(
        &self,
        buffer: &mut Value,
        mut f: impl FnMut(&Value) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (name, _) in Members(self.iter()) {
            *buffer = Value::from(name);
            f(buffer)?;
        }
        ControlFlow::Continue(())
    }
}

impl<'a> Array<'a, Metered> for &'a Vec<Value> {
    type Node = &'a Value;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn elements(&self) -> Elements<'a> {
        Elements(self.iter())
    }

    fn is_unique(&self) -> bool {
        duplicates(self).is_none()
    }
}

/// The members of an object, while steps are left.
pub(crate) struct Members<'a>(serde_json::map::Iter<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.0.next()?;
        LONGEST_NAME.set(LONGEST_NAME.get().max(name.len()));
        let costs = COSTS.get();
        let matching = costs.patterns * (PATTERN_STEPS + name.len() + costs.backtracking_in(name));
        // It is looked up among names by its hash.
        take(1 + name.len() / HASHED_BYTES_A_STEP + matching).then_some((name.as_str(), value))
    }
}

/// The elements of an array, while steps are left.
pub(crate) struct Elements<'a>(std::slice::Iter<'a, Value>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a Value;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0.next()?;
        take(1).then_some(item)
    }
}
