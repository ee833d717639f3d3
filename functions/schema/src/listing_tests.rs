use super::*;

fn index() -> IndexDocument {
    let text = r#"{"v":1,"titles":{
        "a/b":["1.0.0","1.9.0","1.10.0"], "a/b/c":["1.0.0"], "a/bc":["1.0.0"], "old":["2.0.0"]
    },"files":{
        "a/b":{"1.0.0":{"published":1000,"json":10,"yaml":20},"1.9.0":{"published":3000,"json":11},"1.10.0":{"published":2000,"json":12,"yaml":22}},
        "a/b/c":{"1.0.0":{"published":4000,"json":1}},
        "a/bc":{"1.0.0":{"published":500,"json":1}}
    }}"#;
    serde_json::from_str(text).unwrap()
}

fn shown(below: &[&str]) -> Vec<String> {
    entries(&index(), below)
        .into_iter()
        .map(|entry| {
            let (modified, size) = (entry.modified, entry.size);
            format!("{} {modified:?} {size:?}", entry.name).replace("Some", "")
        })
        .collect()
}

#[test]
fn folders_come_first_and_tell_the_newest_publish_below() {
    assert_eq!(shown(&[]), ["a (4000) None", "old None None"]);
    assert_eq!(shown(&["a"]), ["b (4000) None", "bc (500) None"]);
    assert_eq!(shown(&["a", "bc"]).len(), 6);
    assert_eq!(shown(&["a", "nope"]), [""; 0]);
    assert_eq!(shown(&["a", "b", "1.0.0"]), [""; 0]);
}

#[test]
fn versions_ascend_by_semver_in_every_form() {
    assert_eq!(
        shown(&["a", "b"]),
        [
            "c (4000) None",
            "1.0.0 (1000) (20)",
            "1.0.0.json (1000) (10)",
            "1.0.0.yaml (1000) (20)",
            "1.9.0 (3000) (11)",
            "1.9.0.json (3000) (11)",
            "1.9.0.yaml (3000) (11)",
            "1.10.0 (2000) (22)",
            "1.10.0.json (2000) (12)",
            "1.10.0.yaml (2000) (22)",
            "latest (2000) (22)",
            "latest.json (2000) (12)",
            "latest.yaml (2000) (22)",
        ]
    );
}

#[test]
fn listings_are_the_text_that_nginx_writes() {
    let entries = [
        Entry::folder("api", Some(1_578_347_398_000)),
        Entry {
            name: "1.0.0".into(),
            modified: Some(1_578_347_398_999),
            size: Some(711),
        },
    ];
    assert_eq!(
        to_json(&entries),
        "[\r\n{ \"name\":\"api\", \"type\":\"directory\", \"mtime\":\"Mon, 06 Jan 2020 21:49:58 GMT\" },\
         \r\n{ \"name\":\"1.0.0\", \"type\":\"file\", \"mtime\":\"Mon, 06 Jan 2020 21:49:58 GMT\", \"size\":711 }\r\n]"
    );
    assert_eq!(to_json(&[]), "[\r\n]");
}
