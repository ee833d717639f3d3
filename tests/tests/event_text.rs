//! What becomes of an event's text on its way: the platform fills in its own members and keeps the rest.

use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};

use eventstar_tests::events::{PrivateStream, test_event};
use eventstar_tests::random::{Seeded, fresh_uuid};
use eventstar_tests::text::{as_sent, get, minify, names, remove, replace};
use eventstar_tests::{Events, Instance, SseEvent};

/// Posts a body and reads the one event of the stream.
fn through(instance: &Instance, stream: &PrivateStream, body: &str) -> String {
    let _ = instance.post(body).expect(201);
    Events::open(&instance.origin, &stream.from_the_beginning())
        .next_event()
        .data
}

/// Reads JSON, whose texts must be well-formed.
const JAVASCRIPT: &str = r#"JSON.parse(require("fs").readFileSync(0, "utf8"), (name, value) => {
  if (!name.isWellFormed() || (typeof value === "string" && !value.isWellFormed())) throw new Error(name);
  return value;
});"#;

/// As above: half a pair cannot be encoded.
const PYTHON: &str =
    "import json, sys; json.dumps(json.loads(sys.stdin.buffer.read()), ensure_ascii=False).encode()";

/// True if a program is there and ends well when it is given `text`.
fn is_read_by(program: &str, arguments: &[&str], text: &str) -> bool {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    let mut input = child.stdin.take().expect("an input");
    input.write_all(text.as_bytes()).expect("a reader");
    drop(input);
    child.wait().expect("an end").success()
}

fn is_receive_time(text: &str) -> bool {
    let form: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    form == "\"0000-00-00T00:00:00.000Z\""
}

fn is_uuid(text: &str) -> bool {
    let form: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_hexdigit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    form == "\"00000000-0000-0000-0000-000000000000\""
}

#[test]
fn a_complete_event_gains_only_its_place_in_the_log_and_its_receive_time() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("place");
    let sent = stream.event(&fresh_uuid());
    let data = through(&instance, &stream, &sent);
    let dt = get(&data, &["meta", "dt"]).expect("meta.dt");
    assert!(
        is_receive_time(dt) && dt != "\"2026-01-01T00:00:00.000Z\"",
        "{dt}"
    );
    let place = format!(
        r#""request_id":"r-1","topic":"{}","partition":0,"offset":0}}"#,
        stream.name
    );
    let expected = replace(&sent, &["meta", "dt"], dt).replace(r#""request_id":"r-1"}"#, &place);
    assert_eq!(data, expected);
}

#[test]
fn a_missing_id_and_receive_time_are_filled_in() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("filled");
    let sent = format!(
        r#"{{"$schema":"/job/run/1.0.0","meta":{{"stream":"{}"}},"job":"x"}}"#,
        stream.name
    );
    let data = through(&instance, &stream, &sent);
    assert!(is_uuid(get(&data, &["meta", "id"]).expect("meta.id")), "{data}");
    assert!(
        is_receive_time(get(&data, &["meta", "dt"]).expect("meta.dt")),
        "{data}"
    );
    assert_eq!(
        names(&data)[..3],
        ["$schema", "meta", "job"],
        "what was sent comes first: {data}"
    );
    assert_eq!(as_sent(&data, &sent, &[&["attempt"]]), sent);
}

#[test]
fn filled_ids_differ_from_event_to_event() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("ids");
    let event = remove(&stream.event("x"), &["meta", "id"]);
    instance.produce(&vec![event; 10]);
    let mut ids: Vec<String> = Events::open(&instance.origin, &stream.from_the_beginning())
        .take(10)
        .iter()
        .map(SseEvent::meta_id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10, "{ids:?}");
}

#[test]
fn defaults_of_the_schema_are_added_after_the_sent_members() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("default");
    let sent = remove(&stream.event(&fresh_uuid()), &["attempt"]);
    let data = through(&instance, &stream, &sent);
    assert_eq!(names(&data), ["$schema", "meta", "dt", "job", "attempt"]);
    assert_eq!(get(&data, &["attempt"]), Some("1"));
}

#[test]
fn an_invalid_receive_time_is_refused_though_it_would_be_replaced() {
    let instance = Instance::from_env();
    let event = replace(
        &test_event(&fresh_uuid(), "\"x\""),
        &["meta", "dt"],
        "\"yesterday\"",
    );
    let body = instance.post(event).expect(400).json();
    assert_eq!(
        body["invalid"][0]["context"]["errorsText"],
        "'.meta.dt' should match format \"date-time\""
    );
}

#[test]
fn number_texts_are_kept() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("numbers");
    let numbers = concat!(
        r#","numbers":[1.0,1e3,1E+2,-0,-0.0,0.10,18446744073709551615,18446744073709551616,"#,
        r#"-9223372036854775809,123456789012345678901234567890,3.141592653589793238462643383279,1e-7,"#,
        r#"5e-324],"big":18446744073709551615,"float":1.0,"exponent":1e3"#
    );
    let sent = stream.event_with(&fresh_uuid(), numbers);
    assert_eq!(as_sent(&through(&instance, &stream, &sent), &sent, &[]), sent);
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    let instance = Instance::from_env();
    for count in ["1.0", "1e3", "0", "9007199254740991"] {
        let id = fresh_uuid();
        let mut events = Events::open(&instance.origin, "/v2/stream/test.event");
        let sent = test_event(&id, "\"x\"").replace(r#""test":"#, &format!(r#""count":{count},"test":"#));
        let _ = instance.post(sent.clone()).expect(201);
        assert_eq!(as_sent(&events.find(&id).data, &sent, &[]), sent);
    }
}

#[test]
fn escapes_and_characters_are_kept() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("escapes");
    let strings = concat!(
        r#","strings":["caf\u00e9","café","\/","/","\ud83d\ude00","😀","\u0000","\u2028"," ","\b\f\n\r\t\"\\","#,
        r#""","  spaces  stay  "],"k\u0065y":"escaped name","":"empty name","né":1"#
    );
    let sent = stream.event_with(&fresh_uuid(), strings);
    assert_eq!(as_sent(&through(&instance, &stream, &sent), &sent, &[]), sent);
}

/// A browser that cuts a text in the middle of an emoji sends half of it as an escape.
#[test]
fn half_a_surrogate_pair_is_replaced_and_all_else_is_kept() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("surrogates");
    let sent = stream.event_with(
        &fresh_uuid(),
        r#","cut":"ok \ud83d","k\uDE00":["\ud83d\ude00","\\ud83d"]"#,
    );
    let expected = sent
        .replace(r"ok \ud83d", r"ok \ufffd")
        .replace(r"k\uDE00", r"k\ufffd");
    assert_ne!(sent, expected);
    let data = through(&instance, &stream, &sent);
    assert_eq!(as_sent(&data, &expected, &[]), expected);
    let twice = stream.event_with(&fresh_uuid(), r#","\ud83d":1,"\ud83e":2"#);
    let refused = instance.post(twice).expect(400);
    for text in [&data, &refused.text()] {
        let node = env::var("EVENTSTAR_NODE").expect("EVENTSTAR_NODE");
        assert!(is_read_by(&node, &["-e", JAVASCRIPT], text), "{text}");
        if is_read_by("python3", &["-c", ""], "") {
            assert!(is_read_by("python3", &["-c", PYTHON], text), "{text}");
        } else {
            eprintln!("no `python3` on PATH: texts with mended escapes are not read by it");
        }
    }
    assert_eq!(
        refused.json()["invalid"][0]["context"]["errors"][0]["keyword"],
        "duplicate_key"
    );
}

#[test]
fn key_order_is_kept_and_whitespace_outside_strings_goes() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("order");
    let sent = format!(
        concat!(
            "\r\n {{ \"z\" : [ ] ,\t\"10\": {{ }},\n \"9\" :[ 1 , 2 ],\"job\":\"a  b\" , \"meta\" : {{\"stream\" : \"{}\", ",
            "\"id\":\"{}\",\"dt\":\"2026-01-01T00:00:00Z\",\"request_id\":\"r\" }},\"attempt\": 1 ,\n\n",
            "\"dt\":\"2026-01-01T00:00:00Z\",\"a\":null, \"$schema\":\"/job/run/1.0.0\"\n}}\r\n"
        ),
        stream.name,
        fresh_uuid()
    );
    let data = through(&instance, &stream, &sent);
    let sent = minify(&sent);
    assert_eq!(
        names(&data),
        ["z", "10", "9", "job", "meta", "attempt", "dt", "a", "$schema"]
    );
    assert_eq!(as_sent(&data, &sent, &[]), sent);
}

/// A random JSON value as a wilful producer might write it, whitespace included.
fn random_value(random: &mut Seeded, depth: u64) -> String {
    let space = |random: &mut Seeded| random.pick(&["", "", " ", "\t", "\n  ", "\r\n"]).to_owned();
    match random.between(0, if depth == 0 { 3 } else { 5 }) {
        0 => random
            .pick(&["true", "false", "null", "[]", "{}", "\"\"", "[ ]", "{ \n}"])
            .to_owned(),
        1 => {
            let sign = random.pick(&["", "-"]);
            let whole = random.pick(&[
                "0",
                "7",
                "42",
                "9007199254740993",
                "18446744073709551615",
                "31536000000",
            ]);
            let rest = random.pick(&["", "", ".0", ".50", ".1250000000000000000001"]);
            let exponent = random.pick(&["", "", "e3", "E+02", "e-7", "e0"]);
            format!("{sign}{whole}{rest}{exponent}")
        }
        2 | 3 => {
            let pieces = [
                "a",
                " ",
                "é",
                "😀",
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "\\\"",
                "\\\\",
                "\\/",
                "/",
                "\\b",
                "\\f",
                "\\n",
                "\\t",
                "\\u0000",
                "\\u00e9",
                "\\u00E9",
                "\\ud83d\\ude00",
                "\u{7f}",
                "\u{2028}",
                "</script>",
                "data: ",
            ];
            let text: String = (0..random.between(0, 12)).map(|_| random.pick(&pieces)).collect();
            format!("\"{text}\"")
        }
        4 => {
            let items: Vec<String> = (0..random.between(1, 5))
                .map(|_| {
                    format!(
                        "{}{}{}",
                        space(random),
                        random_value(random, depth - 1),
                        space(random)
                    )
                })
                .collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let names = [
                "k",
                "\\u006b",
                "ключ",
                "10",
                " ",
                "$ref",
                "meta",
                "__proto__",
                "constructor",
            ];
            let members: Vec<String> = (0..random.between(1, 5))
                .map(|nth| {
                    let name = format!("{}{nth}", random.pick(&names));
                    let (before, between) = (space(random), space(random));
                    format!("{before}\"{name}\"{between}:{}", random_value(random, depth - 1))
                })
                .collect();
            format!("{{{}{}}}", members.join(","), space(random))
        }
    }
}

#[test]
fn random_texts_are_kept_byte_for_byte() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("random");
    let mut random = Seeded::new(20_261_123);
    let sent: Vec<String> = (0..400)
        .map(|_| {
            let value = random_value(&mut random, 6);
            let gap = random.pick(&["", " ", "\n"]);
            stream.event_with(
                &fresh_uuid(),
                &format!("{gap},{gap}\"random\"{gap}:{gap}{value}{gap}"),
            )
        })
        .collect();
    for batch in sent.chunks(80) {
        instance.produce(batch);
    }
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).take(sent.len());
    for (event, sent) in seen.iter().zip(&sent) {
        let sent = minify(sent);
        assert_eq!(as_sent(&event.data, &sent, &[]), sent);
    }
}

#[test]
fn a_byte_order_mark_before_the_body_is_passed_over() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("mark");
    let sent = stream.event(&fresh_uuid());
    let data = through(&instance, &stream, &format!("\u{feff}{sent}"));
    assert_eq!(as_sent(&data, &sent, &[]), sent);
}

#[test]
fn events_that_share_an_id_but_differ_all_arrive() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("shared_id");
    let id = fresh_uuid();
    let sent: Vec<String> = (0..5)
        .map(|n| stream.event_with(&id, &format!(r#","n":{n}"#)))
        .collect();
    instance.produce(&sent[..3]);
    for event in &sent[3..] {
        let _ = instance.post(event.clone()).expect(201);
    }
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).take(5);
    let seen: Vec<String> = seen
        .iter()
        .zip(&sent)
        .map(|(event, sent)| as_sent(&event.data, sent, &[]))
        .collect();
    assert_eq!(seen, sent);
}

#[test]
fn schema_uris_of_every_spelling_name_the_same_schema() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("spelling");
    for uri in [
        "/job/run/1.0.0",
        "job/run/1.0.0",
        "/job/run/1.0.0#",
        "/job/run/1.0.0.yaml",
        "/job/run/latest",
    ] {
        let id = fresh_uuid();
        let event = replace(&stream.event(&id), &["$schema"], &format!("\"{uri}\""));
        let _ = instance.post(event).expect(201);
        let data = Events::open(&instance.origin, &stream.from_the_beginning())
            .find(&id)
            .data;
        assert_eq!(get(&data, &["$schema"]), Some(format!("\"{uri}\"").as_str()));
    }
}
