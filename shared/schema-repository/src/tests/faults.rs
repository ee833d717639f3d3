//! A small repository: what becomes of it, and what is said of faults.

use super::Nowhere;
use crate::{Change, Fault, File, Files, Options, Problem, Repository, read};

fn files(files: &[(&str, &str)]) -> Files {
    let bytes = |text: &str| File::Bytes(text.as_bytes().to_vec());
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), bytes(text)))
        .collect()
}

fn repository(own: Files) -> Repository<'static, Nowhere> {
    let options = Options::parse("config", "enforcedNumericBounds: [0, 9]\n").unwrap();
    super::repository(own, options)
}

fn fault(own: &[(&str, &str)]) -> Fault {
    repository(files(own)).plan("a/current.yaml", false).unwrap_err()
}

const FRAGMENT: &str = "title: f\n$id: /f/1.0.0\ntype: object\nrequired: [z, b]\nproperties:\n  z: {type: integer, minimum: 3}\n  b: {type: string}\nexamples: [{z: 1}]\n";
const CURRENT: &str = "title: a\n$id: /a/1.1.0\ntype: object\nadditionalProperties: false\nallOf:\n  - $ref: /f/1.0.0#\n  - required: [c]\n    properties:\n      c: {$ref: '/f/1.0.0#/properties/z', description: own}\n      d: {$ref: '#/definitions/d'}\ndefinitions:\n  d: {type: array, items: {type: number}}\n";

const YAML: &str = "title: a
$id: /a/1.1.0
type: object
additionalProperties: false
required:
  - b
  - c
  - z
properties:
  b:
    type: string
  c:
    description: own
    type: integer
    maximum: 9
    minimum: 3
  d:
    type: array
    items:
      type: number
      maximum: 9
      minimum: 0
  z:
    type: integer
    maximum: 9
    minimum: 3
definitions:
  d:
    type: array
    items:
      type: number
      maximum: 9
      minimum: 0
";

fn applied(mut files: Files, changes: Vec<Change>) -> Files {
    files.extend(changes.into_iter().map(|change| (change.path, change.file)));
    files
}

#[test]
fn a_schema_becomes_its_files_and_links_and_then_nothing_is_left_to_do() {
    let own = files(&[("a/current.yaml", CURRENT), ("f/current.yaml", FRAGMENT)]);
    let changes = repository(own.clone()).plan("a/current.yaml", false).unwrap();
    let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "a/1.1.0.yaml",
            "a/1.1.0",
            "a/latest.yaml",
            "a/latest",
            "a/1.1.0.json",
            "a/latest.json"
        ]
    );
    let own = applied(own, changes);
    assert_eq!(own["a/1.1.0.yaml"], File::Bytes(YAML.as_bytes().to_vec()));
    assert_eq!(own["a/1.1.0"], File::Link("1.1.0.yaml".to_owned()));
    assert_eq!(own["a/latest.json"], File::Link("1.1.0.json".to_owned()));
    assert_eq!(read(&own, "a/latest.json"), read(&own, "a/latest"));
    assert_eq!(repository(own.clone()).plan("a/current.yaml", false).unwrap(), []);

    let listed = repository(own).list().unwrap();
    assert_eq!(
        (listed[0].title.as_str(), listed[0].current.as_deref()),
        ("a", Some("1.1.0"))
    );
    assert_eq!(listed[0].versions, ["1.1.0"]);
    assert!(listed[1].versions.is_empty());
}

#[test]
fn latest_moves_by_number_and_never_back() {
    let own = files(&[
        ("a/current.yaml", "$id: /a/1.9.0\n"),
        ("a/1.10.0.yaml", "$id: /a/1.10.0\n"),
        ("a/latest.yaml", "1.10.0.yaml"),
        ("a/latest.json", "gone.json"),
    ]);
    let changes = repository(own).plan("a/current.yaml", false).unwrap();
    let latest: Vec<_> = changes
        .iter()
        .filter(|change| change.path.contains("latest"))
        .collect();
    assert_eq!(
        latest
            .iter()
            .map(|change| change.path.as_str())
            .collect::<Vec<_>>(),
        ["a/latest", "a/latest.json"]
    );
}

#[test]
fn each_fault_has_a_name_a_file_and_a_pointer() {
    let with_ref = |uri: &str| format!("$id: /a/1.0.0\nproperties:\n  x/y: {{$ref: '{uri}'}}\n");
    for (text, pointer, expected) in [
        (
            with_ref("#"),
            "/properties/x~1y/$ref",
            "cyclic $ref: a/current.yaml# → a/current.yaml#",
        ),
        (
            with_ref("../../b"),
            "/properties/x~1y/$ref",
            "leads out of the repository",
        ),
        (
            with_ref("https://example.org/b"),
            "/properties/x~1y/$ref",
            "https://example.org/b, which is below no URL of schemaBaseUris",
        ),
        (
            with_ref("ftp://example.org/b"),
            "/properties/x~1y/$ref",
            "is neither a path nor a URL",
        ),
        (
            with_ref("/b/1.0.0"),
            "/properties/x~1y/$ref",
            "there is no b/1.0.0 in the repository",
        ),
        (
            with_ref("#/properties/z"),
            "/properties/x~1y/$ref",
            "z is missing there",
        ),
        (
            with_ref("#z"),
            "/properties/x~1y/$ref",
            "a fragment is a JSON pointer",
        ),
        (
            "$id: /b/1.0.0\n".to_owned(),
            "/$id",
            "is /b/1.0.0, but the schema lies in /a",
        ),
        ("$id: current\n".to_owned(), "", "holds no version"),
        ("$id: [\n".to_owned(), "", "line 2"),
        (
            "$id: /a/1.0.0\nallOf: [{properties: {x: {type: string}}}, {properties: {x: {type: integer}}}]\n"
                .to_owned(),
            "/properties/x/type",
            "\"string\" and \"integer\" exclude each other",
        ),
    ] {
        let fault = fault(&[("a/current.yaml", &text)]);
        assert_eq!(
            (fault.file.as_str(), fault.pointer.as_str()),
            ("a/current.yaml", pointer),
            "{fault}"
        );
        assert!(fault.to_string().contains(expected), "{fault}");
    }
}

#[test]
fn schemas_that_refer_to_each_other_are_a_cycle() {
    let fault = fault(&[
        ("a/current.yaml", "$id: /a/1.0.0\nallOf: [{$ref: /b/1.0.0}]\n"),
        ("b/current.yaml", "$id: /b/1.0.0\nallOf: [{$ref: /a/1.0.0}]\n"),
    ]);
    assert!(matches!(fault.problem, Problem::CyclicRef(_)), "{fault}");
}

#[test]
fn a_version_that_exists_with_other_content_is_only_overwritten_by_force() {
    let own = [
        ("a/current.yaml", "$id: /a/1.0.0\ntype: object\n"),
        ("a/1.0.0.yaml", "$id: /a/1.0.0\n"),
    ];
    assert_eq!(fault(&own).problem, Problem::VersionExists("1.0.0".to_owned()));
    assert!(
        !repository(files(&own))
            .plan("a/current.yaml", true)
            .unwrap()
            .is_empty()
    );
    // Another layout of the same content is no other content.
    let own = [
        ("a/current.yaml", "$id: /a/1.0.0\n"),
        ("a/1.0.0.yaml", "{'$id': '/a/1.0.0'}\n"),
    ];
    assert!(repository(files(&own)).plan("a/current.yaml", false).is_ok());
}

#[test]
fn two_files_of_one_version_must_say_the_same() {
    let own = [
        ("a/current.yaml", "$id: /a/1.0.0\n"),
        ("a/1.0.0.yaml", "$id: /a/1.0.0\n"),
        ("a/1.0.0.json", "{}"),
    ];
    let fault = fault(&own);
    assert!(matches!(fault.problem, Problem::DuplicateVersion(_)), "{fault}");
    assert!(repository(files(&own)).list().is_err());
}

#[test]
fn a_dangling_link_is_named() {
    let fault = fault(&[
        ("a/current.yaml", "$id: /a/1.0.0\nallOf: [{$ref: /b/1.0.0}]\n"),
        ("b/1.0.0", "1.0.0.yaml"),
    ]);
    assert_eq!(
        (fault.file.as_str(), fault.problem),
        ("b/1.0.0", Problem::DanglingLink("1.0.0.yaml".to_owned()))
    );
}

#[test]
fn what_is_not_text_and_what_explodes_is_refused() {
    let mut own = files(&[]);
    own.insert("a/current.yaml".to_owned(), File::Bytes(b"title: \xff".to_vec()));
    let fault_of = |own| repository(own).plan("a/current.yaml", false).unwrap_err();
    assert_eq!(fault_of(own).problem, Problem::NotUtf8(7));

    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let fault = fault(&[("a/current.yaml", &bomb)]);
    assert!(
        fault
            .to_string()
            .contains("aliases make the document more than 20 times as large"),
        "{fault}"
    );
}

#[test]
fn references_that_multiply_or_never_end_are_refused() {
    let mut text =
        "$id: /a/1.0.0\n$ref: '#/definitions/d29'\ndefinitions:\n  d0: {type: string}\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        text.push_str(&format!(
            "  d{level}: {{items: [{{$ref: '#/definitions/d{below}'}}, {{$ref: '#/definitions/d{below}'}}]}}\n"
        ));
    }
    let fault = fault(&[("a/current.yaml", &text)]);
    assert_eq!(fault.problem, Problem::TooLarge(1_000_000));

    let chain = |length: usize| {
        let mut own = files(&[
            ("a/current.yaml", "$id: /a/1.0.0\n$ref: /b/0.0.1\n"),
            ("b/0.0.0.yaml", "{}"),
        ]);
        for link in 1..length {
            let (path, next) = (format!("b/0.0.{link}.yaml"), (link + 1) % length);
            let text = format!("$ref: /b/0.0.{next}\n");
            own.insert(path, File::Bytes(text.into_bytes()));
        }
        repository(own).plan("a/current.yaml", false)
    };
    assert!(chain(64).is_ok());
    assert!(matches!(chain(65).unwrap_err().problem, Problem::TooManyRefs(..)));
}

#[test]
fn a_bad_option_is_named() {
    for (text, expected) in [
        ("contentType: [yaml]\n", "config: unknown option contentType"),
        ("contentTypes: [xml]\n", "config: contentTypes: xml is unknown"),
        (
            "currentName: now\nskipSchemaTestCases:\n  /a/.*: all\n",
            "config: skipSchemaTestCases./a/.*: invalid type: string \"all\", expected a sequence at line 3",
        ),
    ] {
        let fault = Options::parse("config", text).unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
    }
}
