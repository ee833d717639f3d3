//! What is looked for on other servers, and when.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::{Fault, File, Files, Node, Options, Others, Problem, Remote, Repository};

/// Servers: the texts they have, and what was asked for. What begins with `!` is no text, but why there is none.
struct Servers {
    texts: BTreeMap<&'static str, &'static str>,
    asked: RefCell<Vec<String>>,
}

impl Remote for Servers {
    fn read(&self, url: &str) -> Result<Option<String>, String> {
        self.asked.borrow_mut().push(url.to_owned());
        match self.texts.get(url).copied() {
            Some(text) if text.starts_with('!') => Err(text.to_owned()),
            text => Ok(text.map(str::to_owned)),
        }
    }
}

const BASE: &str = "https://a.org/jsonschema/";

/// A second base.
const OTHER_BASE: &str = "https://b.org";

/// The schema that `text` becomes, and what was asked for.
fn dereference(
    text: &str,
    own: &[(&str, &str)],
    texts: &[(&'static str, &'static str)],
) -> (Result<Node, Fault>, Vec<String>) {
    let file = |text: &str| File::Bytes(text.as_bytes().to_vec());
    let mut files = Files::from([("a/current.yaml".to_owned(), file(text))]);
    files.extend(own.iter().map(|(path, text)| ((*path).to_owned(), file(text))));
    let servers = Servers {
        texts: texts.iter().copied().collect(),
        asked: RefCell::default(),
    };
    let others = Others {
        files: Vec::new(),
        urls: vec![BASE.to_owned(), OTHER_BASE.to_owned()],
    };
    let schema = Repository::new(files, others, Options::default(), &servers)
        .unwrap()
        .dereference("a/current.yaml");
    (schema, servers.asked.into_inner())
}

const ONE: (&str, &str) = (
    "https://a.org/jsonschema/f/1.0.0",
    "properties: {x: {type: string}}\n",
);

#[test]
fn what_the_repository_does_not_have_is_read_from_its_other_bases() {
    let (schema, asked) = dereference("$ref: '/f/1.0.0#/properties/x'\n", &[], &[ONE]);
    assert_eq!(schema.unwrap().get("type").and_then(Node::as_str), Some("string"));
    assert_eq!(asked, [ONE.0]);
    for own in [
        ("f/1.0.0.yaml", "properties: {x: {type: integer}}\n"),
        // Not materialized yet.
        (
            "f/current.yaml",
            "$id: /f/1.0.0\nproperties: {x: {type: integer}}\n",
        ),
    ] {
        let (schema, asked) = dereference("$ref: '/f/1.0.0#/properties/x'\n", &[own], &[ONE]);
        assert_eq!(
            schema.unwrap().get("type").and_then(Node::as_str),
            Some("integer")
        );
        assert!(asked.is_empty(), "{asked:?}");
    }
}

#[test]
fn references_of_a_remote_schema_stay_with_its_server() {
    let text = "properties:\n  a: {$ref: 'https://b.org/x/1.0.0#'}\n  b: {$ref: 'https://b.org/x/1.0.0#/items'}\n  c: {$ref: /f/2.0.0}\n";
    let (schema, asked) = dereference(
        text,
        &[("y/1.0.0.yaml", "type: object\n")],
        &[
            (
                "https://b.org/x/1.0.0",
                "items: {$ref: /y/1.0.0}\ncontains: {$ref: '#/items'}\n",
            ),
            ("https://b.org/y/1.0.0.yaml", "type: string\n"),
            ("https://a.org/jsonschema/f/2.0.0", "$ref: /f/1.0.0\n"),
            ONE,
        ],
    );
    let schema = schema.unwrap();
    let kind = |path: &[&str]| {
        let found = path.iter().try_fold(&schema, |node, step| node.get(step));
        found.and_then(Node::as_str)
    };
    assert_eq!(kind(&["properties", "a", "items", "type"]), Some("string"));
    assert_eq!(kind(&["properties", "a", "contains", "type"]), Some("string"));
    assert_eq!(kind(&["properties", "b", "type"]), Some("string"));
    assert_eq!(
        kind(&["properties", "c", "properties", "x", "type"]),
        Some("string")
    );
    // Each document once.
    assert_eq!(
        asked,
        [
            "https://b.org/x/1.0.0",
            "https://b.org/y/1.0.0",
            "https://b.org/y/1.0.0.yaml",
            "https://a.org/jsonschema/f/2.0.0",
            "https://a.org/jsonschema/f/1.0.0",
        ]
    );
}

#[test]
fn what_cannot_be_had_is_named_with_file_pointer_and_url() {
    for (uri, texts, expected) in [
        (
            "/f/1.0.0",
            vec![("https://a.org/jsonschema/f/1.0.0", "!it is asleep")],
            "$ref /f/1.0.0: https://a.org/jsonschema/f/1.0.0 cannot be used: !it is asleep",
        ),
        (
            "/f/1.0.0",
            vec![("https://a.org/jsonschema/f/1.0.0", "a: [")],
            "https://a.org/jsonschema/f/1.0.0 cannot be used: not valid YAML",
        ),
        (
            "/f/1.0.0",
            vec![("https://a.org/jsonschema/f/1.0.0", "1.0.0.yaml")],
            "cannot be used: no schema is there",
        ),
        (
            "/f/1.0.0",
            vec![],
            "$ref /f/1.0.0 leads to nothing: there is no f/1.0.0 in the repository, nor at https://a.org/jsonschema",
        ),
        (
            "https://b.org/x",
            vec![],
            "$ref https://b.org/x leads to nothing: there is no https://b.org/x",
        ),
        (
            "https://b.org/x#/y",
            vec![("https://b.org/x", "{}")],
            "leads to nothing: y is missing there",
        ),
    ] {
        let (schema, _) = dereference(&format!("not: {{$ref: '{uri}'}}\n"), &[], &texts);
        let fault = schema.unwrap_err().to_string();
        let place = "a/current.yaml: /not/$ref: ";
        assert!(fault.starts_with(place) && fault.contains(expected), "{fault}");
    }
}

#[test]
fn a_server_that_is_not_configured_is_never_asked() {
    for (uri, leads_to) in [
        ("http://169.254.169.254/latest/meta-data", None),
        ("https://a.org/secret", None),
        ("https://a.org/jsonschema/../secret", None),
        ("http://b.org/x", None),
        // A configured server leads on to another.
        ("https://b.org/x#", Some("http://127.0.0.1/y")),
    ] {
        let texts = [("https://b.org/x", "$ref: http://127.0.0.1/y\n")];
        let (schema, asked) = dereference(&format!("not: {{$ref: '{uri}'}}\n"), &[], &texts);
        let fault = schema.unwrap_err();
        let foreign = leads_to.unwrap_or(uri).to_owned();
        assert_eq!(fault.problem, Problem::ForeignRef(foreign.clone(), foreign));
        let expected: &[&str] = if leads_to.is_some() {
            &["https://b.org/x"]
        } else {
            &[]
        };
        assert_eq!(asked, expected, "{uri}");
    }
}

#[test]
fn a_cycle_over_servers_is_one() {
    let texts = [
        ("https://b.org/x", "not: {$ref: y}\n"),
        ("https://b.org/y", "not: {$ref: 'https://b.org/x#/not'}\n"),
    ];
    let fault = dereference("$ref: https://b.org/x\n", &[], &texts).0.unwrap_err();
    assert_eq!(
        fault.problem,
        Problem::CyclicRef("https://b.org/y# → https://b.org/x#/not → https://b.org/y#".to_owned())
    );
    assert_eq!(
        (fault.file.as_str(), fault.pointer.as_str()),
        ("https://b.org/x", "/not/$ref")
    );
}
