//! What can be wrong with a repository: each error names the file and, where there is one, the JSON pointer.

/// A fault of a schema repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {problem}", if pointer.is_empty() { String::new() } else { format!(": {pointer}") })]
pub struct Fault {
    /// Path of the file below the base of the repository.
    pub file: String,
    /// JSON pointer to the place in the file; empty for the whole file.
    pub pointer: String,
    /// What is wrong, why, and how to put it right.
    pub problem: Problem,
}

/// The kinds of faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is not text.
    #[error("is not UTF-8 from byte {0} on: save it as UTF-8")]
    NotUtf8(usize),
    /// The text is not YAML or JSON.
    #[error("{0}")]
    Malformed(String),
    /// There is no such file.
    #[error("does not exist")]
    Missing,
    /// A link whose target is missing.
    #[error("points at {0}, which does not exist: materialize that version or remove the link")]
    DanglingLink(String),
    /// A reference that leads to itself.
    #[error("cyclic $ref: {0}: a materialized schema holds no $ref, so it cannot contain itself")]
    CyclicRef(String),
    /// A reference to a file that leaves the repository.
    #[error("$ref {0} leads out of the repository: name a schema by its path below the base")]
    OutsideRef(String),
    /// A reference by a scheme that schemas are not read by.
    #[error("$ref {0} is neither a path nor a URL of http or https")]
    UnknownScheme(String),
    /// A reference to a document of a server that is not configured.
    #[error(
        "$ref {0} leads to {1}, which is below no URL of schemaBaseUris: add the base URL of its repository there"
    )]
    ForeignRef(String, String),
    /// A reference to a document of another server that cannot be used.
    #[error("$ref {reference}: {url} cannot be used: {why}")]
    Unavailable {
        /// The reference.
        reference: String,
        /// Where it leads.
        url: String,
        /// The reason, as a fragment of a sentence.
        why: String,
    },
    /// A reference to a reference to a reference.
    #[error("$ref {0} is the last of {1} that lead to each other: name what they lead to")]
    TooManyRefs(String, usize),
    /// A schema that becomes huge when its references are written out.
    #[error(
        "has more than {0} values when every $ref is written out: write fewer of them, or split the schema"
    )]
    TooLarge(u64),
    /// A reference to nothing.
    #[error("$ref {0} leads to nothing{1}")]
    UnknownRef(String, String),
    /// Two subschemas of `allOf` that contradict each other.
    #[error("allOf cannot be merged: {0}")]
    Unmergeable(String),
    /// The schema has no version.
    #[error("holds no version: write `$id: /<folder>/<x.y.z>`")]
    NoVersion,
    /// The path and `$id` disagree.
    #[error("is {0}, but the schema lies in {1}: make them equal")]
    IdMismatch(String, String),
    /// Two files hold one version and differ.
    #[error("duplicate version: {0} says something else: remove one of them")]
    DuplicateVersion(String),
    /// The version is there with other content.
    #[error(
        "version {0} exists with other content: raise the version in `$id`, or overwrite it with --force while nobody uses it"
    )]
    VersionExists(String),
    /// No example can be made up.
    #[error("no example can be generated: {0}: write one under `examples`")]
    NoExample(String),
    /// The configuration is not what it must be.
    #[error("{0}")]
    Config(String),
}

impl Fault {
    pub(crate) fn new(file: impl Into<String>, pointer: impl Into<String>, problem: Problem) -> Self {
        Self {
            file: file.into(),
            pointer: pointer.into(),
            problem,
        }
    }
}
