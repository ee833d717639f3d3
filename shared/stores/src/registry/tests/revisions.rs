use super::*;

pub(super) fn revision(title: &str, revision: u64, json: &str) -> SchemaRevision {
    SchemaRevision {
        title: title.into(),
        revision,
        json: json.into(),
    }
}

pub(super) async fn publish_revisions(
    memory: &Memory,
    schemas: &[SchemaRevision],
) -> Result<Published, RegistryError> {
    let schemas = schemas.to_vec();
    registry(memory)
        .ask(RegistryRequest::PublishRevisions { schemas }, 1)
        .await
}

#[test]
fn the_newest_revision_of_a_page_is_the_one_with_the_highest_id() {
    run(async {
        let memory = Memory::new();
        let newest = async |title: &str| {
            let key = keys::newest_revision(title);
            let value = KeyValue::get(&memory, &key).await.unwrap().unwrap();
            decode::<crate::RevisionDocument>(&key, &value).unwrap().revision
        };
        let batch = [
            revision("A", 12, "{}"),
            revision("B", 11, "{}"),
            revision("A", 9, "{}"),
        ];
        publish_revisions(&memory, &batch).await.unwrap();
        assert_eq!((newest("A").await, newest("B").await), (12, 11));
        publish_revisions(&memory, &[revision("A", 10, "{}"), revision("b", 13, "{}")])
            .await
            .unwrap();
        assert_eq!((newest("A").await, newest("B").await), (12, 13));
    });
}

#[test]
fn revisions_are_published_all_or_none() {
    run(async {
        let memory = Memory::new();
        publish_revisions(&memory, &[revision("A", 1, "{}")])
            .await
            .unwrap();
        let draft_4 = r#"{"$schema":"http://json-schema.org/draft-04/schema#","type":5}"#;
        let nested = r#"{"properties":{"a":{"items":{"properties":{"b":{"required":["c"]}}}}}}"#;
        for (refused, text) in [
            (revision("A", 1, r#"{"type":"object"}"#), "revision 1 of A"),
            (revision("C", 3, draft_4), "revision 3 of C"),
            (
                revision("C", 3, nested),
                "/properties/a/items/properties/b/required",
            ),
            (revision("C", 3, r#"{"properties":[]}"#), "/properties"),
            (revision("C", 3, r#"{"properties":{"a":1}}"#), "/properties/a"),
            (revision("C", 3, "nope"), "not valid JSON"),
            (revision("C", 2, "{}"), "twice"),
            (revision("", 3, "{}"), "no title"),
            (revision("C", u64::MAX, "{}"), "no revision"),
        ] {
            let batch = [revision("B", 2, "{}"), refused];
            let error = publish_revisions(&memory, &batch).await.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            let key = keys::revision(2);
            assert!(KeyValue::get(&memory, &key).await.unwrap().is_none(), "{error}");
        }
        let many = vec![revision("A", 1, "{}"); MAX_SCHEMAS + 1];
        assert!(publish_revisions(&memory, &many).await.is_err());
    });
}

#[test]
fn titles_of_pages_are_read_as_mediawiki_does() {
    for (text, expected) in [
        ("NavigationTiming", Some("NavigationTiming")),
        ("navigationTiming", Some("NavigationTiming")),
        (" a b_", Some("A_b")),
        ("Schema: test", Some("Test")),
        ("", None),
        ("_", None),
        ("Talk:Test", None),
        ("é", None),
        ("a\u{0}", None),
    ] {
        assert_eq!(page_title(text).as_deref(), expected, "{text:?}");
    }
}
