use serde_json::{Value, json};

use super::*;

struct Setting(&'static str);

impl Config for Setting {
    fn get(&self, name: &str) -> Option<String> {
        (name == SETTING && !self.0.is_empty()).then(|| self.0.to_owned())
    }
}

const PAGES: &str = r#"{"en.test": ["Secret Page", " trimmed ", "404", "false", "User:Some one", "Fran\u00e7ais", "\u00c9t\u00e9", "\u039f\u03b4\u03bf\u03c2"]}"#;

fn redacted(event: &Value) -> (Redaction, Value) {
    let pages = RedactedPages::of(&Setting(PAGES)).unwrap();
    let text = event.to_string();
    let mut document = Document::parse(&text).unwrap();
    let redaction = pages.redact(&mut document);
    (redaction, serde_json::from_str(&document.into_string()).unwrap())
}

/// test/lib/eventstreams-util.js:68-213.
#[test]
fn who_acted_on_a_page_of_the_list_is_taken_out() {
    let meta = |stream: &str, domain: &str| json!({"stream": stream, "domain": domain});
    let change = |domain: &str, title: &str| {
        json!({
            "meta": meta("mediawiki.page_change.v1", domain), "page": {"page_title": title},
            "performer": {"user_text": "A"}, "revision": {"editor": {"user_text": "A"}, "rev_id": 1},
            "prior_state": {"revision": {"rev_id": 0, "editor": {"user_text": "B"}}},
        })
    };
    for (event, expected) in [
        (
            change("en.test", "Secret_Page"),
            json!({
                "meta": meta("mediawiki.page_change.v1", "en.test"), "page": {"page_title": "Secret_Page"},
                "performer": {}, "revision": {"rev_id": 1}, "prior_state": {"revision": {"rev_id": 0}},
            }),
        ),
        (change("de.test", "Secret_Page"), change("de.test", "Secret_Page")),
        (change("en.test", "Other"), change("en.test", "Other")),
        (
            json!({"meta": meta("mediawiki.page_change.v1", "en.test"), "page": {"page_title": "trimmed"}, "n": 1.5}),
            json!({"meta": meta("mediawiki.page_change.v1", "en.test"), "page": {"page_title": "trimmed"}, "n": 1.5, "performer": {}}),
        ),
        (
            json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "secret page", "user": "A", "id": 1}),
            json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "secret page", "id": 1}),
        ),
        (
            json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "x", "user": "A"}),
            json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "x", "user": "A"}),
        ),
        (
            json!({"meta": meta("other", "en.test"), "page_title": "Secret Page", "performer": {"a": 1}}),
            json!({"meta": meta("other", "en.test"), "page_title": "Secret Page"}),
        ),
        (
            json!({"meta": meta("other", "en.test"), "page": {"page_title": 404}, "performer": {"a": 1}}),
            json!({"meta": meta("other", "en.test"), "page": {"page_title": 404}}),
        ),
        (
            json!({"meta": meta("other", "en.test"), "page_title": false, "performer": {"a": 1}}),
            json!({"meta": meta("other", "en.test"), "page_title": false}),
        ),
        (
            json!({"meta": meta("other", "en.test"), "performer": {"a": 1}}),
            json!({"meta": meta("other", "en.test"), "performer": {"a": 1}}),
        ),
        (json!({}), json!({})),
    ] {
        let redaction = match expected == event {
            true => Redaction::Unneeded,
            false => Redaction::Done,
        };
        assert_eq!(redacted(&event), (redaction, expected), "{event}");
    }
}

#[test]
fn an_event_whose_page_cannot_be_told_is_withheld() {
    let event =
        json!({"meta": {"stream": "x", "domain": "en.test"}, "page_title": ["Secret Page"], "performer": 1});
    assert_eq!(redacted(&event).0, Redaction::Impossible);
}

#[test]
fn a_setting_that_is_no_map_of_titles_is_an_error() {
    assert_eq!(RedactedPages::of(&Setting("")), Ok(RedactedPages::default()));
    for bad in ["[]", "{\"a\": \"b\"}", "nope", "{\"a\": [1]}"] {
        assert!(
            RedactedPages::of(&Setting(bad))
                .unwrap_err()
                .contains("REDACTED_PAGES"),
            "{bad}"
        );
    }
}

/// `ç` and `é` as one character and as two, and other ways to write a title that MediaWiki takes for the same.
#[test]
fn an_event_is_about_a_page_however_and_wherever_it_names_it() {
    use Redaction::{Done, Impossible, Unneeded};
    let titled = |title: &str| json!({"meta": {"domain": "en.test"}, "page_title": title});
    let of_url = |url: &str| json!({"meta": {"domain": "en.test", "uri": url}});
    let of_domain = |domain: Value| json!({"meta": {"domain": domain}, "page_title": "Secret_Page"});
    for (event, expected) in [
        // Written in other ways.
        (titled("Secret  Page"), Done),
        (titled("Secret_ _Page"), Done),
        (titled("__Secret Page__"), Done),
        (titled(" Secret\u{a0}Page "), Done),
        (titled("Secret\u{1680}Page"), Done),
        (titled("Secret\u{180e}Page"), Done),
        (titled("Secret\u{2000}\u{200a}Page"), Done),
        (titled("Secret\u{2028}Page"), Done),
        (titled("Secret\u{2029}Page"), Done),
        (titled("Secret\u{202f}Page"), Done),
        (titled("Secret\u{205f}Page"), Done),
        (titled("Secret\u{3000}Page"), Done),
        (titled("Secret\tPage\n"), Done),
        (titled("\u{200e}Secret\u{200f} \u{202a}Pa\u{202e}ge"), Done),
        (titled(":Secret Page"), Done),
        (titled(": Secret Page"), Done),
        (titled("Secret_Page#History"), Done),
        (titled("sECRET pAGE"), Done),
        (titled("Secret%20Page"), Done),
        (titled("user : some one"), Done),
        (titled("Fran\u{e7}ais"), Done),
        (titled("franc\u{327}ais"), Done),
        (titled("\u{c9}t\u{e9}"), Done),
        (titled("e\u{301}te\u{301}"), Done),
        (titled("\u{39f}\u{394}\u{39f}\u{3a3}"), Done),
        (titled("\u{3bf}\u{3b4}\u{3bf}\u{3c2}"), Done),
        (titled("SecretPage"), Unneeded),
        (titled("Secret Page 2"), Unneeded),
        (titled("Secret\u{200b}Page"), Unneeded),
        (titled("Talk:Secret Page"), Unneeded),
        (titled("User:Some"), Unneeded),
        (titled("AT&T; Inc"), Impossible),
        (titled("Secret&#32;Page"), Impossible),
        (titled("Secret&nbsp;Page"), Impossible),
        (titled("AT&T and co; Inc"), Unneeded),
        (titled("Secret%E9Page"), Impossible),
        (titled("100% wool"), Unneeded),
        // In other places.
        (
            json!({"meta": {"domain": "en.test"}, "page_title": "Other", "page": {"page_title": "Secret Page"}}),
            Done,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "page_title": "Other", "prior_state": {"page_title": "Secret_Page"}}),
            Done,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "page": {"page_title": "Other", "redirect_page_link": {"page_title": "Secret_Page"}}}),
            Done,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "redirect": {"add": [{"title": "Other"}, {"title": "Secret Page"}]}}),
            Done,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "pageTitle": "Secret Page"}),
            Done,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "titles": ["Other", "Secret Page"]}),
            Done,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "titles": ["Other", {}]}),
            Impossible,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "titles": {"a": 1}}),
            Impossible,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "title": "Other", "log_params": {"target": "Secret Page"}}),
            Done,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "target": "Secret Page"}),
            Unneeded,
        ),
        (json!({"meta": {"domain": "en.test"}, "page_title": 404}), Done),
        (json!({"meta": {"domain": "en.test"}, "page_title": 404.0}), Done),
        (
            json!({"meta": {"domain": "en.test"}, "title": {"text": "Secret Page"}}),
            Impossible,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "comment": "Secret Page"}),
            Unneeded,
        ),
        // In URLs.
        (of_url("https://en.test/wiki/Secret_Page"), Done),
        (of_url("https://en.test/wiki/Secret%20Page#History"), Done),
        (of_url("//en.test/w/index.php?oldid=1&title=Secret+Page"), Done),
        (of_url("/wiki/Secret_Page"), Done),
        (of_url("https://en.test/zh-hans/Secret_Page"), Done),
        (
            of_url("https://en.test/api/rest_v1/page/html/Secret_Page/12345"),
            Done,
        ),
        (of_url("https://en.test/wiki/Other"), Unneeded),
        (of_url("https://en.test/wiki/%E9"), Impossible),
        (
            of_url(&format!("https://en.test/{}", "a/".repeat(33))),
            Impossible,
        ),
        (
            json!({"meta": {"domain": "en.test"}, "title": "Other", "title_url": "https://en.test/wiki/Secret_Page"}),
            Done,
        ),
        // Of wikis.
        (of_domain(json!("EN.test.")), Done),
        (of_domain(json!("en.test:8080")), Done),
        (of_domain(json!("en.m.test")), Done),
        (of_domain(json!("www.en.test")), Done),
        (of_domain(json!("de.test")), Unneeded),
        (of_domain(json!(null)), Impossible),
        (of_domain(json!("")), Impossible),
        (of_domain(json!(5)), Impossible),
        (of_domain(json!(["en.test"])), Impossible),
        (json!({"page_title": "Secret Page"}), Impossible),
        (json!({"page_title": "Other"}), Unneeded),
        (
            json!({"url": "https://a.test/x", "domain": "de.test", "page_title": "Secret Page"}),
            Impossible,
        ),
        (json!({"server_name": "en.test", "title": "Secret Page"}), Done),
        (
            json!({"meta": {"domain": "de.test"}, "server_name": "en.test", "title": "Secret Page"}),
            Done,
        ),
        (
            json!({"meta": {"uri": "https://en.test/wiki/X"}, "page_title": "Secret Page"}),
            Done,
        ),
    ] {
        let mut event = event;
        event["performer"] = json!({"user_text": "A"});
        let (redaction, rest) = redacted(&event);
        assert_eq!(redaction, expected, "{event}");
        let is_named = rest.to_string().contains("performer");
        assert_eq!(is_named, expected != Done, "{event}");
    }
}

#[test]
fn every_member_that_names_who_acted_is_taken_out_whatever_the_stream() {
    let event = json!({
        "meta": {"domain": "en.test", "stream": "other"}, "page_title": "Secret Page", "n": 1.50,
        "performer": {"user_text": "A"}, "user": "A", "user_text": "A", "user_id": 5,
        "revision": {"editor": {"user_text": "A"}, "rev_id": 1},
        "prior_state": {"performer": "A", "revision": {"editor": "A"}, "list": [{"user": "A"}, 1]},
        "visibility": {"user": true},
    });
    let expected = json!({
        "meta": {"domain": "en.test", "stream": "other"}, "page_title": "Secret Page", "n": 1.50,
        "revision": {"rev_id": 1}, "prior_state": {"revision": {}, "list": [{}, 1]}, "visibility": {"user": true},
    });
    assert_eq!(redacted(&event), (Redaction::Done, expected));
}

#[test]
fn a_setting_with_what_is_no_title_or_domain_is_an_error() {
    for (bad, said) in [
        (r#"{"en.test": [""]}"#, "has '' for en.test"),
        (r#"{"en.test": ["A", " _ "]}"#, "has ' _ ' for en.test"),
        (r#"{"en.test": ["A&amp;B"]}"#, "has 'A&amp;B' for en.test"),
        (r#"{"en.test": ["%E9"]}"#, "has '%E9' for en.test"),
        (r#"{"": ["A"]}"#, "has the domain ''"),
    ] {
        let error = RedactedPages::of(&Setting(bad)).unwrap_err();
        assert!(error.contains(said), "{bad}: {error}");
    }
}
