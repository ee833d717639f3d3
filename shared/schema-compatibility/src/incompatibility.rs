//! What [`crate::compare`] finds.

use crate::edit::Edit;

/// Which events must stay good within a major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Events of the old version are events of the new one, and keep what consumers read: no member is taken away, and
    /// none becomes optional. What `jsonschema-tools` checks.
    Backward,
    /// Events of the new version are events of the old one: a consumer that knows only that can read them.
    Forward,
    /// Both.
    Full,
}

/// Which of two versions accepts the events that the other refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The old version accepts what the new one refuses.
    OldOnly,
    /// The new version accepts what the old one refuses.
    NewOnly,
}

/// What kind of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A type fewer.
    TypeNarrowed,
    /// A type more.
    TypeWidened,
    /// A value fewer, or an `enum` where there was none.
    EnumNarrowed,
    /// A value more, or no `enum` any longer.
    EnumWidened,
    /// A minimum or maximum that was wider, or was not there.
    BoundNarrowed,
    /// A minimum or maximum that was narrower, or is gone.
    BoundWidened,
    /// Another `pattern`, or one where there was none.
    PatternNarrowed,
    /// Another `pattern`, or none any longer.
    PatternWidened,
    /// Another `format`, or one where there was none.
    FormatNarrowed,
    /// Another `format`, or none any longer.
    FormatWidened,
    /// `multipleOf` or `uniqueItems` is stricter.
    ValueNarrowed,
    /// `multipleOf` or `uniqueItems` is laxer.
    ValueWidened,
    /// A member that must be there and need not have been.
    RequiredAdded,
    /// A member that need not be there any longer.
    RequiredRemoved,
    /// A member that is not declared any longer.
    PropertyRemoved,
    /// A member that the old version, being closed, refuses.
    PropertyAdded,
    /// Undeclared members are not accepted any longer.
    ObjectClosed,
    /// Undeclared members are accepted now.
    ObjectOpened,
    /// An alternative of `anyOf` or `oneOf` fewer.
    AlternativeRemoved,
    /// An alternative of `anyOf` or `oneOf` more.
    AlternativeAdded,
    /// A keyword whose effect is not judged, such as `not`, says something else.
    KeywordChanged,
}

impl Rule {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TypeNarrowed => "type-narrowed",
            Self::TypeWidened => "type-widened",
            Self::EnumNarrowed => "enum-narrowed",
            Self::EnumWidened => "enum-widened",
            Self::BoundNarrowed => "bound-narrowed",
            Self::BoundWidened => "bound-widened",
            Self::PatternNarrowed => "pattern-narrowed",
            Self::PatternWidened => "pattern-widened",
            Self::FormatNarrowed => "format-narrowed",
            Self::FormatWidened => "format-widened",
            Self::ValueNarrowed => "value-narrowed",
            Self::ValueWidened => "value-widened",
            Self::RequiredAdded => "required-added",
            Self::RequiredRemoved => "required-removed",
            Self::PropertyRemoved => "property-removed",
            Self::PropertyAdded => "property-added",
            Self::ObjectClosed => "object-closed",
            Self::ObjectOpened => "object-opened",
            Self::AlternativeRemoved => "alternative-removed",
            Self::AlternativeAdded => "alternative-added",
            Self::KeywordChanged => "keyword-changed",
        }
    }
}

/// One change that breaks a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Incompatibility {
    /// What kind of change it is.
    pub rule: Rule,
    /// Who accepts what the other refuses.
    pub direction: Direction,
    /// JSON pointer into the new schema, or into the old one for what is gone.
    pub pointer: String,
    /// What changed.
    pub message: String,
    /// How to show it.
    pub(crate) edit: Edit,
}

impl Incompatibility {
    /// Whether a policy forbids it within a major version.
    #[must_use]
    pub fn breaks(&self, policy: Policy) -> bool {
        let forward = self.direction == Direction::NewOnly;
        let backward = !forward || matches!(self.rule, Rule::PropertyRemoved | Rule::RequiredRemoved);
        match policy {
            Policy::Backward => backward,
            Policy::Forward => forward,
            Policy::Full => true,
        }
    }
}
