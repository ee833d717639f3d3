//! Judging an event and explaining what is wrong with it, each in a bounded number of steps.

use serde_json::Value;

use super::{BACKTRACK_LIMIT, Schema};
use crate::ajv::{AjvError, Errors, MAX_ERRORS, translate};
use crate::breadth::{Breadth, values};
use crate::metered::{Allowance, is_spent, keep_whole};
use crate::order::order;

/// Steps that judging an event may take, and explaining it once more. An event of a megabyte has half a million values at
/// most; those of usual schemas take fewer than four steps each.
const MAX_STEPS: usize = 4_000_000;

/// The number of times that a pattern goes back in a step.
const BACKTRACKS_A_STEP: usize = 4;

/// The most errors that are looked for, for each that is reported: those that AJV finds first are told.
const FOUND_FOR_ONE: usize = 10;

/// Steps an error takes for each value in a `not`, which it has a copy of. For each member that a schema has names for it takes
/// one: it is sorted by their order.
const COPY_STEPS: usize = 16;

impl Schema {
    /// Validates an event. At most [`MAX_ERRORS`] are reported, fewer where they repeat long names or values; an event that
    /// takes too many steps to judge has the single error `too_much`.
    ///
    /// # Errors
    /// The errors, in AJV's words.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<AjvError>> {
        self.validate_telling(value, MAX_ERRORS)
    }

    /// As [`Schema::validate`], with at most so many errors.
    ///
    /// # Errors
    /// The errors, in AJV's words.
    pub fn validate_telling(&self, value: &Value, most: usize) -> Result<(), Vec<AjvError>> {
        self.allowance(most).begin();
        let valid = self.validator.is_valid(value);
        let spent = is_spent();
        Allowance::ENDLESS.begin();
        if spent {
            let does = "takes too many steps to judge by its schema";
            return Err(vec![AjvError::too_much(does)]);
        }
        if valid {
            Ok(())
        } else {
            Err(self.explain(value, most))
        }
    }

    pub(super) fn allowance(&self, errors: usize) -> Allowance {
        allowance(self.breadth, errors)
    }

    /// The faults of an event that is not valid.
    fn explain(&self, event: &Value, most: usize) -> Vec<AjvError> {
        self.allowance(most).begin();
        let whole = self.breadth.backtracks.then_some(event);
        keep_whole(whole, whole.map_or(0, values));
        let mut found: Vec<_> = self.validator.iter_errors(event).collect();
        Allowance::ENDLESS.begin();
        found.sort_by_cached_key(|error| order(&self.cleaned, event, error));
        let mut errors = Errors::new(most);
        for error in &found {
            if errors.is_full() {
                break;
            }
            translate(&self.cleaned, event, error, &mut errors);
        }
        if errors.all.is_empty() {
            errors.push(AjvError::too_much(
                "is not valid, and takes too many steps to say where",
            ));
        }
        errors
            .all
            .iter_mut()
            .for_each(|error| self.patterns.restore(error));
        errors.all
    }
}

/// The steps for an event and a schema of some breadth, where so many errors are wanted.
pub(super) fn allowance(breadth: Breadth, errors: usize) -> Allowance {
    let found = FOUND_FOR_ONE * errors.max(1);
    Allowance {
        steps: MAX_STEPS,
        error: MAX_STEPS / found + breadth.names + COPY_STEPS * breadth.copied,
        patterns: breadth.patterns,
        backtracking: if breadth.backtracks {
            BACKTRACK_LIMIT / BACKTRACKS_A_STEP
        } else {
            0
        },
    }
}
